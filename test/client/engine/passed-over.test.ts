import type { Proposal } from 'ts-mls';
import { describe, expect, test } from 'vitest';
import { applyEntry } from '../../../src/client/engine/apply-entry.ts';
import { encodeBinding } from '../../../src/client/engine/binding.ts';
import { commitAnswered, prepareCommit, REFUSALS_MAX } from '../../../src/client/engine/commits.ts';
import { createDirectory } from '../../../src/client/engine/directory.ts';
import { effectsOf } from '../../../src/client/engine/effects.ts';
import { addIntention } from '../../../src/client/engine/intentions.ts';
import { proposeLeave, startLeaving } from '../../../src/client/engine/leave.ts';
import { queueText, sealTexts } from '../../../src/client/engine/outbox.ts';
import { passOverRemoval, REMOVAL_WAIT_MS } from '../../../src/client/engine/passed-over.ts';
import type { EngineEnv, Group, Step } from '../../../src/client/engine/types.ts';
import { emptyGroup } from '../../../src/client/engine/welcome.ts';
import { decodeMessage } from '../../../src/mls/encoding/decode.ts';
import { parseIdentity } from '../../../src/mls/identity.ts';
import { epochOf, groupIdOf, membersOf, pendingProposalsOf } from '../../../src/mls/session/state.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { EMPTY_HEAD, encodeEntry, type GroupEntry } from '../../../src/wire/entry.ts';
import { type ClientId, newClientId, type Position } from '../../../src/wire/ids.ts';
import { forgedProposal, founded, NOW, person, removalOf, suite, trusting } from '../../mls/support/private.ts';

interface Member {
  readonly env: EngineEnv;
  readonly group: Group;
}
const randomBytes = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length));

/** An opaque group that the first of these administers, as each of them has it. */
const groupOf = (...names: readonly [string, ...string[]]): Promise<Member[]> => groupWith('private', names);

async function groupWith(handshakes: 'private' | 'public', names: readonly [string, ...string[]]): Promise<Member[]> {
  const { people, states } = await founded(names, handshakes);
  const directory = createDirectory('chat.example');
  const described = people.map(({ identity, keys }, i) => ({ ...parseIdentity(identity)!, keys, name: names[i]! }));
  for (const { account, device, keys, name } of described) {
    const devices = [{ id: device, signatureKeys: [keys.signPublic], label: '', revoked: false }];
    directory.put({ id: account, name, devices, statements: [] });
  }
  return states.map((mls, i) => {
    const { account, device, name, keys } = described[i]!;
    const me = { account, device, name, domain: 'chat.example', identity: people[i]!.identity, keys };
    const env = { suite, config: trusting, sha256: nodeSha256, directory, me, now: () => NOW, randomBytes };
    const group: Group = { ...emptyGroup(groupIdOf(mls), 'tea'), phase: 'member', mls, position: 1, head: EMPTY_HEAD };
    return { env, group: handshakes === 'private' ? { ...group, handshakes } : group };
  });
}

async function placed(
  members: readonly Member[],
  by: Member,
  entry: { readonly id: ClientId; readonly payload: Uint8Array; readonly kind: 'proposal' | 'commit' },
): Promise<Step[]> {
  const { bytes, position, mls } = by.group;
  const place = { group: bytes, position: (position + 1) as Position, time: NOW, sender: by.env.me.device };
  const whole: GroupEntry = { ...entry, ...place, epoch: epochOf(mls!) };
  return Promise.all(
    members.map(async ({ env, group }) => {
      const step = await applyEntry(env, group, whole, encodeEntry(whole));
      if (!('lines' in step)) throw new Error(step.kind);
      return step;
    }),
  );
}

/** The first of them proposes this as the group does, and goes away; all have it. */
async function proposed(members: readonly Member[], proposal: Proposal): Promise<Member[]> {
  const [first, ...others] = members as [Member, ...Member[]];
  const id = newClientId(NOW, randomBytes);
  const { mls, handshakes = 'public' } = first.group;
  const made = await forgedProposal(mls!, proposal, encodeBinding(id), handshakes);
  const steps = await placed(others, first, { id, payload: made.proposal, kind: 'proposal' });
  const own = { ...first.group, mls: made.state, position: first.group.position + 1 };
  return [{ env: first.env, group: own }, ...steps.map(({ group }, i) => ({ env: others[i]!.env, group }))];
}

const typed = ({ env, group }: Member, text: string): Member => {
  const localId = newClientId(NOW, randomBytes);
  return { env, group: queueText(group, { localId, ordinal: 1, text, time: NOW }).group };
};
const kinds = ({ group }: { readonly group: Group }): string[] => effectsOf(group, nodeSha256).map(({ kind }) => kind);

/** The pending commit of one of them is placed: everybody’s step. */
const committed = (members: readonly Member[], by: Member): Promise<Step[]> => {
  const { id, body } = by.group.pending!;
  return placed(members, by, { id, payload: body.commit, kind: 'commit' });
};

