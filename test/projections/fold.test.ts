import { expect, test } from 'vitest';
import type { LogEvent } from '../../src/log/events.ts';
import { groupInfos, unusedWelcomes } from '../../src/projections/fold/rows.ts';
import { WELCOME_MAX_AGE_MS } from '../../src/projections/fold/trees.ts';
import { TABLES_CONTRACT } from '../../src/projections/open-projections.ts';
import { openEnvironment } from '../../src/projections/store/environment.ts';
import { Tables } from '../../src/projections/store/tables.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import type { ClientId, GroupId } from '../../src/wire/ids.ts';
import { bytesOf, createScript, DAY, keyPackage, sampleLog, sha256, T0, testDevice } from './builders.ts';
import { createFakeLog } from './fake-log.ts';
import { folded, openTest, readAll, tempFolder } from './open.ts';

const id = (group: Uint8Array) => toBase64Url(group) as GroupId;
const [alice, bob, carol] = [testDevice('alice'), testDevice('bob'), testDevice('carol')];
const TEA = bytesOf('tea', 16);

/** A group of alice and bob at epoch 1, and a script that goes on from there. */
function pair() {
  const script = createScript();
  const events: LogEvent[] = [
    script.started(),
    script.register(alice, [keyPackage('a1')]),
    script.register(bob, [keyPackage('b1'), keyPackage('b last', { lastResort: true })]),
    script.register(carol),
    script.createGroup(alice, TEA, 'tea'),
    script.commit(alice, TEA, 0, 0, { adds: [bob] }),
  ];
  return { script, events };
}

const outcome = async (events: readonly LogEvent[], of: LogEvent) => {
  const { read } = await folded(events);
  return read.request(of.id)?.result;
};

test('of two commits for one epoch the first ends it, the other is answered with a conflict (D1)', async () => {
  const { script, events } = pair();
  const [winner, loser] = [script.commit(bob, TEA, 1, 1), script.commit(alice, TEA, 1, 0, { removes: [1] })];
  const { read } = await folded([...events, winner, loser]);
  expect(read.request(winner.id)?.result).toMatchObject({ kind: 'placed', epoch: 2, position: 3 });
  expect(read.request(loser.id)?.result).toMatchObject({ kind: 'dropped', problem: 'epoch-conflict' });
  const group = read.group(id(TEA))!;
  expect([group.epoch, group.position, group.roster.length]).toEqual([2, 3, 2]);
  expect(group.commitLaneSequence).toBe(events.length + 2);
});

test('a commit from another leaf, of strangers, of a future epoch, or that cannot be read changes nothing (D6)', async () => {
  const { script, events } = pair();
  const forged = script.commit(carol, TEA, 1, 0);
  const stranger = script.commit(carol, TEA, 1, 4);
  const future = script.commit(alice, TEA, 2, 0);
  const garbage = { ...script.commit(alice, TEA, 1, 0), commit: bytesOf('noise', 90) };
  const nobody = script.commit(alice, TEA, 1, 0, { removes: [7] });
  const elsewhere = script.commit(alice, bytesOf('elsewhere', 16), 0, 0);
  const all = [forged, stranger, future, garbage, nobody, elsewhere];
  const { read } = await folded([...events, ...all]);
  const problems = all.map((event) => {
    const result = read.request(event.id)?.result;
    return result?.kind === 'dropped' ? result.problem : result?.kind;
  });
  expect(problems).toEqual([
    'forbidden',
    'forbidden',
    'epoch-conflict',
    'invalid-commit',
    'invalid-commit',
    'not-found',
  ]);
  expect(read.group(id(TEA))).toMatchObject({ epoch: 1, position: 2 });
});

test('a proposal stands before the commit that takes it up; a commit with an unknown one is refused (D3)', async () => {
  const { script, events } = pair();
  const leave = script.propose(bob, TEA, 1, 1, { kind: 'remove', leaf: 1 });
  const ref = sha256(leave.proposal);
  const early = script.commit(alice, TEA, 1, 0, { refs: [ref] });
  const taken = script.commit(alice, TEA, 1, 0, { refs: [ref] });
  expect(await outcome([...events, early, leave], early)).toMatchObject({ problem: 'invalid-commit' });

  const waiting = await folded([...events, leave]);
  const pending = waiting.read.group(id(TEA))!.proposals.get(toBase64Url(ref))!;
  expect(pending).toMatchObject({ senderLeaf: 1, position: 3, message: leave.proposal });

  const { read } = await folded([...events, leave, taken]);
  expect(readAll(read, bob.device).entries.map(({ kind }) => kind)).toEqual([
    'commit',
    'welcome',
    'proposal',
    'commit',
  ]);
  expect(read.group(id(TEA))).toMatchObject({ epoch: 2, roster: [{ device: alice.device }], proposals: new Map() });
  expect(read.groupsOf(bob.device)).toEqual([]);
});

