/**
 * Makes test/fixtures/logs anew: `npx tsx test/projections/record-log.ts`. Only to be run when a new kind of event is to be
 * in them: a recorded log is kept for ever, and what it folds to may change only together with the tables' contract.
 */
import { writeFile } from 'node:fs/promises';
import { encodeEvent } from '../../src/log/envelope.ts';
import type { LogEvent, StoredKeyPackage } from '../../src/log/events.ts';
import { formatIdentity } from '../../src/mls/identity.ts';
import { createCommit } from '../../src/mls/session/commit.ts';
import { createGroup } from '../../src/mls/session/create.ts';
import { joinExternal } from '../../src/mls/session/external-join.ts';
import { createKeyPackage, generateSignatureKeys } from '../../src/mls/session/key-package.ts';
import { encrypt } from '../../src/mls/session/message.ts';
import { createLeaveProposal } from '../../src/mls/session/proposal.ts';
import type { GroupState } from '../../src/mls/session/state.ts';
import { createNodeSuite } from '../../src/mls/suite-node.ts';
import { encodeRegistration } from '../../src/wire/account-statement.ts';
import { toUtf8 } from '../../src/wire/bytes.ts';
import { accountIdOf, deviceIdOf } from '../../src/wire/ids.ts';
import { mustJoin, mustReceive, trusting } from '../mls/support/people.ts';
import { bytesOf, createScript, DAY, sha256, T0, type TestDevice } from './builders.ts';

const GROUP = bytesOf('recorded tea', 16);
const NOTHING = new Uint8Array(0);

export const RECORDED_LOG = new URL('../fixtures/logs/three-devices.cborseq', import.meta.url);
export const RECORDED_STATE = new URL('../fixtures/logs/three-devices.json', import.meta.url);

