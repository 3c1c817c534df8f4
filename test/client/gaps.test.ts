import { expect, test } from 'vitest';
import { decodeBinding } from '../../src/client/engine/binding.ts';
import { inspectMessage } from '../../src/mls/framing.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { deviceOf, together, useChatters, WAIT_MS, warningsOf } from '../support/chatters.ts';
import { createFakeServer, type FakeServer } from '../support/fake-server.ts';

const open = useChatters();
async function pair(server: FakeServer) {
  const [alice, bob] = [await open(server, 'alice'), await open(server, 'bob')];
  return { alice, bob, group: await together([alice, bob]) };
}
function voidedIn(message: Uint8Array): readonly number[] {
  const seen = inspectMessage(message);
  return seen.kind === 'private' ? decodeBinding(seen.authenticatedData).voided : [];
}

test('D20: a message that the server says it took and never places is missed by its readers, in one line', async () => {
  const server = createFakeServer();
  const { alice, bob, group } = await pair(server);
  await alice.chat.send(group, 'first');
  await bob.waitForText(group, 'first');
  server.swallowMessages(await deviceOf(alice));
  await alice.chat.send(group, 'swallowed');
  await alice.chat.flushed(WAIT_MS);
  await alice.chat.send(group, 'third');
  await bob.waitForText(group, 'third');
  expect(await warningsOf(bob)).toEqual(['1 message(s) of alice before this one never came.']);
});

test('D20: messages that the server refused are missed by nobody, and what was written after them still arrives', async () => {
  const server = createFakeServer();
  const { alice, bob, group } = await pair(server);
  const device = await deviceOf(alice);
  await alice.chat.send(group, 'first');
  await bob.waitForText(group, 'first');
  const join = server.cut(device);
  let refusals = 0;
  server.intercept = (by, method) => {
    if (by !== device || method !== 'postMessages' || refusals > 0) return;
    refusals += 1;
    throw new ProblemError('payload-too-large', 'no');
  };
  // more than one request takes: what is encrypted behind the refused ones has to be made anew
  for (let i = 0; i < 130; i += 1) await alice.chat.send(group, `text ${i}`);
  join();
  await bob.waitForText(group, 'text 129');
  const heard = await bob.texts(group);
  expect(heard.length).toBeGreaterThanOrEqual(2);
  expect(heard.length).toBeLessThan(131);
  expect(refusals).toBe(1);
  expect(await warningsOf(bob)).toEqual([]);
  expect((await warningsOf(alice)).length + heard.length).toBe(131);
  // the numbers of the refused ones are named in what came after them
  const named = server.log.flatMap(({ entry }) => (entry.kind === 'message' ? [voidedIn(entry.payload).length] : []));
  expect(named.at(-1)).toBeGreaterThan(0);
});

test('D20: a text that was encrypted anew, because its epoch is no longer taken, leaves no gap', async () => {
  const server = createFakeServer();
  const { alice, bob, group } = await pair(server);
  const device = await deviceOf(alice);
  let refusals = 0;
  server.intercept = (by, method) => {
    if (by !== device || method !== 'postMessages' || refusals > 0) return;
    refusals += 1;
    throw new ProblemError('epoch-conflict', 'too old', { members: { currentEpoch: 1, entries: [], more: false } });
  };
  await alice.chat.send(group, 'sealed twice');
  await bob.waitForText(group, 'sealed twice');
  await alice.chat.send(group, 'and on');
  await bob.waitForText(group, 'and on');
  expect(refusals).toBe(1);
  expect(await warningsOf(bob)).toEqual([]);
});
