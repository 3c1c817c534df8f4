import { beforeEach, describe, expect, test } from 'vitest';
import { expelTurn } from '../../../src/client/engine/account-entry.ts';
import { applyEntry } from '../../../src/client/engine/apply-entry.ts';
import { encodeBinding } from '../../../src/client/engine/binding.ts';
import type { IntentionKind } from '../../../src/client/engine/commit-types.ts';
import { commitAnswered, prepareCommit } from '../../../src/client/engine/commits.ts';
import { effectsOf } from '../../../src/client/engine/effects.ts';
import { addIntention, heirWish } from '../../../src/client/engine/intentions.ts';
import { endAlone, PROPOSAL_TURN_MS, proposeLeave, startLeaving } from '../../../src/client/engine/leave.ts';
import type { EngineEnv, Group, Step } from '../../../src/client/engine/types.ts';
import { groupWrites, loadGroups } from '../../../src/client/store/group-rows.ts';
import { createMemoryStore } from '../../../src/client/store/memory-store.ts';
import { createCommit } from '../../../src/mls/session/commit.ts';
import { joinFromWelcome } from '../../../src/mls/session/join.ts';
import { epochOf, type GroupState, membersOf, rolesOf } from '../../../src/mls/session/state.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { EMPTY_HEAD, encodeEntry, type GroupEntry } from '../../../src/wire/entry.ts';
import { type ClientId, newClientId, type Position } from '../../../src/wire/ids.ts';
import { forgedProposal, removalOf } from '../../mls/support/private.ts';
import {
  enginePerson,
  given,
  introduce,
  keyPackageOf,
  memberOf,
  NOW,
  newGroup,
  suite,
} from '../../support/engine-people.ts';

let people: readonly [EngineEnv, EngineEnv, EngineEnv];
beforeEach(async () => {
  people = [await enginePerson('alice'), await enginePerson('bob'), await enginePerson('carol')];
  introduce(people);
});

/** A group at its first entry, as each of these has it; the first `admins` of them administer it. */
async function groupOf(
  envs: readonly EngineEnv[],
  admins: number,
  kind: { readonly handshakes?: 'private' } = {},
): Promise<Group[]> {
  const [founder, ...others] = envs as [EngineEnv, ...EngineEnv[]];
  const accounts = envs.slice(0, admins).map(({ me }) => me.account);
  const { groupId, state } = await newGroup(founder, { roles: { admins: accounts.sort(), ...kind } });
  const packages = await Promise.all(others.map(keyPackageOf));
  const add = packages.map(({ bytes }) => bytes);
  const made = await createCommit(suite, state, { add, inlineTree: true, groupInfoTree: true, now: NOW, ...kind });
  const joined = await Promise.all(
    others.map(async ({ config }, i): Promise<GroupState> => {
      const join = await joinFromWelcome(suite, config, { welcome: made.welcome!, keyPackage: packages[i]! });
      if (join.kind !== 'joined') throw new Error(join.code);
      return join.state;
    }),
  );
  return [made.next, ...joined].map((mls) => memberOf(groupId, mls, { ...kind, position: 1, head: EMPTY_HEAD }));
}

const effectsIn = (group: Group) => effectsOf(group, nodeSha256);
const kinds = (group: Group): string[] => effectsIn(group).map(({ kind }) => kind);

/** One entry, as all of these take it; lines by person. */
async function placed(
  groups: readonly Group[],
  { id, payload, kind, by }: { id: ClientId; payload: Uint8Array; kind: 'proposal' | 'commit'; by: EngineEnv },
  envs: readonly EngineEnv[] = people,
): Promise<Step[]> {
  const [any] = groups as [Group];
  const place = { group: any.bytes, position: (any.position + 1) as Position, time: NOW, sender: by.me.device };
  const entry: GroupEntry = { kind, id, epoch: epochOf(any.mls!), payload, ...place };
  return Promise.all(groups.map((group, i) => given(applyEntry(envs[i]!, group, entry, encodeEntry(entry)))));
}