test('a proposal of an ended epoch, from another leaf, of a stranger or sent twice is dropped', async () => {
  const { script, events } = pair();
  const leave = script.propose(bob, TEA, 1, 1, { kind: 'remove', leaf: 1 });
  const again = { ...script.propose(bob, TEA, 1, 1, { kind: 'remove', leaf: 1 }), proposal: leave.proposal };
  const forged = script.propose(bob, TEA, 1, 0, { kind: 'remove', leaf: 0 });
  const stranger = script.propose(carol, TEA, 1, 2, { kind: 'remove', leaf: 0 });
  const late = script.propose(bob, TEA, 1, 1, { kind: 'remove', leaf: 0 });
  const all = [leave, again, forged, stranger, script.commit(alice, TEA, 1, 0), late];
  const { read } = await folded([...events, ...all]);
  const kinds = all.map((event) => {
    const result = read.request(event.id)?.result;
    return result?.kind === 'dropped' ? result.problem : result?.kind;
  });
  expect(kinds).toEqual(['placed', 'already-exists', 'forbidden', 'forbidden', 'placed', 'epoch-conflict']);
  expect(read.group(id(TEA))!.proposals.size).toBe(0);
});

test('a message is placed once however often and wherever it comes again (D16)', async () => {
  const { script, events } = pair();
  const ids = Array.from({ length: 6 }, () => script.clientId());
  const send = (...chosen: number[]) =>
    script.send(
      script.batch(
        alice,
        TEA,
        1,
        chosen.map((i) => ({ id: ids[i]!, text: `m${i}` })),
      ),
    );
  const log = createFakeLog([...events, send(1, 3), send(3), send(0, 1, 2), send(0, 4, 4), send(2, 3, 5, 5)], [1]);
  const dir = await tempFolder();
  const first = await openTest(log, { dir });
  await first.ready;
  await first.close();
  log.append(send(0, 1, 2, 3, 4, 5));
  const { read, ready } = await openTest(log, { dir });
  await ready;
  const order = [1, 3, 0, 2, 4, 5];
  const placed = readAll(read, alice.device).entries.filter(({ kind }) => kind === 'message');
  expect(placed.map((entry) => 'id' in entry && entry.id)).toEqual(order.map((i) => ids[i]));
  order.forEach((i, at) => {
    expect(read.messagePosition(id(TEA), alice.device, ids[i]!)).toBe(at + 3);
  });
  expect(read.messagePosition(id(TEA), bob.device, ids[0]!)).toBeUndefined();
  expect(read.messagePosition(id(TEA), alice.device, script.clientId())).toBeUndefined();
});

test('the same id from two devices, or in two groups, is two messages', async () => {
  const { script, events } = pair();
  const other = bytesOf('other', 16);
  const same = { id: script.clientId(), text: 'x' };
  const { read } = await folded([
    ...events,
    script.createGroup(alice, other),
    script.send(
      script.batch(alice, TEA, 1, [same]),
      script.batch(bob, TEA, 1, [same]),
      script.batch(alice, other, 0, [same]),
    ),
  ]);
  expect(read.messagePosition(id(TEA), alice.device, same.id)).toBe(3);
  expect(read.messagePosition(id(TEA), bob.device, same.id)).toBe(4);
  expect(read.messagePosition(id(other), alice.device, same.id)).toBe(2);
});

test('a message of who is not a member, of an epoch to come or of one too old is left out', async () => {
  const { script, events } = pair();
  const commits = Array.from({ length: 6 }, (_, i) => script.commit(alice, TEA, 1 + i, 0)); // now epoch 7
  const ids: ClientId[] = [];
  const say = (by: typeof alice, epoch: number) => {
    const message = { id: script.clientId(), text: 'x' };
    ids.push(message.id);
    return script.batch(by, TEA, epoch, [message]);
  };
  const sent = script.send(say(bob, 7), say(bob, 2), say(bob, 1), say(bob, 8), say(carol, 7));
  const removal = script.commit(alice, TEA, 7, 0, { removes: [1] });
  const { read } = await folded([...events, ...commits, sent, removal, script.send(say(bob, 7))]);
  const [now, fiveAgo, sixAgo, future, stranger, removed] = ids.map(
    (message, i) => read.messagePosition(id(TEA), [bob, bob, bob, bob, carol, bob][i]!.device, message) !== undefined,
  );
  expect({ now, fiveAgo, sixAgo, future, stranger, removed }).toEqual({
    now: true,
    fiveAgo: true,
    sixAgo: false,
    future: false,
    stranger: false,
    removed: false,
  });
});

