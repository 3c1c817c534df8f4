import { type GroupId, newClientId, type Position } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { Accepted } from '../../wire/schemas/groups.ts';
import { accountsToAsk, membersAsked } from '../engine/account-entry.ts';
import { type CommitAnswer, commitAnswered, prepareCommit, prepareRejoin } from '../engine/commits.ts';
import type { Effect } from '../engine/effects.ts';
import { addIntention, heirWish, refuseIntention } from '../engine/intentions.ts';
import { endAlone, heirToName, type ProposalAnswer, proposalAnswered, proposeLeave } from '../engine/leave.ts';
import { handshakesOf } from '../engine/opaque.ts';
import { type MessageResult, messagesAnswered, sealTexts, shareTopic, tellMarks } from '../engine/outbox.ts';
import { endedMeanwhile, reportAnswered, tryRecovery } from '../engine/recovery.ts';
import { type EngineEnv, type Group, type Needs, type Step, step } from '../engine/types.ts';
import { type CheckedReceipt, comparePlace, takeReceipt } from '../engine/witness.ts';
import { onAbort } from '../on-abort.ts';
import type { ClientStore } from '../store/client-store.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { AccountBook } from './accounts.ts';
import { createUploader } from './attachments.ts';
import type { ChatState } from './chat-state.ts';
import type { PerformEffect } from './effect-runner.ts';
import { reasonOf } from './failures.ts';
import { createMemberLookups } from './member-lookups.ts';
import type { ReceiptBook } from './receipt-book.ts';
import { Aborted, backoffMs, pause, untilAnswered } from './retry.ts';
import type { Serial } from './serial.ts';
import { commitAnswerOf, messageResultOf, promisedPlace, refusedMessages } from './server-answers.ts';
import type { SyncLoop } from './sync-loop.ts';
import { createUnanswered } from './unanswered.ts';

/** Jitter before a commit that lost its epoch is made anew: up to this much for each loss, up to a bound. */
export const COMMIT_JITTER_MS = 40;
export const COMMIT_JITTER_MAX_MS = 2_000;

/** What comes and is read within this time is told in one message. */
const MARKS_BATCH_MS = 10_000;

/** Each rejoin that was refused quadruples the wait before the next. */
const RECOVERY_BACKOFF_STEPS = 2;