/** These ask to leave, all in one epoch. */
async function asked(groups: readonly Group[], ...who: readonly number[]): Promise<Group[]> {
  let now = [...groups];
  for (const i of who) {
    const group = (await proposeLeave(people[i]!, startLeaving(people[i]!, now[i]!).group)).group;
    now[i] = group;
    const { id, proposal } = group.leaving!;
    const steps = await placed(now, { id, payload: proposal!, kind: 'proposal', by: people[i]! });
    now = steps.map((step) => step.group);
  }
  return now;
}

/** One of them makes a commit, and dies before it can send it. */
async function committed(groups: readonly Group[], who: number, wish: IntentionKind): Promise<Step[]> {
  const env = people[who]!;
  const begun = addIntention(groups[who]!, 'wish', wish).group;
  const { group } = await prepareCommit(env, begun);
  const store = createMemoryStore(new Map());
  await store.commit(groupWrites(undefined, group));
  const [stored] = await loadGroups(store, env.config);
  const { id, body } = stored!.pending!;
  const now = groups.map((each, i) => (i === who ? stored! : each));
  return placed(now, { id, payload: body.commit, kind: 'commit', by: env });
}

describe.each([[{}], [{ handshakes: 'private' }] as const])('everybody leaves in one epoch (%o)', (kind) => {
  test('the administrators among them commit, one after the other’s turn, and who did ends the group alone', async () => {
    const groups = await asked(await groupOf(people, 2, kind), 2, 1, 0);
    const turns = groups.map((group) => effectsIn(group).find((effect) => effect.kind === 'commit-proposals'));
    // the others of an opaque group come after them, for administrators may not come back
    const last = 'handshakes' in kind ? { delayMs: 2 * PROPOSAL_TURN_MS } : undefined;
    expect(turns).toMatchObject([{ delayMs: 0 }, { delayMs: PROPOSAL_TURN_MS }, last]);
    const [alice, bob, carol] = await committed(groups, 1, { kind: 'commit-proposals' });
    for (const [i, step] of [alice, carol].entries()) {
      const { name } = people[i * 2]!.me;
      expect(step!.lines).toMatchObject([{ kind: 'removed-me', by: { name } }]);
      expect(kinds(step!.group)).toEqual([]);
    }
    expect(bob!.lines).toMatchObject([{ kind: 'membership', left: [{ name: 'alice' }, { name: 'carol' }] }]);
    expect(kinds(bob!.group)).toEqual(['end-alone']);
    expect(endAlone(people[1], bob!.group).lines).toMatchObject([{ kind: 'removed-me', by: { name: 'bob' } }]);
  });

  test('while one stays, it commits all leaves, and nobody who leaves commits any', async () => {
    const groups = await asked(await groupOf(people, 2, kind), 2, 1);
    expect(groups.map((group) => kinds(group).includes('commit-proposals'))).toEqual([true, false, false]);
    const [alice] = await committed(groups, 0, { kind: 'commit-proposals' });
    expect(membersOf(alice!.group.mls!)).toHaveLength(1);
  });

  test('who is the last administrator by the time its leave could be carried out names another one, and goes then', async () => {
    const groups = await groupOf(people, 2, kind);
    const bobs = startLeaving(people[1], groups[1]!).group;
    expect(kinds(bobs)).toEqual(['propose-leave']);
    const left = await asked([groups[0]!, bobs, groups[2]!], 0);
    const steps = await committed(left, 2, { kind: 'commit-proposals' });
    const [, bob, carol] = steps.map(({ group }) => group) as [Group, Group, Group];
    expect(effectsIn(bob)).toMatchObject([{ kind: 'name-heir', heir: people[2].me.account }]);
    const wish = { kind: 'roles', appoint: [people[2].me.account], dismiss: [] } as const;
    const gone = steps[0]!.group;
    const named = await committed([{ ...gone, position: bob.position, mls: bob.mls! }, bob, carol], 1, wish);
    expect(kinds(named[1]!.group)).toEqual(['propose-leave']);
    expect(rolesOf(named[2]!.group.mls!)?.admins).toEqual([people[1].me.account, people[2].me.account].sort());
  });
});

