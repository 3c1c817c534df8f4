import { epochOf } from '../../mls/session/state.ts';
import type { AccountId } from '../../wire/ids.ts';
import type { Intention, IntentionKind } from './commit-types.ts';
import { rememberGivenUp } from './given-up.ts';
import { isKnownGone, lostOwnLines } from './lost-own.ts';
import { dropped } from './not-sent.ts';
import { type EngineEnv, type Group, type Signal, type Step, step } from './types.ts';

/**
 * Puts something that needs a commit at the end of the group's queue. Where no commit can be made it is refused at once: it would
 * stand in the way of the rejoin.
 */
export function addIntention(group: Group, id: string, kind: IntentionKind): Step {
  if (group.phase === 'removed' || (group.phase !== 'member' && kind.kind !== 'rejoin')) {
    const reason = group.phase === 'removed' ? 'you are no longer a member' : 'the group is parked, /rejoin first';
    return step(group, { signals: [{ kind: 'intention', id, outcome: { kind: 'refused', reason, settled: [] } }] });
  }
  const intention: Intention = { ...kind, id, attempts: 0, refusals: 0, settled: [] };
  return step({ ...group, intentions: [...group.intentions, intention] });
}

/** The commit that was made for it is the group's: everything it still wanted is done. */
export function closeIntention(group: Group, id: string): Step {
  const intention = group.intentions.find((candidate) => candidate.id === id);
  if (intention === undefined) return step(group);
  const settled = [...intention.settled, ...wanted(intention).map((account) => ({ account, kind: 'done' as const }))];
  return finish(group, id, { kind: 'intention', id, outcome: { kind: 'done', settled } });
}

const HEIR_WISH = 'heir-';

/** What tells one wish to name an administrator before leaving from another, see leave.ts. */
export function heirKey(epoch: number, heir: AccountId): string {
  return `${epoch}/${heir}`;
}

/** The id of such a wish. */
export function heirWish(key: string): string {
  return `${HEIR_WISH}${key}`;
}

export function isHeirWish(intention: Intention): intention is Extract<Intention, { kind: 'roles' }> {
  return intention.kind === 'roles' && intention.id.startsWith(HEIR_WISH);
}

export function refuseIntention(group: Group, id: string, reason: string): Step {
  const intention = group.intentions.find((candidate) => candidate.id === id);
  if (intention === undefined) return step(group);
  return finish(withoutHeir(group, intention), id, {
    kind: 'intention',
    id,
    outcome: { kind: 'refused', reason, settled: intention.settled },
  });
}

/** The leave asks again for what it needs: an heir who was refused once is not named a second time in the same epoch. */
function withoutHeir(group: Group, intention: Intention): Group {
  const [heir] = isHeirWish(intention) ? intention.appoint : [];
  if (heir === undefined || group.mls === undefined) return group;
  const epoch = epochOf(group.mls);
  const before = (group.heirsRefused ?? []).filter((key) => key.startsWith(`${epoch}/`));
  return { ...group, heirsRefused: [...before, heirKey(epoch, heir)] };
}

export function replaceIntention(group: Group, intention: Intention): Group {
  return { ...group, intentions: group.intentions.map((old) => (old.id === intention.id ? intention : old)) };
}

/** Answers everything that waits for a commit, and drops the one that is pending. */
export function refuseAll(group: Group, reason: string): Step {
  const { pending: _pending, ...rest } = group;
  const signals: Signal[] = group.intentions.map(({ id, settled }) => ({
    kind: 'intention',
    id,
    outcome: { kind: 'refused', reason, settled },
  }));
  return step({ ...rest, intentions: [] }, { signals });
}

/**
 * The end of a group for this device: whatever waits is answered, unsent texts and files are named, none is lost silently. What the
 * server took, and is gone unheard, is shown.
 */
export function failEverything(env: EngineEnv, group: Group, reason: string, time: number): Step {
  const refused = refuseAll(group, reason);
  const { leaving, uploads = [], ...rest } = refused.group;
  const left: readonly Signal[] =
    leaving === undefined || leaving.accepted ? [] : [{ kind: 'leave', outcome: { kind: 'done' } }];
  const gone = group.outbox.filter((item) => isKnownGone(group, item));
  const unsent = group.outbox.filter((item) => !item.accepted && !gone.includes(item));
  const files = uploads.map(({ localId, attachment }) => ({ localId, text: attachment.name }));
  const told = [...unsent, ...files].map((item) => dropped(item, reason, time));
  const outbox = group.outbox.filter((item) => item.accepted);
  return step(rememberGivenUp({ ...rest, outbox }, unsent), {
    lines: [...gone.flatMap((item) => lostOwnLines(env, group, item)), ...told.flatMap(({ lines }) => lines)],
    signals: [...refused.signals, ...left, ...told.map(({ signal }) => signal)],
  });
}

/** Accounts an intention is about and that are not settled yet, each once. */
function wanted(intention: Intention): readonly AccountId[] {
  switch (intention.kind) {
    case 'add':
      return [...new Set(intention.packages.map((added) => added.account))];
    case 'remove':
      return intention.accounts;
    case 'roles':
      return [...intention.appoint, ...intention.dismiss];
    case 'expel':
    case 'rotate':
    case 'commit-proposals':
    case 'rejoin':
      return [];
  }
}

function finish(group: Group, id: string, signal: Signal): Step {
  return step({ ...group, intentions: group.intentions.filter((old) => old.id !== id) }, { signals: [signal] });
}
