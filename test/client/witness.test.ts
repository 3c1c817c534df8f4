import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { runMlschatAudit } from '../../src/bin/mlschat-audit.ts';
import { decodeBinding, encodeBinding } from '../../src/client/engine/binding.ts';
import { HEADS_KEPT, keptHead, withHead } from '../../src/client/engine/recent-heads.ts';
import type { Group } from '../../src/client/engine/types.ts';
import { emptyGroup } from '../../src/client/engine/welcome.ts';
import { PROMISES_MAX, RECEIPTS_KEPT } from '../../src/client/engine/witness.ts';
import { auditFolder } from '../../src/client/open-audit.ts';
import { openChatClient } from '../../src/client/open-chat-client.ts';
import { fromBase64Url } from '../../src/wire/bytes.ts';
import type { GroupEntry } from '../../src/wire/entry.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { decodeReceipt } from '../../src/wire/receipt.ts';
import type { TestChatter } from '../support/chat-clients.ts';
import { audited, deviceOf, statusIn, together, useChatters, WAIT_MS, warningsOf } from '../support/chatters.ts';
import { SERVER_KEY } from '../support/fake-server/receipts.ts';
import { createFakeServer, type FakeServer } from '../support/fake-server.ts';
import { showDifferently } from '../support/forked-views.ts';
import { tempFolder } from '../support/nats.ts';
import { isSignedBy } from '../support/receipt-signatures.ts';
import { startServer } from '../support/server.ts';
import { until } from '../support/until.ts';

const open = useChatters();

async function tea(server: FakeServer, ...names: readonly string[]) {
  const people: [TestChatter, ...TestChatter[]] = [await open(server, 'alice')];
  for (const name of names) people.push(await open(server, name));
  return { people, group: await together(people) };
}

const differences = async (who: TestChatter, group: GroupId) => (await statusIn(who, group))?.differences;

async function audit(who: TestChatter, json: boolean) {
  let text = '';
  const stream = { write: (more: string) => (text += more) } as unknown as NodeJS.WritableStream;
  const code = await runMlschatAudit({ config: '', json }, { stdout: stream, stderr: stream }, () => audited(who));
  return { code, text };
}

const isText = (entry: GroupEntry, id: string) => entry.kind === 'message' && entry.id === id;