test('a request that stands in the log twice keeps its first answer; only its lane goes on (D16)', async () => {
  const { script, events } = pair();
  const commit = script.commit(alice, TEA, 1, 0);
  const create = script.createGroup(alice, bytesOf('second', 16), 'second');
  const { read } = await folded([...events, commit, create, commit, create]);
  expect(read.request(commit.id)).toMatchObject({ digest: commit.requestDigest, time: commit.time });
  expect(read.request(commit.id)?.result).toMatchObject({ kind: 'placed', position: 3, epoch: 2 });
  expect(read.group(id(TEA))).toMatchObject({ epoch: 2, position: 3, commitLaneSequence: events.length + 3 });
  expect(read.request(create.id)?.result).toMatchObject({ kind: 'placed', position: 1 });
  expect(read.nameLane('group', 'SECOND')).toEqual({ sequence: events.length + 4, taken: true });
});

test('the first holder of a user name or a group name keeps it, however it is spelled (S3)', async () => {
  const { script, events } = pair();
  const thief = { ...testDevice('Alice') };
  const taken = script.register(thief);
  const second = script.createGroup(bob, bytesOf('tea 2', 16), 'Tea');
  const again = script.createGroup(alice, TEA, 'another');
  const { read } = await folded([...events, taken, second, again]);
  expect(read.request(taken.id)?.result).toMatchObject({ problem: 'name-taken' });
  expect(read.request(second.id)?.result).toMatchObject({ problem: 'name-taken' });
  expect(read.request(again.id)?.result).toMatchObject({ problem: 'already-exists' });
  expect(read.accountByName('ALICE')?.id).toBe(alice.account);
  expect(read.device(thief.device)).toBeUndefined();
  expect(read.groupByName('TEA')?.id).toBe(id(TEA));
  expect(read.nameLane('group', 'another')).toEqual({ sequence: events.length + 3, taken: false });
  expect(read.nameLane('user', 'nobody')).toEqual({ sequence: 0, taken: false });
});

test('an account is what its statement says, not what the event around it says', async () => {
  const script = createScript();
  const honest = script.register(alice);
  const forged = { ...script.register(bob), statement: alice.statement };
  const broken = { ...script.register(carol), statement: bytesOf('noise', 60) };
  const { read } = await folded([script.started(), honest, forged, broken]);
  expect(read.account(alice.account)).toMatchObject({
    name: 'alice',
    laneSequence: 0,
    devices: [{ id: alice.device, account: alice.account, label: 'laptop', signatureKeys: [alice.leaf.signatureKey] }],
  });
  expect(read.request(forged.id)?.result).toMatchObject({ problem: 'invalid-request' });
  expect(read.request(broken.id)?.result).toMatchObject({ problem: 'invalid-request' });
});

test('each key package is handed out once, the last resort as often as it has to be (D8)', async () => {
  const { script, events } = pair();
  const [one, last] = [keyPackage('b1'), keyPackage('b last', { lastResort: true })];
  const before = await folded(events);
  expect(before.read.claimCandidates(bob.account, script.now())).toEqual([
    { device: bob.device, ref: one.ref, keyPackage: one.keyPackage, lastResort: false },
  ]);
  const other = bytesOf('other', 16);
  const claims = [
    script.claim(alice, bob, TEA, [one.ref]),
    script.claim(carol, bob, TEA, [one.ref]),
    script.claim(alice, bob, TEA, [last.ref]),
    script.claim(carol, bob, other, [last.ref]),
    script.claim(carol, bob, other, [last.ref, one.ref]),
    script.claim(carol, alice, other, [last.ref]),
    script.claim(carol, bob, other, [bytesOf('never seen')]),
  ];
  const { read } = await folded([...events, ...claims]);
  const results = claims.map((event) => read.request(event.id)?.result.kind);
  expect(results).toEqual(['done', 'dropped', 'done', 'done', 'dropped', 'dropped', 'dropped']);
  expect(read.claimCandidates(bob.account, script.now())).toMatchObject([{ ref: last.ref, lastResort: true }]);
  expect(read.stock(bob.device)).toEqual({ available: 0, lastResort: true });
  expect(read.claimOf(one.ref)).toEqual({ group: id(TEA), device: bob.device, keyPackage: one.keyPackage });
  expect(read.claimOf(last.ref)?.group).toBe(id(other));
  expect(read.claimOf(last.ref, id(TEA))?.group).toBe(id(TEA));
  expect(read.claimOf(one.ref, id(other))).toBeUndefined();
  expect(read.account(bob.account)?.laneSequence).toBe(events.length + claims.length);
});

