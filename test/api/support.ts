import { afterAll, beforeAll } from 'vitest';
import { startServer, type TestServer, type TestServerOptions } from '../support/server.ts';
import { TestDevice } from '../support/test-device.ts';

/** One server for the tests of a file; every test takes its own devices and groups. */
export function useServer(options?: TestServerOptions): { server: () => TestServer; device: typeof newDevice } {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer(options);
  });
  afterAll(() => server[Symbol.asyncDispose]());
  let count = 0;
  const newDevice = (name?: string, packages?: number): Promise<TestDevice> => {
    count += 1;
    return TestDevice.register(
      () => server.url(),
      name ?? `device-${count}`,
      packages === undefined ? {} : { packages },
    );
  };
  return { server: () => server, device: newDevice };
}

declare function newDevice(name?: string, packages?: number): Promise<TestDevice>;
