import { describe, expect, test } from 'vitest';
import { linkDevice, recoverAccount } from '../../src/client/runner/new-device.ts';
import { webPlatform } from '../../src/client/runner/platform-web.ts';
import { createMemoryStore, openChatClientOver } from '../../src/client/web.ts';
import { DEVICE_SCENARIOS, SCENARIOS } from '../client/acceptance/scenarios.ts';
import { createStage } from '../client/acceptance/stage.ts';

const platform = await webPlatform();
/** The page's own origin, behind which the server is. */
const server = new URL(import.meta.url).origin;
const stageHere = () =>
  createStage({
    platform,
    server,
    place: () => {
      const rows = new Map<string, Uint8Array>();
      return () => createMemoryStore(rows);
    },
  });

// one after the other: a browser has six connections to an origin, and each client keeps one for what is new
describe('a client over a store in memory, in a browser', () => {
  for (const { claim, play } of SCENARIOS) {
    test(claim, async () => {
      await using stage = stageHere();
      await play(stage);
    });
  }
  for (const { claim, play } of DEVICE_SCENARIOS) {
    test(claim, async () => {
      await using stage = stageHere();
      await play(stage, { link: linkDevice, recover: recoverAccount });
    });
  }
});

test('the package entry for browsers opens a client, and says what is wrong with a name', async () => {
  await using stage = stageHere();
  const chat = await openChatClientOver(createMemoryStore(), { server, userName: stage.name('page') });
  const opened = await chat.openGroup(stage.name('page'));
  if (opened.kind !== 'created') throw new Error(opened.kind);
  await chat.send(opened.group, 'hello');
  expect(await chat.flushed(240_000)).toBe(0);
  expect((await chat.devices()).map(({ label }) => label)).toEqual(['browser']);
  await chat.close();
  const wrong = openChatClientOver(createMemoryStore(), { server, userName: '' });
  await expect(wrong).rejects.toMatchObject({ code: 'invalid-name' });
});
