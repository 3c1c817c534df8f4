import { epochOf } from '../../mls/session/state.ts';
import { toBase64Url, toUtf8 } from '../../wire/bytes.ts';
import type { AccountId, ClientId, DeviceId, Sha256 } from '../../wire/ids.ts';
import { expelTurn } from './account-entry.ts';
import { nextIntention } from './commits.ts';
import { heirKey } from './intentions.ts';
import { heirToName, mustEndAlone, mustPropose, proposalTurn } from './leave.ts';
import { hasReport } from './marks.ts';
import { canSeal, dueTexts, sendable } from './outbox.ts';
import { isHeldByRemoval, REMOVAL_WAIT_MS } from './passed-over.ts';
import { recoveryWork } from './recovery.ts';
import type { Group } from './types.ts';

/**
 * Work that a group's present value asks for. It follows from the value alone, so after a restart the same work is
 * found again, with the same idempotency keys. `key` tells one piece of work from another.
 */
export type Effect = { readonly key: string } & (
  | { readonly kind: 'create-group' }
  | { readonly kind: 'post-commit'; readonly id: ClientId }
  | { readonly kind: 'post-proposal'; readonly id: ClientId; readonly proposal: Uint8Array }
  | {
      readonly kind: 'post-messages';
      readonly idempotencyKey: ClientId;
      readonly messages: readonly { readonly id: ClientId; readonly message: Uint8Array }[];
    }
  /** The oldest file that the server does not have. */
  | { readonly kind: 'upload'; readonly localId: ClientId }
  | { readonly kind: 'share-topic' }
  /** What came and was read, after a while, so that much is told in one message. */
  | { readonly kind: 'tell-marks' }
  | { readonly kind: 'seal' }
  /** Seal again what the server refused, once the log is read up to here. */
  | { readonly kind: 'reseal' }
  /** After `attempts` lost epochs and `refusals`, to be waited for a while. */
  | { readonly kind: 'commit'; readonly attempts: number; readonly refusals: number }
  | { readonly kind: 'rejoin'; readonly attempts: number; readonly refusals: number }
  /** A commit that could not be processed here. */
  | { readonly kind: 'report' }
  /** After `attempts` rejoins. */
  | { readonly kind: 'recover'; readonly attempts: number }
  | { readonly kind: 'propose-leave' }
  /** Nobody else administers the group that is being left. */
  | { readonly kind: 'name-heir'; readonly heir: AccountId }
  /** Nobody is left who could commit the leave. */
  | { readonly kind: 'end-alone' }
  | { readonly kind: 'commit-proposals'; readonly delayMs: number }
  /** Own texts wait for a removal of this device that nobody carries out. */
  | { readonly kind: 'pass-over-removal'; readonly delayMs: number }
  /** Account changes up to here did not come. */
  | { readonly kind: 'ask-members'; readonly position: number }
  | { readonly kind: 'expel'; readonly devices: readonly DeviceId[]; readonly delayMs: number }
);

export function effectsOf(group: Group, sha256: Sha256): readonly Effect[] {
  const effects: Effect[] = [];
  if (group.phase === 'creating' && group.creation !== undefined) {
    const { id, asked = 0 } = group.creation;
    return [{ kind: 'create-group', key: `${id}/${asked}` }];
  }
  if (group.pending !== undefined && !group.pending.accepted) {
    effects.push({ kind: 'post-commit', key: group.pending.id, id: group.pending.id });
  }
  const intention = nextIntention(group);
  if (intention !== undefined) {
    const { attempts, refusals } = intention;
    const key = `${intention.id}/${attempts}/${refusals}`;
    effects.push({ kind: intention.kind === 'rejoin' ? 'rejoin' : 'commit', key, attempts, refusals });
  }
  const work = recoveryWork(group);
  if (work?.kind === 'report') effects.push({ kind: 'report', key: work.key });
  else if (work !== undefined) {
    effects.push({ kind: 'recover', key: work.key, attempts: group.recovery?.attempts ?? 0 });
  }
  const { membersDue } = group;
  if (membersDue !== undefined && group.phase === 'member') {
    effects.push({ kind: 'ask-members', key: `${membersDue}`, position: membersDue });
  }
  const turn = expelTurn(group);
  if (turn !== undefined && group.mls !== undefined) {
    effects.push({ kind: 'expel', key: `${epochOf(group.mls)}/${turn.devices.join()}`, ...turn });
  }
  effects.push(...outboxEffects(group, sha256), ...leaveEffects(group));
  return effects;
}

function outboxEffects(group: Group, sha256: Sha256): readonly Effect[] {
  if (group.phase !== 'member') return [];
  const messages = sendable(group).map(({ sealed: { id, message } }) => ({ id, message }));
  const effects: Effect[] = [];
  const [upload] = group.uploads ?? [];
  if (upload !== undefined) effects.push({ kind: 'upload', key: upload.localId, localId: upload.localId });
  if (messages.length > 0) {
    // the key follows from the ids: the same messages have the same key, also after a restart
    const idempotencyKey = toBase64Url(sha256(toUtf8(messages.map(({ id }) => id).join(' ')))) as ClientId;
    effects.push({ kind: 'post-messages', key: idempotencyKey, idempotencyKey, messages });
  }
  if (group.topicDue === true) effects.push({ kind: 'share-topic', key: `topic-${group.position}` });
  if (canSeal(group) && hasReport(group)) effects.push({ kind: 'tell-marks', key: 'marks' });
  if (canSeal(group)) {
    const [waiting] = dueTexts(group, { reseal: false });
    if (waiting !== undefined) effects.push({ kind: 'seal', key: waiting.localId });
    const stale = dueTexts(group, { reseal: true }).find((item) => item.stale);
    if (stale !== undefined) effects.push({ kind: 'reseal', key: stale.localId });
  }
  return effects;
}

function leaveEffects(group: Group): readonly Effect[] {
  const effects: Effect[] = [];
  const { leaving } = group;
  if (mustEndAlone(group)) effects.push({ kind: 'end-alone', key: 'end-alone' });
  else if (mustPropose(group)) effects.push({ kind: 'propose-leave', key: 'leave' });
  else if (leaving?.proposal !== undefined && !leaving.accepted && group.phase === 'member') {
    effects.push({ kind: 'post-proposal', key: leaving.id, id: leaving.id, proposal: leaving.proposal });
  }
  const heir = heirToName(group);
  if (heir !== undefined && group.mls !== undefined) {
    effects.push({ kind: 'name-heir', key: heirKey(epochOf(group.mls), heir), heir });
  }
  const delayMs = proposalTurn(group);
  if (delayMs !== undefined && !group.intentions.some((intention) => intention.kind !== 'rejoin')) {
    effects.push({
      kind: 'commit-proposals',
      key: `${group.mls === undefined ? 0 : epochOf(group.mls)}/${delayMs === 0}`,
      delayMs,
    });
  }
  if (isHeldByRemoval(group) && group.mls !== undefined) {
    effects.push({ kind: 'pass-over-removal', key: `${epochOf(group.mls)}`, delayMs: REMOVAL_WAIT_MS });
  }
  return effects;
}