test('what an administrator proposed waits for the commit that takes it out when its own came too late, and is read with it', async () => {
  const groups = await asked(await groupOf(people, 2), 2, 1, 0);
  const [alice] = people;
  const begun = addIntention(groups[0]!, 'wish', { kind: 'commit-proposals' }).group;
  const late = (await prepareCommit(alice, begun)).group;
  const reason = 'this device is no longer a member of the group';
  const refused = commitAnswered(late, late.pending!.id, { kind: 'taken-out', reason });
  expect(kinds(refused.group)).not.toContain('commit');
  expect(kinds(refused.group)).not.toContain('commit-proposals');
  const [gone] = await committed([refused.group, ...groups.slice(1)], 1, { kind: 'commit-proposals' });
  expect(gone!.lines).toMatchObject([{ kind: 'removed-me', by: { name: 'alice' } }]);
  expect([gone!.group.phase, gone!.group.intentions]).toEqual(['removed', []]);
});

test('the last administrators’ revoked devices wait where the server would refuse; in an opaque group they go, and one is named', async () => {
  const [alice, bob, carol] = people;
  const revoked = [alice, carol].map(({ me }) => me.device);
  const [, open] = await groupOf(people, 1);
  expect(expelTurn({ ...open!, toExpel: revoked })).toMatchObject({ devices: [carol.me.device] });
  expect(expelTurn({ ...open!, toExpel: [alice.me.device] })).toBeUndefined();
  const groups = await groupOf(people, 1, { handshakes: 'private' });
  introduce(people, { revoked: [alice] });
  expect(expelTurn({ ...groups[1]!, toExpel: revoked })).toMatchObject({ devices: revoked });
  const wish = { kind: 'expel', devices: [alice.me.device] } as const;
  const [gone, did, saw] = await committed(groups, 1, wish);
  expect(gone!.group.phase).toBe('removed');
  for (const step of [did, saw]) {
    expect(step!.lines).toMatchObject([{ kind: 'membership', appointed: [{ name: 'bob' }] }]);
    expect(rolesOf(step!.group.mls!)?.admins).toEqual([bob.me.account]);
  }
});

/** One of them proposes in an opaque group that these go; all the others have it, and the leaves of the proposer’s own state too. */
async function forged(groups: readonly Group[], who: number, ...leaves: readonly number[]): Promise<Group[]> {
  let now = [...groups];
  for (const leaf of leaves) {
    const id = newClientId(NOW, people[who]!.randomBytes);
    const made = await forgedProposal(now[who]!.mls!, removalOf(leaf), encodeBinding(id));
    const others = now.filter((_, i) => i !== who);
    const envs = people.filter((_, i) => i !== who);
    const steps = await placed(others, { id, payload: made.proposal, kind: 'proposal', by: people[who]! }, envs);
    const own = { ...now[who]!, mls: made.state, position: steps[0]!.group.position };
    now = steps.map((step) => step.group);
    now.splice(who, 0, own);
  }
  return now;
}

const OPAQUE = { handshakes: 'private' } as const;

test('who proposes in an opaque group that everybody goes gets nobody out and no role, and stops nobody', async () => {
  const [alice, bob] = people;
  const groups = await forged(await groupOf(people, 1, OPAQUE), 1, 0, 2, 1);
  expect(groups.map((group) => kinds(group).includes('commit-proposals'))).toEqual([true, false, true]);
  // alone what it proposed for itself is carried out
  for (const who of [0, 2]) {
    const steps = await committed(groups, who, { kind: 'commit-proposals' });
    for (const step of [steps[0]!, steps[2]!]) {
      expect(step.lines).toMatchObject([{ kind: 'membership', left: [{ name: bob.me.name }] }]);
      expect(membersOf(step.group.mls!).map(({ leaf }) => leaf)).toEqual([0, 2]);
      expect(rolesOf(step.group.mls!)?.admins).toEqual([alice.me.account]);
    }
  }
});

