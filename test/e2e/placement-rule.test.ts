import { expect, test } from 'vitest';
import { serverInfoSchema } from '../../src/wire/schemas/server-info.ts';
import { tempFolder } from '../support/nats.ts';
import { startServer, type TestServer } from '../support/server.ts';

const NOTICE = /begun with another pastEpochs/;

async function publishedBy(server: TestServer): Promise<number | undefined> {
  const info = await (await fetch(`${server.url()}/.well-known/mlsd`)).json();
  return serverInfoSchema.parse(info).limits['pastEpochs'];
}

test('a node whose setting differs from what the log was begun with says so and uses that of the log', {
  timeout: 120_000,
}, async () => {
  await using folder = await tempFolder();
  await using first = await startServer({ folder: folder.path, limits: { pastEpochs: 2 } });
  expect(await publishedBy(first)).toBe(2);
  expect(first.logged.some((line) => NOTICE.test(line))).toBe(false);
  await first.stop();

  await using second = await startServer({ folder: folder.path, limits: { pastEpochs: 7 } });
  expect(await publishedBy(second)).toBe(2);
  expect(second.running().log.pastEpochs).toBe(2);
  expect(second.logged.filter((line) => NOTICE.test(line))).toHaveLength(1);
  expect(second.logged.find((line) => NOTICE.test(line))).toContain('"log":2,"setting":7');
});