const REMOVAL =
  'alice proposed to remove you, and nobody has carried that out: it is passed over, so that your texts go out.';

describe('pending proposals never block a sender for long: in an opaque group,', () => {
  test('who is proposed to go, and finds nobody who carries that out, is told, and writes on in a new epoch', async () => {
    // both of them, so that none of the two may commit what waits
    const [alice, silent, carol] = await proposed(
      await proposed(await groupOf('alice', 'bob', 'carol'), removalOf(1)),
      removalOf(2),
    );
    expect(kinds(silent!)).toEqual([]);
    const bob = typed(silent!, 'hello');
    expect(effectsOf(bob.group, nodeSha256)).toMatchObject([{ kind: 'pass-over-removal', delayMs: REMOVAL_WAIT_MS }]);
    const asked = passOverRemoval(bob.env, bob.group).group;
    expect(passOverRemoval(bob.env, asked).group).toBe(asked);
    const made = await prepareCommit(bob.env, asked);
    expect(made.lines).toMatchObject([{ kind: 'warning', text: REMOVAL }]);
    const committer = { env: bob.env, group: made.group };
    const steps = await committed([alice!, committer, carol!], committer);
    const [first, own] = steps as [Step, Step, Step];
    for (const { group } of [first, own]) {
      expect(pendingProposalsOf(group.mls!)).toEqual([]);
      // what an administrator proposed for somebody else is carried out
      expect(membersOf(group.mls!).map(({ leaf }) => leaf)).toEqual([0, 1]);
    }
    expect(steps[2]!.lines[0]).toMatchObject({ kind: 'removed-me' });
    expect(kinds(own)).toEqual(['seal']);
    const [sealed] = (await sealTexts(bob.env, own.group, { reseal: false })).group.outbox;
    expect(sealed?.sealed?.epoch).toBe(epochOf(first.group.mls!));
  });

  test('nobody is kept in who has asked to go as well, and nobody who writes nothing', async () => {
    const [, bob] = await proposed(await groupOf('alice', 'bob', 'carol'), removalOf(1));
    const { group } = await proposeLeave(bob!.env, startLeaving(bob!.env, typed(bob!, 'bye').group).group);
    const { id, proposal } = group.leaving!;
    const asking = { env: bob!.env, group };
    const [left] = await placed([asking], asking, { id, payload: proposal!, kind: 'proposal' });
    expect(kinds(left!)).not.toContain('pass-over-removal');
    expect(passOverRemoval(bob!.env, left!.group).group).toBe(left!.group);
  });

  test('what no server takes a commit of is passed over by the next one, and told, by everybody who writes', async () => {
    const stranger = decodeMessage((await person('dora')).keyPackage.bytes);
    if ('malformed' in stranger || stranger.message.wireformat !== 'mls_key_package') throw new Error('no key package');
    const add: Proposal = { proposalType: 'add', add: { keyPackage: stranger.message.keyPackage } };
    const [alice, bobs, carol] = await proposed(await groupOf('alice', 'bob', 'carol'), add);
    const { env } = bobs!;
    let group = addIntention(typed(bobs!, 'hello').group, 'proposals', { kind: 'commit-proposals' }).group;
    const told: unknown[] = [];
    for (let refusals = 0; refusals <= REFUSALS_MAX; refusals += 1) {
      const made = await prepareCommit(env, group);
      told.push(...made.lines);
      group = commitAnswered(made.group, made.group.pending!.id, { kind: 'invalid', reason: 'not claimed' }).group;
    }
    expect(told).toEqual([]);
    const last = await prepareCommit(env, group);
    const text =
      'What was proposed in this group cannot be carried out (not claimed): it is passed over, so that texts go out.';
    expect(last.lines).toMatchObject([{ kind: 'warning', text }]);
    const bob = { env, group: last.group };
    for (const step of await committed([alice!, bob, carol!], bob)) {
      expect(pendingProposalsOf(step.group.mls!)).toEqual([]);
      expect(membersOf(step.group.mls!)).toHaveLength(3);
    }
    // a server that does not take that either keeps nobody from writing
    const refused = commitAnswered(last.group, last.group.pending!.id, { kind: 'refused', reason: 'no' });
    expect([refused.group.intentions, kinds(refused)]).toEqual([[], ['seal']]);
  });
});

test('in a group whose server judges proposals nobody passes over the own removal: no such commit is taken, and who gave up could not read the one that is to come', async () => {
  const [, silent, carol] = await proposed(await groupWith('public', ['alice', 'bob', 'carol']), removalOf(1));
  const bob = typed(silent!, 'hello');
  expect(kinds(bob)).toEqual([]);
  expect(passOverRemoval(bob.env, bob.group).group).toBe(bob.group);
  const asked = addIntention(carol!.group, 'proposals', { kind: 'commit-proposals' }).group;
  const committer = { env: carol!.env, group: (await prepareCommit(carol!.env, asked)).group };
  const [removed] = await committed([bob], committer);
  expect(removed!.group.phase).toBe('removed');
});
