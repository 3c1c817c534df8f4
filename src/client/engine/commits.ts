import { MlsError } from '../../mls/errors.ts';
import { accountOf, parseIdentity } from '../../mls/identity.ts';
import { type CommitIntent, createCommit } from '../../mls/session/commit.ts';
import { joinExternal } from '../../mls/session/external-join.ts';
import type { JoinRefusal } from '../../mls/session/join.ts';
import { dropPendingProposals } from '../../mls/session/proposal.ts';
import {
  epochOf,
  groupIdOf,
  type GroupState as MlsState,
  membersOf,
  pendingProposalsOf,
} from '../../mls/session/state.ts';
import { encodeState } from '../../mls/session/state-codec.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { newClientId } from '../../wire/ids.ts';
import { encodeBinding } from './binding.ts';
import type { Intention, PendingCommit } from './commit-types.ts';
import { closeIntention, isHeirWish, refuseIntention, replaceIntention } from './intentions.ts';
import { heirToName, lastCommit } from './leave.ts';
import { declaredRoster, handshakesOf, isOpaque } from './opaque.ts';
import { leftOut, ownRemovalReason, passedOverLines, passOverAll } from './passed-over.ts';
import { leadsOn } from './recovery.ts';
import { rolesIntent, rolesWithout } from './roles.ts';
import { type EngineEnv, type Group, type Needs, type Step, step } from './types.ts';

/** Above this many members a Welcome leaves the ratchet tree out; the server serves it. */
export const INLINE_TREE_MEMBERS = 50;
/** How often one intention is committed anew after another member's commit won the epoch. */
export const COMMIT_ATTEMPTS_MAX = 200;
/** How often a refused commit is made anew: the refusal may come from a proposal that had not arrived yet. */
export const REFUSALS_MAX = 4;

/** The intention whose turn it is, when a commit can be made for it now. */
export function nextIntention(group: Group): Intention | undefined {
  const [intention] = group.intentions;
  if (intention === undefined || group.pending !== undefined) return undefined;
  if (intention.kind === 'rejoin') return group.phase === 'removed' ? undefined : intention;
  if (group.phase !== 'member' || group.mls === undefined) return undefined;
  return (group.waitForEpoch ?? 0) > epochOf(group.mls) ? undefined : intention;
}

/**
 * Makes the commit for the intention whose turn it is. What has come true meanwhile is left out; what has become
 * pointless is answered. The commit stays pending, stored with its bytes, until its entry or another one comes.
 */
export async function prepareCommit(env: EngineEnv, group: Group): Promise<Step> {
  const intention = nextIntention(group);
  if (intention === undefined || intention.kind === 'rejoin' || group.mls === undefined) return step(group);
  if (intention.attempts >= COMMIT_ATTEMPTS_MAX) {
    return refuseIntention(group, intention.id, 'other members changed the group again and again; try later');
  }
  const still = reconsider(group.mls, intention);
  const intent = intentOf(group, group.mls, still);
  if (typeof intent === 'string') return refuseIntention(replaceIntention(group, still), still.id, intent);
  if (intent === undefined) return closeIntention(replaceIntention(group, still), still.id);
  const id = newClientId(env.now(), env.randomBytes);
  const handshakes = handshakesOf(group);
  const size = membersOf(group.mls).length + (intent.add?.length ?? 0);
  try {
    const made = await createCommit(env.suite, group.mls, {
      ...intent,
      ...handshakes,
      authenticatedData: encodeBinding(id),
      inlineTree: size <= INLINE_TREE_MEMBERS,
      groupInfoTree: true,
      now: env.now(),
    });
    const { commit, welcome, groupInfo } = made;
    const packages = still.kind === 'add' ? still.packages : [];
    const roster = isOpaque(group) ? { roster: declaredRoster(env, group.mls, made.next, packages) } : {};
    const pending: PendingCommit = {
      id,
      kind: 'commit',
      intention: still.id,
      epoch: epochOf(group.mls),
      body: { commit, ...(welcome === undefined ? {} : { welcome }), groupInfo, ...roster },
      next: encodeState(made.next),
      accepted: false,
      consumed: made.consumed,
    };
    const tried = replaceIntention(group, { ...still, attempts: still.attempts + 1 });
    return step({ ...tried, mls: made.current, pending }, { lines: passedOverLines(env, still) });
  } catch (error) {
    if (!(error instanceof MlsError)) throw error;
    // somebody else commits what waits, our leave with it: without it in our state that commit could not be read
    if (error.code === 'own-leave-pending') {
      return refuseIntention(replaceIntention(group, still), still.id, ownRemovalReason(group));
    }
    return giveUp(replaceIntention(group, still), still.id, commitFailure(error));
  }
}

