import type { DeviceId } from '../../wire/ids.ts';

/** Which devices have streams open, and how many. */
export interface StreamRegistry {
  readonly open: number;
  /** Takes a place, or says that the device has no more. */
  enter(device: DeviceId): { leave(): void } | undefined;
}

export function createStreamRegistry(perDevice: number): StreamRegistry {
  const counts = new Map<DeviceId, number>();
  let open = 0;
  return {
    get open() {
      return open;
    },
    enter(device) {
      const count = counts.get(device) ?? 0;
      if (count >= perDevice) return undefined;
      counts.set(device, count + 1);
      open += 1;
      let hasLeft = false;
      return {
        leave() {
          if (hasLeft) return;
          hasLeft = true;
          open -= 1;
          const left = (counts.get(device) ?? 1) - 1;
          if (left === 0) counts.delete(device);
          else counts.set(device, left);
        },
      };
    },
  };
}
