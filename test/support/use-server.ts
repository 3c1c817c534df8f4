import { afterAll, beforeAll } from 'vitest';
import { startServer, type TestServer, type TestServerOptions } from './server.ts';

/** One real server for the tests of a file or of a `describe`; it is there from their first test on. */
export function useTestServer(options?: TestServerOptions): () => TestServer {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer(options);
  });
  afterAll(() => server[Symbol.asyncDispose]());
  return () => server;
}