test('that others are proposed to go makes nobody the heir of a last administrator who leaves', async () => {
  const [alice, bob] = people;
  const groups = await groupOf(people, 1, OPAQUE);
  const left = await forged([startLeaving(alice, groups[0]!).group, ...groups.slice(1)], 2, 1);
  expect(effectsIn(left[0]!)).toMatchObject([
    { kind: 'name-heir', heir: bob.me.account },
    { kind: 'commit-proposals' },
  ]);
});

test('whose removal an administrator proposed waits for somebody else’s commit, and asks for none of its own', async () => {
  const groups = await forged(await groupOf(people, 1, OPAQUE), 0, 1);
  expect(groups.map((group) => kinds(group).includes('commit-proposals'))).toEqual([true, false, true]);
  expect(expelTurn({ ...groups[1]!, toExpel: [people[2].me.device] })).toBeUndefined();
});

/** What the runner makes of the effect that names an heir; the group as it is where there is none. */
function wishing(group: Group): Group {
  const effect = effectsIn(group).find(({ kind }) => kind === 'name-heir');
  if (effect?.kind !== 'name-heir') return group;
  return addIntention(group, heirWish(effect.key), { kind: 'roles', appoint: [effect.heir], dismiss: [] }).group;
}

test.each(['refused', 'invalid', 'taken-out'] as const)(
  'an heir who cannot be named is not named without end, and the next one is (%s)',
  async (kind) => {
    const [alice, bob, carol] = people;
    let group = wishing(startLeaving(alice, (await groupOf(people, 1))[0]!).group);
    const named: unknown[] = [];
    let tries = 0;
    while (kinds(group).includes('commit')) {
      named.push(...group.intentions.flatMap((wish) => (wish.kind === 'roles' ? wish.appoint : [])));
      group = (await prepareCommit(alice, group)).group;
      group = wishing(commitAnswered(group, group.pending!.id, { kind, reason: 'no' }).group);
      tries += 1;
      expect(tries).toBeLessThan(20);
    }
    expect(kinds(group)).toEqual([]);
    expect([...new Set(named)]).toEqual(kind === 'taken-out' ? [bob.me.account] : [bob.me.account, carol.me.account]);
    // what is refused is forgotten with the epoch, and is not stored
    const store = createMemoryStore(new Map());
    await store.commit(groupWrites(undefined, { ...group, intentions: [] }));
    const [stored] = await loadGroups(store, alice.config);
    expect(effectsIn(stored!)).toMatchObject([{ kind: 'name-heir', heir: bob.me.account }]);
  },
);

test('a wish for an heir that lost its epoch is dropped where another administrator is there by now', async () => {
  const [alice, bob, carol] = people;
  const lost = wishing(startLeaving(alice, (await groupOf(people, 1))[0]!).group);
  expect(lost.intentions).toMatchObject([{ kind: 'roles', appoint: [bob.me.account] }]);
  // the epoch that won: bob administers it, or carol does
  for (const admins of [2, 3]) {
    const [now] = await groupOf(people, admins);
    const { group } = await prepareCommit(alice, { ...lost, mls: now!.mls! });
    expect([group.pending, group.intentions]).toEqual([undefined, []]);
    expect(kinds(group)).toEqual(['propose-leave']);
  }
  const [now] = await groupOf([alice, carol, bob], 2);
  const { group } = await prepareCommit(alice, { ...lost, mls: now!.mls! });
  expect([group.pending, group.intentions]).toEqual([undefined, []]);
});

test('where all leave an opaque group nobody waits for a revoked administrator, and the others follow those who do not come', async () => {
  const toExpel = [people[0].me.device];
  const groups = (await asked(await groupOf(people, 2, OPAQUE), 0, 1, 2)).map((group) => ({ ...group, toExpel }));
  const turns = groups.slice(1).map((group) => effectsIn(group).find(({ kind }) => kind === 'commit-proposals'));
  expect(turns).toMatchObject([{ delayMs: 0 }, { delayMs: PROPOSAL_TURN_MS }]);
  const [, bob, carol] = await committed(groups, 2, { kind: 'commit-proposals' });
  expect(bob!.lines).toMatchObject([{ kind: 'removed-me' }]);
  expect(kinds(carol!.group)).toEqual(['end-alone']);
});
