import { expect, test } from 'vitest';
import type { CommitReported, LogEvent, OpaqueCommitAccepted, OpaqueGroupCreated } from '../../src/log/events.ts';
import { requestEventId } from '../../src/log/request-event-id.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { decodeEntry } from '../../src/wire/entry.ts';
import type { ClientId, GroupId, Position } from '../../src/wire/ids.ts';
import { bytesOf, createScript, T0, type TestDevice, testDevice } from './builders.ts';
import { folded } from './open.ts';

const [alice, bob, carol] = [testDevice('alice'), testDevice('bob'), testDevice('carol')];
const SALT = bytesOf('salt', 16);
const id = toBase64Url(SALT) as GroupId;
let count = 0;

function requested(by: TestDevice) {
  count += 1;
  const requestId = `request-${String(count).padStart(10, '0')}` as ClientId;
  const { account, device } = by;
  const requestDigest = bytesOf(requestId);
  return {
    v: 1,
    id: requestEventId(device, requestId),
    time: T0 + count,
    account,
    device,
    requestId,
    requestDigest,
  } as const;
}
const created = (by: TestDevice): OpaqueGroupCreated => ({
  ...requested(by),
  type: 'opaque-group-created',
  group: SALT,
});
function commit(
  by: TestDevice,
  epoch: number,
  change: { added?: readonly TestDevice[]; removed?: readonly TestDevice[] } = {},
): OpaqueCommitAccepted {
  const { added = [], removed = [] } = change;
  return {
    ...requested(by),
    type: 'opaque-commit-accepted',
    group: SALT,
    epoch,
    commit: bytesOf(`commit ${count}`, 90),
    ...(added.length === 0 ? {} : { welcome: bytesOf(`welcome ${count}`, 90) }),
    added: added.map(({ account, device }) => ({ account, device })),
    removed: removed.map(({ device }) => device),
  };
}
function begun(): LogEvent[] {
  const script = createScript();
  const people = [alice, bob, carol].map((who) => script.register(who));
  return [script.started(), ...people, created(alice), commit(alice, 0, { added: [bob] })];
}

test('D1: of two commits of an opaque group for one epoch the first ends it', async () => {
  const [winner, loser] = [commit(bob, 1), commit(alice, 1)];
  const { read } = await folded([...begun(), winner, loser]);
  expect(read.request(winner.id)?.result).toMatchObject({ kind: 'placed', epoch: 2 });
  expect(read.request(loser.id)?.result).toMatchObject({ problem: 'epoch-conflict' });
  expect(read.group(id)).toMatchObject({ opaque: true, epoch: 2, position: 3 });
});

test('a declaration that does not fit the roster, or of somebody else, changes nothing', async () => {
  const script = createScript(T0 + 50_000);
  const wrong: LogEvent[] = [
    commit(carol, 1),
    commit(alice, 1, { added: [bob] }),
    commit(alice, 1, { added: [carol, carol] }),
    commit(alice, 1, { removed: [carol] }),
    commit(alice, 1, { removed: [alice] }),
    script.commit(alice, SALT, 1, 0),
  ];
  const { read } = await folded([...begun(), ...wrong]);
  const results = wrong.map((event) => {
    const result = read.request(event.id)?.result;
    return result?.kind === 'dropped' ? result.problem : result?.kind;
  });
  expect(results).toEqual(['forbidden', ...Array.from({ length: 5 }, () => 'invalid-commit')]);
  expect(read.group(id)).toMatchObject({ epoch: 1, position: 2 });
});

test('D11: windows follow the roster as declared; who was away between two memberships reads neither', async () => {
  const events = [
    ...begun(),
    commit(alice, 1, { added: [carol], removed: [bob] }),
    commit(alice, 2),
    commit(alice, 3, { added: [bob] }),
  ];
  const { read } = await folded(events);
  const page = (who: TestDevice) => {
    const result = read.groupLogPage(id, who.device, 0, { maxEntries: 100, maxBytes: 100_000 });
    return result.kind === 'page' ? result.framed.length : result.kind;
  };
  expect([page(alice), page(bob), page(carol)]).toEqual([5, 3, 3]);
  expect(read.group(id)?.roster.map((member) => member?.device)).toEqual(
    [alice, carol, bob].map(({ device }) => device),
  );
  const entry = decodeEntry(read.entryAt(id, 3 as Position)!.bytes);
  expect(entry).toMatchObject({ kind: 'commit', roster: { added: [carol.device], removed: [bob.device] } });
});

test('a report of who was no member of the epoch is dropped', async () => {
  const report = (by: TestDevice): CommitReported => ({
    ...requested(by),
    type: 'commit-reported',
    group: SALT,
    epoch: 1,
    position: 3,
    commit: bytesOf('hash'),
    committer: { account: alice.account, device: alice.device },
    reason: 'cannot-process',
    code: 'undecryptable',
  });
  const reports = [report(bob), report(carol)];
  const late = commit(alice, 2, { added: [carol] });
  const { read } = await folded([...begun(), commit(alice, 1), late, ...reports]);
  expect(read.request(reports[0]!.id)?.result).toMatchObject({ kind: 'placed', position: 5 });
  expect(read.request(reports[1]!.id)?.result).toMatchObject({ problem: 'forbidden' });
});