/** Three devices with real MLS: created, added, written, left, came back from outside, removed, and an epoch lost. */
export async function recordedEvents(): Promise<LogEvent[]> {
  const suite = createNodeSuite();
  const script = createScript();
  const [alice, bob, carol] = await Promise.all(['alice', 'bob', 'carol'].map((name) => realDevice(name)));
  if (alice === undefined || bob === undefined || carol === undefined) throw new Error('three devices');
  const now = script.now();
  const roles = { admins: [alice.by.account], invite: 'admins', join: 'open' } as const;
  const founded = await createGroup(suite, trusting, {
    groupId: GROUP,
    identity: alice.by.leaf.identity,
    keys: alice.keys,
    roles,
    now,
  });
  let [a, b, c]: (GroupState | undefined)[] = [founded.state];
  const intent = { inlineTree: true, groupInfoTree: true, now };
  const say = async (state: GroupState, text: string) => encrypt(suite, state, toUtf8(text), NOTHING);
  const events: LogEvent[] = [
    script.started('recorded'),
    ...[alice, bob, carol].map(({ by, packages }) =>
      script.register(
        by,
        packages.map(({ stored }) => stored),
      ),
    ),
    { ...script.createGroup(alice.by, GROUP, 'tea'), groupInfo: founded.groupInfo },
  ];

  const alone = await say(a!, 'alone');
  a = alone.state;
  events.push(script.send(batch(alice.by, alone)));
  events.push(script.claim(alice.by, bob.by, GROUP, [bob.packages[0]!.stored.ref]));
  const addBob = await createCommit(suite, a, { ...intent, add: [bob.packages[0]!.stored.keyPackage] });
  events.push(commitOf(alice.by, 0, addBob));
  a = addBob.next;
  b = await mustJoin(suite, addBob.welcome!, bob.packages[0]!.own);

  const [hi, hello] = [await say(a, 'hi bob'), await say(b, 'hi alice')];
  events.push(script.send(batch(alice.by, hi), batch(bob.by, hello), batch(alice.by, hi)));
  [a, b] = [hi.state, hello.state];
  events.push(script.claim(alice.by, carol.by, GROUP, [carol.packages[0]!.stored.ref]));
  const lost = await createCommit(suite, b, intent);
  const addCarol = await createCommit(suite, a, { ...intent, add: [carol.packages[0]!.stored.keyPackage] });
  events.push(commitOf(alice.by, 1, addCarol), commitOf(bob.by, 1, lost));
  a = addCarol.next;
  b = (await mustReceive(suite, b, addCarol.commit, 'commit')).state;
  c = await mustJoin(suite, addCarol.welcome!, carol.packages[0]!.own);

  const leave = await createLeaveProposal(suite, b);
  events.push({ ...script.propose(bob.by, GROUP, 2, 1, { kind: 'remove', leaf: 1 }), proposal: leave.proposal });
  a = (await mustReceive(suite, a, leave.proposal, 'proposal')).state;
  c = (await mustReceive(suite, c, leave.proposal, 'proposal')).state;
  const bobLeaves = await createCommit(suite, a, intent);
  events.push(commitOf(alice.by, 2, bobLeaves));
  a = bobLeaves.next;
  c = (await mustReceive(suite, c, bobLeaves.commit, 'commit')).state;
  const quiet = await say(c, 'quiet here');
  c = quiet.state;
  events.push(script.send(batch(carol.by, quiet)));

  const { identity } = bob.by.leaf;
  const groupInfo = bobLeaves.groupInfo;
  const back = await joinExternal(suite, trusting, {
    groupInfo,
    identity,
    keys: bob.keys,
    resync: false,
    groupInfoTree: true,
    now,
  });
  if (back.kind !== 'joined') throw new Error(back.code);
  events.push(commitOf(bob.by, 3, back));
  a = (await mustReceive(suite, a, back.commit, 'commit')).state;
  const again = await say(back.state, 'back again');
  events.push(script.send(batch(bob.by, again)));
  const carolGoes = await createCommit(suite, a, { ...intent, remove: [2], roles: { ...roles, join: 'invite' } });
  events.push(commitOf(alice.by, 4, carolGoes));
  const last = await say(carolGoes.next, 'just us');
  events.push(script.send(batch(alice.by, last)), script.createGroup(carol.by, bytesOf('second', 16), 'Tea'));
  return events;

  function batch(by: TestDevice, sent: { readonly message: Uint8Array; readonly epoch: number }) {
    const made = script.batch(by, GROUP, sent.epoch, []);
    return { ...made, messages: [[script.clientId(), sent.epoch, sent.message] as const] };
  }

  function commitOf(
    by: TestDevice,
    epoch: number,
    made: { readonly commit: Uint8Array; readonly groupInfo: Uint8Array; readonly welcome?: Uint8Array },
  ): LogEvent {
    const { welcome: _, ...event } = script.commit(by, GROUP, epoch, 0);
    const { commit, groupInfo, welcome } = made;
    return { ...event, commit, groupInfo, ...(welcome === undefined ? {} : { welcome }) };
  }
}

async function realDevice(name: string) {
  const suite = createNodeSuite();
  const keys = await generateSignatureKeys(suite);
  const key = bytesOf(`${name}/device`);
  const statement = encodeRegistration({
    v: 1,
    type: 'register',
    domain: 'localhost',
    name,
    device: { key, label: 'laptop', signatureKeys: [keys.signPublic] },
    time: T0,
    nonce: bytesOf(`${name}/nonce`, 16),
  });
  const [account, device] = [accountIdOf(statement, sha256), deviceIdOf(key, sha256)];
  const identity = formatIdentity({ domain: 'localhost', account, device });
  const by: TestDevice = { name, account, device, statement, leaf: { identity, signatureKey: keys.signPublic } };
  const packages = await Promise.all(
    [false, true].map(async (lastResort) => {
      const own = await createKeyPackage(suite, { identity, keys, now: T0, lifetimeMs: 80 * DAY, lastResort });
      const stored: StoredKeyPackage = { ref: own.ref, keyPackage: own.bytes, lastResort, notAfter: own.notAfter };
      return { own, stored };
    }),
  );
  return { by, keys, packages };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const events = await recordedEvents();
  await writeFile(RECORDED_LOG, Buffer.concat(events.map(encodeEvent)));
}