export interface EffectWorld {
  readonly env: EngineEnv;
  readonly api: ServerApi;
  readonly store: ClientStore;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly accounts: AccountBook;
  readonly receipts: ReceiptBook;
  readonly sync: Pick<SyncLoop, 'whenUpToDate'>;
  /** Resolves when everything that is in the log now is processed. */
  readonly caughtUp: (signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
}

/** The one place where what the engine asks for meets the network. */
export function createPerformEffect(world: EffectWorld): PerformEffect {
  const { env, api, store, state, serial, accounts, receipts, sync, caughtUp, random } = world;
  const unanswered = createUnanswered(state.groups.values());
  const lookups = createMemberLookups(world);

  /** Takes a step on the group as it is now; stored when this resolves. */
  const update = (
    id: GroupId,
    take: (group: Group) => Promise<Step | Needs> | Step,
    receipt?: CheckedReceipt,
  ): Promise<Needs | undefined> =>
    serial.run(async () => {
      const batch = state.begin();
      const group = batch.group(id);
      if (group === undefined) return undefined;
      const result = await take(group);
      if (!('lines' in result)) return result;
      batch.take(result);
      if (receipt !== undefined) batch.take(takeReceipt(env, result.group, receipt));
      await batch.commit();
      return undefined;
    });
  const answered = <Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> =>
    untilAnswered(
      async () => {
        // what is asked for must survive a power cut, or its key or ratchet generation could be used again
        await store.durable();
        return ask();
      },
      { signal, random, wake: (ms) => pause(ms, signal) },
    );

  /** The receipt of an accepted request, looked at. */
  const checked = (
    group: Uint8Array,
    answer: Accepted,
    entry: string,
    signal: AbortSignal,
  ): Promise<CheckedReceipt> => {
    const { position, head, receipt } = answer;
    return answered(() => receipts.check(receipt, { group, position, head, id: entry }), signal);
  };

  const createGroup = async (id: GroupId, signal: AbortSignal): Promise<void> => {
    const group = state.groups.get(id);
    if (group?.creation === undefined) return;
    const { creation, name, bytes } = group;
    try {
      const body = { group: bytes, name, groupInfo: creation.groupInfo, ...handshakesOf(group) };
      const accepted = await answered(() => api.createGroup(creation.id, body), signal);
      await update(id, (present) => step(present), await checked(bytes, accepted, creation.id, signal));
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      await serial.run(async () => {
        const batch = state.begin();
        const signalOf = { kind: 'creation-refused', reason: reasonOf(error) } as const;
        const taken = error.code === 'name-taken' ? ({ kind: 'name-taken' } as const) : signalOf;
        const present = batch.group(id);
        if (present?.phase !== 'creating') return;
        batch.take(step(present, { signals: [taken] }));
        batch.remove(id);
        await batch.commit();
      });
      return;
    }
    // its entry, which makes it ours, comes in the log
    await waitForAbort(signal);
  };

  const postCommit = async (id: GroupId, signal: AbortSignal): Promise<void> => {
    const { pending, bytes } = state.groups.get(id) ?? {};
    if (pending === undefined || bytes === undefined) return;
    let answer: CommitAnswer;
    let receipt: CheckedReceipt | undefined;
    try {
      const accepted = await answered(() => api.postCommit(pending.id, id, pending.body), signal);
      receipt = await checked(bytes, accepted, pending.id, signal);
      answer = { kind: 'accepted', position: accepted.position };
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      answer = commitAnswerOf(error);
    }
    await update(id, (group) => comparePlace(env, commitAnswered(group, pending.id, answer)), receipt);
  };

  const postMessages = async (
    id: GroupId,
    effect: Effect & { kind: 'post-messages' },
    signal: AbortSignal,
  ): Promise<void> => {
    let results: readonly MessageResult[];
    let receipt: CheckedReceipt | undefined;
    try {
      const { idempotencyKey, messages } = effect;
      const post = () => unanswered.ask(messages, () => api.postMessages(idempotencyKey, id, messages));
      const answer = await answered(post, signal);
      results = answer.results.map(messageResultOf);
      const promised = promisedPlace(answer);
      const group = state.groups.get(id);
      if (promised !== undefined && group !== undefined) {
        const place = { group: group.bytes, ...promised };
        receipt = await answered(() => receipts.check(answer.receipt, place), signal);
      }
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      results = refusedMessages(effect.messages, error, unanswered.has);
    }
    // of one that has to be encrypted anew an earlier copy may still be on its way
    unanswered.forget(results.filter(({ kind }) => kind !== 'stale'));
    await update(id, (group) => messagesAnswered(env, group, results), receipt);
  };

  const postProposal = async (
    id: GroupId,
    effect: Effect & { kind: 'post-proposal' },
    signal: AbortSignal,
  ): Promise<void> => {
    let answer: ProposalAnswer;
    let receipt: CheckedReceipt | undefined;
    try {
      const accepted = await answered(() => api.postProposal(effect.id, id, effect.proposal), signal);
      const bytes = state.groups.get(id)?.bytes;
      if (bytes !== undefined) receipt = await checked(bytes, accepted, effect.id, signal);
      answer = { kind: 'accepted' };
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      answer = error.code === 'epoch-conflict' ? { kind: 'stale' } : { kind: 'refused', reason: reasonOf(error) };
    }
    await update(id, (group) => proposalAnswered(group, effect.id, answer), receipt);
  };

  const rejoin = async (id: GroupId, effect: Effect & { kind: 'rejoin' }, signal: AbortSignal): Promise<void> => {
    await pause(commitDelay(effect.attempts, effect.refusals, random), signal);
    const served = await answered(() => api.groupInfo(id), signal).catch((error: unknown) => {
      if (!(error instanceof ProblemError)) throw error;
      return error;
    });
    const isUnserved = served instanceof ProblemError && served.code === 'not-found';
    if (
      isUnserved &&
      state.groups.get(id)?.recovery !== undefined &&
      // a member of a group that has no GroupInfo is told the same; the group itself is hidden from nobody who is in it
      (await answered(() => api.endOf(id), signal)) === undefined
    ) {
      // taken out in what could not be read; whatever was left to show has to have come by then
      await caughtUp(signal);
      await update(id, (group) => endedMeanwhile(env, group));
    }
    for (;;) {
      const needs = await update(id, (group) => {
        if (!(served instanceof ProblemError)) return prepareRejoin(env, group, served);
        const [intention] = group.intentions;
        return intention?.kind === 'rejoin' ? refuseIntention(group, intention.id, reasonOf(served)) : step(group);
      });
      if (needs?.kind !== 'needs-accounts') return;
      await answered(() => accounts.fetch(needs.accounts), signal);
    }
  };

  const report = async (id: GroupId, signal: AbortSignal): Promise<void> => {
    const recovery = state.groups.get(id)?.recovery;
    if (recovery === undefined) return;
    const { epoch, position, commit, code } = recovery;
    const body = { epoch, position: position as Position, commit, reason: 'cannot-process', code } as const;
    await answered(() => api.postReport(id, body), signal).catch((error: unknown) => {
      // one that is not taken is no reason to stay out: the way back goes on
      if (!(error instanceof ProblemError)) throw error;
    });
    await update(id, (group) => reportAnswered(group, position));
  };

  const recover = async (id: GroupId, attempts: number, signal: AbortSignal): Promise<void> => {
    // whoever was invited anew meanwhile is back already
    await caughtUp(signal);
    if (attempts > 0) await pause(backoffMs(attempts * RECOVERY_BACKOFF_STEPS, random), signal);
    if (signal.aborted) throw new Aborted();
    await update(id, (group) => tryRecovery(env, group));
  };

  /** Whoever was let in has not read what the accounts of the others went through before. */
  const askMembers = async (id: GroupId, position: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) throw new Aborted();
    const group = state.groups.get(id);
    if (group === undefined) return;
    await lookups.ask(accountsToAsk(env, group), { group: id, signal });
    await update(id, (present) => membersAsked(env, present, position));
  };