/** Makes the external commit of a `rejoin`, from the GroupInfo the server serves. */
export async function prepareRejoin(
  env: EngineEnv,
  group: Group,
  served: {
    readonly groupInfo: Uint8Array;
    readonly ratchetTree: Uint8Array;
    readonly epoch: number;
    readonly handshakes: 'public' | 'private';
  },
): Promise<Step | Needs> {
  const intention = nextIntention(group);
  if (intention?.kind !== 'rejoin') return step(group);
  if (intention.attempts >= COMMIT_ATTEMPTS_MAX)
    return refuseIntention(group, intention.id, 'the group changes too fast');
  if (!leadsOn(group, served.epoch)) {
    return refuseIntention(group, intention.id, 'the server offers an epoch that is over');
  }
  const options = {
    groupInfo: served.groupInfo,
    tree: served.ratchetTree,
    identity: env.me.identity,
    keys: env.me.keys,
    groupInfoTree: true,
    now: env.now(),
  };
  env.directory.takeMissing();
  let joined = await joinExternal(env.suite, env.config, { ...options, resync: true });
  if (joined.kind === 'refused' && joined.code === 'no-former-leaf') {
    joined = await joinExternal(env.suite, env.config, { ...options, resync: false });
  }
  if (joined.kind === 'refused') {
    const accounts = env.directory.takeMissing();
    if (accounts.length > 0) return { kind: 'needs-accounts', accounts };
    return refuseIntention(group, intention.id, joinFailure(joined.code));
  }
  if (!equalBytes(groupIdOf(joined.state), group.bytes)) {
    return refuseIntention(group, intention.id, 'the server answered with another group');
  }
  // what the GroupInfo is of counts, not what the server says of it: an old one would lead back
  if (epochOf(joined.state) !== served.epoch + 1) {
    return refuseIntention(group, intention.id, 'the server answered with another epoch than it says');
  }
  const pending: PendingCommit = {
    id: newClientId(env.now(), env.randomBytes),
    kind: 'external',
    intention: intention.id,
    epoch: served.epoch,
    body: {
      commit: joined.commit,
      groupInfo: joined.groupInfo,
      ...(served.handshakes === 'private' ? { roster: { added: [], removed: [] } } : {}),
    },
    next: encodeState(joined.state),
    accepted: false,
  };
  const tried = replaceIntention(group, { ...intention, attempts: intention.attempts + 1 });
  return step({ ...tried, ...(served.handshakes === 'private' ? { handshakes: 'private' } : {}), pending });
}

export type CommitAnswer =
  /** `position`: where it stands, as the server says. */
  | { readonly kind: 'accepted'; readonly position?: number }
  /** The epoch is over; `epoch` is the one the group is in. */
  | { readonly kind: 'conflict'; readonly epoch: number }
  | { readonly kind: 'invalid'; readonly reason: string }
  /** A commit that is in the log, and still to come here, has taken us out. */
  | { readonly kind: 'taken-out'; readonly reason: string }
  | { readonly kind: 'refused'; readonly reason: string };

/** The server's answer to the pending commit `id`. Accepted, it still waits for its entry, which brings it in order. */
export function commitAnswered(group: Group, id: string, answer: CommitAnswer): Step {
  const { pending, ...rest } = group;
  if (pending?.id !== id) return step(group);
  switch (answer.kind) {
    case 'accepted': {
      const promised = answer.position === undefined ? {} : { promisedAt: answer.position };
      return step({ ...group, pending: { ...pending, ...promised, accepted: true } });
    }
    case 'conflict':
      return step({ ...rest, waitForEpoch: answer.epoch });
    case 'invalid': {
      const intention = group.intentions.find((candidate) => candidate.id === pending.intention);
      if (intention === undefined) return step(rest);
      if (intention.refusals < REFUSALS_MAX) {
        return step(replaceIntention(rest, { ...intention, refusals: intention.refusals + 1 }));
      }
      return giveUp(rest, pending.intention, answer.reason);
    }
    case 'taken-out': {
      const intention = group.intentions.find((candidate) => candidate.id === pending.intention);
      if (intention === undefined || (intention.kind !== 'commit-proposals' && !isHeirWish(intention))) {
        return giveUp(rest, pending.intention, answer.reason);
      }
      // that commit carries out what waits here, and is read with it
      return step({ ...rest, waitForEpoch: pending.epoch + 1 });
    }
    case 'refused':
      return giveUp(rest, pending.intention, answer.reason);
  }
}

