import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createCommit } from '../../src/mls/session/commit.ts';
import { encrypt } from '../../src/mls/session/message.ts';
import { openDirectly } from '../../src/mls/session/open-directly.ts';
import { receive } from '../../src/mls/session/receive.ts';
import { type GroupState, unwrap } from '../../src/mls/session/state.ts';
import { encodeState } from '../../src/mls/session/state-codec.ts';
import type { Suite } from '../../src/mls/suite.ts';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { toUtf8 } from '../../src/wire/bytes.ts';
import { groupOf, mustReceive, NOW } from './support/people.ts';

const suite = createNodeSuite();
const { direct: _direct, ...promises } = suite;
const librarysWay: Suite = promises;

/** What both ways make of the same bytes, states as their rows. */
async function bothWays(state: GroupState, bytes: Uint8Array): Promise<{ short: unknown; long: unknown }> {
  const told = async (by: Suite) => {
    const { cause: _cause, state: next, ...rest } = { cause: undefined, state, ...(await receive(by, state, bytes)) };
    return { ...rest, rows: encodeState(next) };
  };
  return { short: await told(suite), long: await told(librarysWay) };
}

test('a message opened the short way gives what the library gives: text, sender, state, and secrets to forget', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob', 'carol']);
  let [alice, bob] = [states[0]!, states[1]!];
  const sizes = [0, 1, 40, 63, 64, 300, 5_000, 20_000];
  for (const [i, size] of sizes.entries()) {
    const data = i % 2 === 0 ? new Uint8Array(0) : new Uint8Array(20 * i).fill(i);
    const sent = await encrypt(suite, alice, new Uint8Array(size).fill(size), data);
    alice = sent.state;
    expect(openDirectly(suite, unwrap(bob), sent.message)).toMatchObject({ leaf: 0, generation: i });
    const { short, long } = await bothWays(bob, sent.message);
    expect(short).toEqual(long);
    bob = (await mustReceive(suite, bob, sent.message, 'message')).state;
  }
});

test('in any order, twice, across epochs and from every sender both ways tell the same', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob', 'carol']);
  const senders = [states[0]!, states[2]!];
  const sent: Uint8Array[] = [];
  const encryptSome = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i += 1) {
      const which = i % 2;
      const made = await encrypt(suite, senders[which]!, toUtf8(`text ${i}`), toUtf8('data'));
      senders[which] = made.state;
      sent.push(made.message);
    }
  };
  await encryptSome(6);
  const rotated = await createCommit(suite, senders[0]!, { inlineTree: true, groupInfoTree: false, now: NOW });
  senders[0] = rotated.next;
  senders[1] = (await mustReceive(suite, senders[1]!, rotated.commit, 'commit')).state;
  await encryptSome(4);
  const inbox = [...sent, rotated.commit];
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(inbox.length - 1), { minLength: 1, maxLength: 15 }), async (order) => {
      let bob = states[1]!;
      for (const index of order) {
        const { short, long } = await bothWays(bob, inbox[index]!);
        expect(short).toEqual(long);
        const received = await receive(suite, bob, inbox[index]!);
        if (received.kind !== 'rejected') bob = received.state;
      }
    }),
    { numRuns: 25 },
  );
});

test('damaged messages are refused alike, and never open the short way', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob']);
  const { message } = await encrypt(suite, states[0]!, toUtf8('hello'), toUtf8('data'));
  const bob = states[1]!;
  await fc.assert(
    fc.asyncProperty(fc.nat(message.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const damaged = message.slice();
      damaged[at]! ^= change;
      expect(openDirectly(suite, unwrap(bob), damaged)).toBeUndefined();
      const { short, long } = await bothWays(bob, damaged);
      expect(short).toEqual(long);
    }),
    { numRuns: 300 },
  );
  for (const cut of [
    message.subarray(0, -1),
    new Uint8Array([...message, 0]),
    message.subarray(1),
    new Uint8Array(0),
  ]) {
    expect(openDirectly(suite, unwrap(bob), cut)).toBeUndefined();
  }
});

test('a message whose signature another member made does not open', async () => {
  const { states } = await groupOf(suite, ['alice', 'bob', 'carol']);
  const [alice, bob, carol] = states.map(unwrap);
  const forged = { ...alice!, signaturePrivateKey: carol!.signaturePrivateKey } as unknown as GroupState;
  const { message } = await encrypt(suite, forged, toUtf8('not alice'), new Uint8Array(0));
  expect(openDirectly(suite, bob!, message)).toBeUndefined();
  expect(await receive(suite, states[1]!, message)).toMatchObject({ kind: 'rejected', code: 'unauthenticated' });
});