  const upload = createUploader(world);

  return async (id, effect, signal) => {
    switch (effect.kind) {
      case 'create-group':
        return createGroup(id, signal);
      case 'post-commit':
        return postCommit(id, signal);
      case 'post-messages':
        return postMessages(id, effect, signal);
      case 'post-proposal':
        return postProposal(id, effect, signal);
      case 'rejoin':
        return rejoin(id, effect, signal);
      case 'report':
        return report(id, signal);
      case 'recover':
        return recover(id, effect.attempts, signal);
      case 'upload':
        return upload(id, effect.localId, signal);
      case 'tell-marks':
        await sync.whenUpToDate(signal, id);
        await pause(MARKS_BATCH_MS, signal);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => {
          const localId = newClientId(env.now(), env.randomBytes);
          return tellMarks(env, group, { localId, ordinal: state.nextOutboxOrdinal() });
        });
        return;
      case 'share-topic':
        await update(id, (group) => {
          const localId = newClientId(env.now(), env.randomBytes);
          return shareTopic(env, group, { localId, ordinal: state.nextOutboxOrdinal() });
        });
        return;
      case 'seal':
        await sync.whenUpToDate(signal, id);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => sealTexts(env, group, { reseal: false }));
        return;
      case 'reseal':
        // only what is certainly not in the log may be encrypted a second time
        await caughtUp(signal);
        await update(id, (group) => sealTexts(env, group, { reseal: true }));
        return;
      case 'commit':
        await sync.whenUpToDate(signal, id);
        await pause(commitDelay(effect.attempts, effect.refusals, random), signal);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => prepareCommit(env, group));
        return;
      case 'propose-leave':
        await sync.whenUpToDate(signal, id);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => proposeLeave(env, group));
        return;
      case 'name-heir':
        await sync.whenUpToDate(signal, id);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => {
          // who was to stay may have asked to go meanwhile
          if (heirToName(group) !== effect.heir) return step(group);
          return addIntention(group, heirWish(effect.key), { kind: 'roles', appoint: [effect.heir], dismiss: [] });
        });
        return;
      case 'end-alone':
        // somebody may have joined from outside, and can let us out
        await caughtUp(signal);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => endAlone(env, group));
        return;
      case 'ask-members':
        await sync.whenUpToDate(signal, id);
        return askMembers(id, effect.position, signal);
      case 'expel':
        await sync.whenUpToDate(signal, id);
        await pause(effect.delayMs, signal);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) =>
          addIntention(group, `expel-${effect.key}`, { kind: 'expel', devices: effect.devices }),
        );
        return;
      case 'commit-proposals':
        await sync.whenUpToDate(signal, id);
        await pause(effect.delayMs, signal);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => addIntention(group, `proposals-${effect.key}`, { kind: 'commit-proposals' }));
        return;
    }
  };
}

function commitDelay(attempts: number, refusals: number, random: () => number): number {
  const afterLoss = Math.min(COMMIT_JITTER_MAX_MS, COMMIT_JITTER_MS * attempts) * random();
  return afterLoss + (refusals === 0 ? 0 : backoffMs(refusals, random));
}

function waitForAbort(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    onAbort(signal, resolve);
  });
}
