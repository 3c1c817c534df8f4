import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openManualServer, tempFolder } from './nats.ts';
import { startServer, type TestServer, type TestServerOptions } from './server.ts';

/** Two nodes of one domain on one log. */
export interface TwoNodes extends AsyncDisposable {
  readonly nodes: readonly [TestServer, TestServer];
  /** Of one of them, as it is now. */
  readonly url: (index: 0 | 1) => () => string;
  /** Resolves when both have folded all that is in the log now. */
  level(): Promise<void>;
}

export async function startTwoNodes(options: Pick<TestServerOptions, 'behindTlsProxy'> = {}): Promise<TwoNodes> {
  const folder = await tempFolder();
  const nats = await openManualServer();
  const tokenFile = join(folder.path, 'token');
  await writeFile(tokenFile, nats.place.token, { mode: 0o600 });
  const servers = nats.place.servers.map((server) => `nats://${server}`);
  const log = { kind: 'remote', servers, tokenFile, replicas: 1 } as const;
  const secretFile = join(folder.path, 'secret');
  const start = (name: string) => startServer({ ...options, folder: join(folder.path, name), secretFile, log });
  const nodes = await Promise.all([start('a'), start('b')]);
  return {
    nodes,
    url: (index) => () => nodes[index].url(),
    async level() {
      for (const node of nodes) {
        const { lastSequence } = await node.running().log.describe();
        await node.running().projections.read.waitForSequence(lastSequence, AbortSignal.timeout(60_000));
      }
    },
    async [Symbol.asyncDispose]() {
      for (const node of nodes) await node[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}
