import type { DeviceId } from '../../wire/ids.ts';
import type { Limits } from '../../wire/limits.ts';

/** Which devices and addresses have answers open that go on: live streams and waiting long polls. */
export interface StreamRegistry {
  readonly open: number;
  /** Takes a place, or says that the device or its address has no more. */
  enter(device: DeviceId, address: string): { leave(): void } | undefined;
}

export function createStreamRegistry(limits: Pick<Limits, 'streamsPerDevice' | 'streamsPerAddress'>): StreamRegistry {
  const devices = createPlaces(limits.streamsPerDevice);
  const addresses = createPlaces(limits.streamsPerAddress);
  let open = 0;
  return {
    get open() {
      return open;
    },
    enter(device, address) {
      if (!devices.hasRoom(device) || !addresses.hasRoom(address)) return undefined;
      devices.add(device, 1);
      addresses.add(address, 1);
      open += 1;
      let hasLeft = false;
      return {
        leave() {
          if (hasLeft) return;
          hasLeft = true;
          open -= 1;
          devices.add(device, -1);
          addresses.add(address, -1);
        },
      };
    },
  };
}

/** Counts by key; those at zero are not kept. */
function createPlaces(each: number) {
  const counts = new Map<string, number>();
  return {
    hasRoom: (key: string): boolean => (counts.get(key) ?? 0) < each,
    add(key: string, change: number): void {
      const count = (counts.get(key) ?? 0) + change;
      if (count === 0) counts.delete(key);
      else counts.set(key, count);
    },
  };
}
