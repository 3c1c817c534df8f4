import type { TestServer, TestServerOptions } from '../support/server.ts';
import { TestDevice } from '../support/test-device.ts';
import { useTestServer } from '../support/use-server.ts';

/** One server for the tests of a file; every test takes its own devices and groups. */
export interface ServerInUse {
  readonly server: () => TestServer;
  /** Registers a device, under a name of its own unless one is given. */
  device(name?: string, packages?: number): Promise<TestDevice>;
  /** Two new devices in a group of the first one's, at epoch 1 and position 2; both have read so far. */
  pair(): Promise<{ alice: TestDevice; bob: TestDevice; group: Uint8Array }>;
  /** What the server says of itself by now: `mlsd_streams_open` and such, without labels. */
  metric(name: string): Promise<number>;
}

export function useServer(options?: TestServerOptions): ServerInUse {
  const server = useTestServer(options);
  let count = 0;
  const device: ServerInUse['device'] = (name, packages) => {
    count += 1;
    return TestDevice.register(
      () => server().url(),
      name ?? `device-${count}`,
      packages === undefined ? {} : { packages },
    );
  };
  return {
    server,
    device,
    pair: async () => {
      const [alice, bob] = [await device(), await device()];
      const group = await alice.createGroup();
      await alice.invite(group, bob);
      await bob.catchUp();
      return { alice, bob, group };
    },
    metric: async (name) => {
      const text = await (await fetch(`${server().url()}/metrics`)).text();
      return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
    },
  };
}