test('a reference is taken once, expired packages are gone, a new last resort replaces the old (D9)', async () => {
  const { script, events } = pair();
  const soon = keyPackage('soon', { notAfter: T0 + DAY });
  const fresh = keyPackage('b last 2', { lastResort: true });
  const first = [...events, script.publish(bob, [soon, keyPackage('b1'), fresh])];
  const { read } = await folded(first);
  expect(read.stock(bob.device)).toEqual({ available: 2, lastResort: true });
  expect(read.claimCandidates(bob.account, T0 + 100 * DAY)).toEqual([{ device: bob.device, lastResort: false }]);
  script.advance(2 * DAY);
  const claim = script.claim(alice, bob, TEA, [soon.ref]);
  const expired = script.publish(bob, [keyPackage('old', { notAfter: T0 + DAY })]);
  const later = await folded([...first, claim, expired]);
  expect(later.read.request(claim.id)?.result).toMatchObject({ problem: 'invalid-key-package' });
  expect(later.read.hasKeyPackage(soon.ref)).toBe(false);
  expect(later.read.hasKeyPackage(keyPackage('old').ref)).toBe(false);
  expect(later.read.stock(bob.device)).toEqual({ available: 1, lastResort: true });
});

test('the owner is told once when the stock falls low, once more when the last resort is used (D9)', async () => {
  const script = createScript();
  const many = Array.from({ length: 12 }, (_, i) => keyPackage(`b${i}`));
  const last = keyPackage('last', { lastResort: true });
  const claimAll = (packages: typeof many) => packages.map(({ ref }) => script.claim(alice, bob, TEA, [ref]));
  const more = Array.from({ length: 10 }, (_, i) => keyPackage(`more ${i}`));
  const { read } = await folded([
    script.started(),
    script.register(alice),
    script.register(bob, [...many, last]),
    ...claimAll(many),
    ...claimAll([last, last]),
    script.publish(bob, [keyPackage('last 2', { lastResort: true }), ...more]),
    ...claimAll(more),
  ]);
  const told = readAll(read, bob.device).entries.map((entry) => entry.kind === 'key-packages-low' && entry.payload);
  expect(told).toEqual([
    { available: 9, lastResortUsed: false },
    { available: 0, lastResortUsed: true },
    { available: 9, lastResortUsed: false },
  ]);
});

test('a tree is kept for the current epoch and for each unused Welcome, for its device alone', async () => {
  const script = createScript();
  const people = ['bob', 'carol', 'dave'].map(testDevice);
  const [bobby, caro, dave] = people as [typeof bob, typeof bob, typeof bob];
  const dir = await tempFolder();
  const events: LogEvent[] = [
    script.started(),
    script.register(alice),
    ...people.map((person) => script.register(person)),
    script.createGroup(alice, TEA),
    script.commit(alice, TEA, 0, 0, { adds: [bobby] }),
    script.commit(alice, TEA, 1, 0, { adds: [caro] }),
    script.commit(alice, TEA, 2, 0),
  ];
  const kept = async (more: readonly LogEvent[]) => {
    const projections = await openTest(createFakeLog([...events, ...more]), { dir, fresh: true });
    await projections.ready;
    await projections.close();
    const tables = new Tables(await openEnvironment({ dir, contract: TABLES_CONTRACT }), TABLES_CONTRACT);
    const epochs = [0, 1, 2, 3, 4, 5].filter((epoch) => tables.get(groupInfos, { group: 1, epoch }) !== undefined);
    const waiting = (tables.get(unusedWelcomes, 1) ?? []).map(({ epoch }) => epoch);
    await tables.close();
    return { epochs, waiting };
  };
  expect(await kept([])).toEqual({ epochs: [1, 2, 3], waiting: [1, 2] });
  expect(await kept([script.send(script.batch(bobby, TEA, 3, ['here']))])).toEqual({ epochs: [2, 3], waiting: [2] });
  expect(await kept([script.commit(caro, TEA, 3, 2)])).toEqual({ epochs: [1, 4], waiting: [1] });
  expect(await kept([script.commit(alice, TEA, 3, 0, { removes: [1, 2] })])).toEqual({ epochs: [4], waiting: [] });
  script.advance(WELCOME_MAX_AGE_MS);
  expect(await kept([script.commit(alice, TEA, 3, 0, { adds: [dave] })])).toEqual({ epochs: [4], waiting: [4] });
});

test('every event somebody asked for has an answer', async () => {
  const { events } = sampleLog();
  const { read } = await folded(events);
  for (const event of events) {
    if (event.type === 'messages-sent' || event.type === 'log-started') continue;
    expect(read.request(event.id), event.type).toBeDefined();
  }
  expect(read.request('never asked')).toBeUndefined();
});