describe('D5: a server that shows members different histories', () => {
  test('is found by the first message after an entry that it kept from one of them; it is said once, and stays in the status', async () => {
    const server = createFakeServer();
    const { people, group } = await tea(server, 'bob', 'carol');
    const [alice, bob, carol] = people as [TestChatter, TestChatter, TestChatter];
    const author = await deviceOf(carol);
    showDifferently(server, await deviceOf(bob), group, (entries) =>
      entries.filter((entry) => entry.kind !== 'message' || entry.sender !== author),
    );
    await carol.chat.send(group, 'not for bob');
    await alice.waitForText(group, 'not for bob');
    await alice.chat.send(group, 'one');
    await alice.chat.send(group, 'two');
    await bob.waitForText(group, 'two');
    const [text, ...more] = await warningsOf(bob);
    expect(more).toEqual([]);
    expect(text).toMatch(
      /^alice and you were shown different histories of #tea \(entry \d+\): the server is not to be trusted$/,
    );
    await bob.restart();
    expect(await differences(bob, group)).toMatchObject([{ kind: 'split', with: 'alice' }]);
    expect(await warningsOf(alice)).toEqual([]);
    expect(await differences(alice, group)).toBeUndefined();
    // the other side learns it as soon as bob says something
    await bob.chat.send(group, 'from bob');
    await alice.waitForText(group, 'from bob');
    expect(await warningsOf(alice)).toMatchObject([
      expect.stringMatching(/^bob and you were shown different histories/),
    ]);
    expect((await audit(bob, false)).code).toBe(1);
  });

  test('is found when it shows two messages in another order', async () => {
    const server = createFakeServer();
    const { people, group } = await tea(server, 'bob', 'carol');
    const [alice, bob, carol] = people as [TestChatter, TestChatter, TestChatter];
    const stop = server.cut(await deviceOf(bob));
    showDifferently(server, await deviceOf(bob), group, (entries) => {
      const at = entries.findIndex((entry) => isText(entry, first));
      if (at === -1 || at + 1 >= entries.length) return entries;
      return [...entries.slice(0, at), entries[at + 1]!, entries[at]!, ...entries.slice(at + 2)];
    });
    const first = (await carol.chat.send(group, 'first')).id;
    await alice.waitForText(group, 'first');
    await alice.chat.send(group, 'second');
    await carol.waitForText(group, 'second');
    await carol.chat.send(group, 'third');
    await alice.waitForText(group, 'third');
    stop();
    server.dropStreams();
    await bob.waitForText(group, 'third');
    expect((await bob.texts(group)).slice(-3)).toEqual(['second', 'first', 'third']);
    // alice had seen the first one before she wrote: her head is one that bob's order cannot have
    expect((await warningsOf(bob)).length).toBeGreaterThanOrEqual(1);
    for (const text of await warningsOf(bob)) expect(text).toMatch(/were shown different histories of #tea/);
  });

  test('is not suspected while it is honest, however far apart people are', async () => {
    const server = createFakeServer();
    const { people, group } = await tea(server, 'bob', 'carol');
    const [alice, bob, carol] = people as [TestChatter, TestChatter, TestChatter];
    const stop = server.cut(await deviceOf(carol));
    for (let i = 0; i < 40; i += 1) await alice.chat.send(group, `alice ${i}`);
    for (let i = 0; i < 10; i += 1) await bob.chat.send(group, `bob ${i}`);
    await carol.chat.send(group, 'sealed long ago');
    await alice.chat.rotate(group);
    await alice.chat.remove(group, ['bob']);
    await alice.chat.invite(group, ['bob']);
    stop();
    server.dropStreams();
    await bob.chat.caughtUp(WAIT_MS);
    await alice.waitForText(group, 'sealed long ago');
    await bob.chat.send(group, 'back');
    await carol.waitForText(group, 'back');
    await alice.waitForText(group, 'back');
    for (const who of people) {
      expect(await warningsOf(who)).toEqual([]);
      expect(await differences(who, group)).toBeUndefined();
    }
  });
});

describe('receipts', () => {
  test('are kept, compared with what was served, and agree on an honest server, across restarts', async () => {
    const server = createFakeServer();
    const { people, group } = await tea(server, 'bob');
    const [alice] = people as [TestChatter];
    await alice.chat.send(group, 'one');
    await alice.chat.rotate(group);
    await alice.chat.send(group, 'two');
    await alice.chat.flushed(WAIT_MS);
    await alice.waitForText(group, 'two');
    const agreeing = async () => (await audited(alice)).groups[0]!;
    // the creation, the invitation, the renewal and two messages
    await until(async () => (await agreeing()).agreeing === 5);
    await alice.restart();
    expect(await audited(alice)).toEqual({
      groups: [{ group: 'tea', groupId: group, agreeing: 5, waiting: 0, unknown: 0 }],
      findings: [],
    });
    expect(await audit(alice, false)).toEqual({
      code: 0,
      text: '#tea: 5 receipts agree with what was shown\nNothing here speaks against the server.\n',
    });
  });

  test('prove that the server promised one entry and served another: one warning, and a proof that anybody can check', async () => {
    const server = createFakeServer();
    const { people, group } = await tea(server, 'bob');
    const [alice, bob] = people as [TestChatter, TestChatter];
    server.swallowMessages(await deviceOf(alice));
    await alice.chat.send(group, 'swallowed');
    await alice.chat.flushed(WAIT_MS);
    expect((await audited(alice)).groups[0]!.waiting).toBe(1);
    await bob.chat.send(group, 'in its place');
    await alice.waitForText(group, 'in its place');
    await bob.chat.send(group, 'and another');
    await alice.waitForText(group, 'and another');
    const { position } = (await audited(alice)).findings[0]!;
    expect(await warningsOf(alice)).toEqual([
      `The server has signed another history of #tea than it shows (entry ${position}): it is not to be trusted; "mlschat audit" prints the proof`,
    ]);
    await alice.restart();
    expect(await differences(alice, group)).toEqual([{ kind: 'receipt', position }]);
    const { code, text } = await audit(alice, true);
    expect(code).toBe(1);
    const [proof, ...more] = (JSON.parse(text) as Awaited<ReturnType<typeof audited>>).findings;
    expect(more).toEqual([]);
    if (proof?.kind !== 'receipt') throw new Error('no proof');
    const [receipt, signature, key] = [proof.receipt, proof.signature, proof.serverKey].map(
      (each) => fromBase64Url(each)!,
    );
    expect(isSignedBy(key!, { receipt: receipt!, signature: signature! })).toBe(true);
    expect(key).toEqual(SERVER_KEY.publicKey);
    expect(decodeReceipt(receipt!)).toMatchObject({ position });
    expect(proof.servedHead).not.toBe(proof.signedHead);
    expect((await audit(alice, false)).text).toContain('the server signed one history and showed another');
  });

  test('of a real server agree with what it serves, and the folder can be audited when the chat is closed', async () => {
    await using server = await startServer();
    await using folder = await tempFolder();
    const chat = await openChatClient({ dir: folder.path, server: server.url(), userName: 'alice', inProcess: true });
    const opened = await chat.openGroup('tea');
    if (opened.kind !== 'created') throw new Error(opened.kind);
    await chat.send(opened.group, 'one');
    await chat.rotate(opened.group);
    await chat.flushed(WAIT_MS);
    await chat.caughtUp(WAIT_MS);
    await expect(auditFolder(folder.path)).rejects.toMatchObject({ code: 'folder-locked' });
    await chat.close();
    const { groups, findings } = await auditFolder(folder.path);
    expect(findings).toEqual([]);
    expect(groups).toMatchObject([{ group: 'tea', waiting: 0, unknown: 0 }]);
    expect(groups[0]!.agreeing).toBeGreaterThanOrEqual(2);
    await expect(auditFolder(`${folder.path}/none`)).rejects.toMatchObject({ code: 'refused' });
  });

  test('that another key signed are worth nothing, which is said once', async () => {
    const server = createFakeServer();
    const { people, group } = await tea(server, 'bob');
    const [alice] = people as [TestChatter];
    const { sign } = SERVER_KEY;
    SERVER_KEY.sign = (bytes) => sign(bytes).fill(1, 0, 8);
    try {
      await alice.chat.send(group, 'one');
      await alice.chat.flushed(WAIT_MS);
      await alice.chat.send(group, 'two');
      await alice.chat.flushed(WAIT_MS);
    } finally {
      SERVER_KEY.sign = sign;
    }
    expect(await warningsOf(alice)).toMatchObject([
      expect.stringMatching(/^The server's receipt for entry \d+ is worth nothing: it is not signed by the key/),
    ]);
    expect((await audit(alice, false)).code).toBe(1);
  });
});

test('a head is found at each of the last positions, and only there; what is kept is bounded', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.integer({ min: 1, max: 1_500 }), (first, count) => {
      const headOf = (position: number) => new Uint8Array(32).fill(position % 251);
      let group: Group = emptyGroup(new Uint8Array(16), 'tea');
      for (let i = 0; i < count; i += 1) group = withHead(group, first + i, headOf(first + i));
      const last = first + count - 1;
      for (let position = Math.max(first, last - HEADS_KEPT + 1); position <= last; position += 1) {
        if (Buffer.compare(keptHead(group, position) ?? new Uint8Array(0), headOf(position)) !== 0) return false;
      }
      const bytes = (group.heads ?? []).reduce((sum, { heads }) => sum + heads.length, 0);
      return (
        keptHead(group, last + 1) === undefined &&
        keptHead(group, first - 1) === undefined &&
        bytes < 32 * (HEADS_KEPT + 64)
      );
    }),
    { numRuns: 30 },
  );
});

test('authenticated data of any shape is read without a failure, and says no more than it has', () => {
  const head = new Uint8Array(32).fill(3);
  expect(decodeBinding(encodeBinding('an id', [2], { position: 7, head }))).toEqual({
    id: 'an id',
    voided: [2],
    seen: { position: 7, head },
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      const { seen } = decodeBinding(bytes);
      return seen === undefined || (seen.position >= 1 && seen.head.length === 32);
    }),
  );
  expect([PROMISES_MAX, RECEIPTS_KEPT]).toEqual([32, 256]);
});
