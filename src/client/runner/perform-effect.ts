import type { GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { MessagesResponse } from '../../wire/schemas/groups.ts';
import { type CommitAnswer, commitAnswered, prepareCommit, prepareRejoin } from '../engine/commits.ts';
import type { Effect } from '../engine/effects.ts';
import { addIntention, refuseIntention } from '../engine/intentions.ts';
import { type ProposalAnswer, proposalAnswered, proposeLeave } from '../engine/leave.ts';
import { type MessageResult, messagesAnswered, sealTexts } from '../engine/outbox.ts';
import { type EngineEnv, type Group, type Needs, type Step, step } from '../engine/types.ts';
import type { ClientStore } from '../store/client-store.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { AccountBook } from './accounts.ts';
import type { ChatState } from './chat-state.ts';
import type { PerformEffect } from './effect-runner.ts';
import { reasonOf } from './failures.ts';
import { Aborted, backoffMs, pause, untilAnswered } from './retry.ts';
import type { Serial } from './serial.ts';
import type { SyncLoop } from './sync-loop.ts';

/** Jitter before a commit that lost its epoch is made anew: up to this much for each loss, up to a bound. */
export const COMMIT_JITTER_MS = 40;
export const COMMIT_JITTER_MAX_MS = 2_000;

export interface EffectWorld {
  readonly env: EngineEnv;
  readonly api: ServerApi;
  readonly store: ClientStore;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly accounts: AccountBook;
  readonly sync: Pick<SyncLoop, 'whenUpToDate'>;
  /** Resolves when everything that is in the log now is processed. */
  readonly caughtUp: (signal: AbortSignal) => Promise<void>;
  readonly random: () => number;
}

/** The one place where what the engine asks for meets the network. */
export function createPerformEffect(world: EffectWorld): PerformEffect {
  const { env, api, store, state, serial, accounts, sync, caughtUp, random } = world;

  /** Takes a step on the group as it is now; stored when this resolves. */
  const update = (id: GroupId, take: (group: Group) => Promise<Step | Needs> | Step): Promise<Needs | undefined> =>
    serial.run(async () => {
      const batch = state.begin();
      const group = batch.group(id);
      if (group === undefined) return undefined;
      const result = await take(group);
      if (!('lines' in result)) return result;
      batch.take(result);
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

  const createGroup = async (id: GroupId, signal: AbortSignal): Promise<void> => {
    const group = state.groups.get(id);
    if (group?.creation === undefined) return;
    const { creation, name, bytes } = group;
    try {
      await answered(() => api.createGroup(creation.id, { group: bytes, name, groupInfo: creation.groupInfo }), signal);
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
    const pending = state.groups.get(id)?.pending;
    if (pending === undefined) return;
    let answer: CommitAnswer;
    try {
      await answered(() => api.postCommit(pending.id, id, pending.body), signal);
      answer = { kind: 'accepted' };
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      answer = commitAnswerOf(error);
    }
    await update(id, (group) => commitAnswered(group, pending.id, answer));
  };

  const postMessages = async (
    id: GroupId,
    effect: Effect & { kind: 'post-messages' },
    signal: AbortSignal,
  ): Promise<void> => {
    let results: readonly MessageResult[];
    try {
      const answer = await answered(() => api.postMessages(effect.idempotencyKey, id, effect.messages), signal);
      results = answer.results.map(messageResultOf);
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      const kind =
        error.code === 'epoch-conflict'
          ? ({ kind: 'stale' } as const)
          : { kind: 'refused' as const, reason: reasonOf(error) };
      results = effect.messages.map((message) => ({ id: message.id, ...kind }));
    }
    await update(id, (group) => messagesAnswered(env, group, results));
  };

  const postProposal = async (
    id: GroupId,
    effect: Effect & { kind: 'post-proposal' },
    signal: AbortSignal,
  ): Promise<void> => {
    let answer: ProposalAnswer;
    try {
      await answered(() => api.postProposal(effect.id, id, effect.proposal), signal);
      answer = { kind: 'accepted' };
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      answer = error.code === 'epoch-conflict' ? { kind: 'stale' } : { kind: 'refused', reason: reasonOf(error) };
    }
    await update(id, (group) => proposalAnswered(group, effect.id, answer));
  };

  const rejoin = async (id: GroupId, effect: Effect & { kind: 'rejoin' }, signal: AbortSignal): Promise<void> => {
    await pause(commitDelay(effect.attempts, effect.refusals, random), signal);
    const served = await answered(() => api.groupInfo(id), signal).catch((error: unknown) => {
      if (!(error instanceof ProblemError)) throw error;
      return error;
    });
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
      case 'seal':
        await sync.whenUpToDate(signal);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => sealTexts(env, group, { reseal: false }));
        return;
      case 'reseal':
        // only what is certainly not in the log may be encrypted a second time
        await caughtUp(signal);
        await update(id, (group) => sealTexts(env, group, { reseal: true }));
        return;
      case 'commit':
        await sync.whenUpToDate(signal);
        await pause(commitDelay(effect.attempts, effect.refusals, random), signal);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => prepareCommit(env, group));
        return;
      case 'propose-leave':
        await sync.whenUpToDate(signal);
        if (signal.aborted) throw new Aborted();
        await update(id, (group) => proposeLeave(env, group));
        return;
      case 'commit-proposals':
        await sync.whenUpToDate(signal);
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

function commitAnswerOf(error: ProblemError): CommitAnswer {
  switch (error.code) {
    case 'epoch-conflict':
      return { kind: 'conflict', epoch: error.members.currentEpoch ?? 0 };
    case 'invalid-commit':
      return { kind: 'invalid', reason: reasonOf(error) };
    default:
      return { kind: 'refused', reason: reasonOf(error) };
  }
}

function messageResultOf(result: MessagesResponse['results'][number]): MessageResult {
  const { id, problem } = result;
  if (problem === undefined) return { id, kind: 'accepted' };
  return problem === 'epoch-conflict' ? { id, kind: 'stale' } : { id, kind: 'refused', reason: REFUSALS[problem] };
}

const REFUSALS = {
  forbidden: 'you may not write there',
  'idempotency-conflict': 'the server has another message under its id',
} as const;

function waitForAbort(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