function giveUp(group: Group, id: string, reason: string): Step {
  const intention = group.intentions.find((candidate) => candidate.id === id);
  const refused = refuseIntention(group, id, reason);
  if (intention?.kind === 'expel') {
    // found again with the next commit; until then there is nobody here who can
    const { toExpel: _given, ...rest } = refused.group;
    return { ...refused, group: rest };
  }
  if (intention?.kind !== 'commit-proposals' || refused.group.mls === undefined) return refused;
  if (isOpaque(group) && intention.leaveOut?.what !== 'everything') return passOverAll(group, intention, reason);
  // what the server does not take must not keep us from sending; it ends with the epoch anyway
  return { ...refused, group: { ...refused.group, mls: dropPendingProposals(refused.group.mls) } };
}

/** Leaves out what is true already. */
function reconsider(state: MlsState, intention: Intention): Intention {
  const members = membersOf(state);
  switch (intention.kind) {
    case 'add': {
      const present = new Set(members.map((member) => member.identity));
      const packages = intention.packages.filter((added) => !present.has(added.identity));
      const gone = intention.packages.filter((added) => !packages.some((kept) => kept.account === added.account));
      const accounts = [...new Set(gone.map((added) => added.account))];
      return { ...intention, packages, settled: settle(intention, accounts, 'already') };
    }
    case 'remove': {
      const present = new Set(members.map((member) => accountOf(member.identity)));
      const accounts = intention.accounts.filter((account) => present.has(account));
      const gone = intention.accounts.filter((account) => !present.has(account));
      return { ...intention, accounts, settled: settle(intention, gone, 'not-member') };
    }
    default:
      return intention;
  }
}

function settle(
  intention: Intention,
  accounts: readonly Intention['settled'][number]['account'][],
  kind: 'already' | 'not-member',
): Intention['settled'] {
  return [...intention.settled, ...accounts.map((account) => ({ account, kind }))];
}

/** `undefined`: nothing is left to commit for it; a text: why it must not be. */
function intentOf(
  group: Group,
  state: MlsState,
  intention: Intention,
): Pick<CommitIntent, 'add' | 'remove' | 'roles' | 'leavesLast' | 'passesOver'> | string | undefined {
  switch (intention.kind) {
    case 'add': {
      const add = intention.packages.map((added) => added.keyPackage);
      return add.length === 0 ? undefined : { add };
    }
    case 'remove': {
      const accounts = new Set<string | undefined>(intention.accounts);
      const leaves = membersOf(state).filter((member) => accounts.has(accountOf(member.identity)));
      return leaves.length === 0
        ? undefined
        : { remove: leaves.map(({ leaf }) => leaf), ...rolesWithout(state, intention) };
    }
    case 'expel': {
      const leaves = membersOf(state).filter(({ identity }) => {
        const device = parseIdentity(identity)?.device;
        return device !== undefined && intention.devices.includes(device);
      });
      return leaves.length === 0 ? undefined : { remove: leaves.map((member) => member.leaf) };
    }
    case 'commit-proposals':
      if (pendingProposalsOf(state).length === 0) return undefined;
      return leftOut(intention) ?? lastCommit(group) ?? {};
    case 'rotate':
      return {};
    case 'roles':
      return isHeirWish(intention) && !isStillHeir(group, intention) ? undefined : rolesIntent(state, intention);
    case 'rejoin':
      return undefined;
  }
}

/** The epoch that another commit won may have an administrator who stays, or not have this heir any more. */
function isStillHeir(group: Group, { appoint: [heir] }: Extract<Intention, { kind: 'roles' }>): boolean {
  return heir !== undefined && heirToName({ ...group, intentions: [] }) === heir;
}

function joinFailure(code: JoinRefusal): string {
  return code === 'only-member'
    ? 'you are its only member, and a group can only be joined again through another one; make a new group'
    : `the group cannot be joined (${code})`;
}

function commitFailure(error: MlsError): string {
  switch (error.code) {
    case 'not-active':
      return 'you are no longer a member';
    case 'invalid-key-package':
      return `a key package cannot be used (${error.message})`;
    default:
      return error.message;
  }
}
