import type { GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import { type CommitAnswer, commitAnswered } from '../engine/commits.ts';
import { type ProposalAnswer, proposalAnswered } from '../engine/leave.ts';
import { handshakesOf } from '../engine/opaque.ts';
import { type MessageResult, messagesAnswered } from '../engine/outbox.ts';
import { type Group, type Step, step } from '../engine/types.ts';
import { type CheckedReceipt, comparePlace } from '../engine/witness.ts';
import { onAbort } from '../on-abort.ts';
import type { EffectOf, EffectTools } from './effect-world.ts';
import { reasonOf } from './failures.ts';
import { commitAnswerOf, messageResultOf, promisedPlace, refusedMessages } from './server-answers.ts';
import { createUnanswered } from './unanswered.ts';

/** What is asked of the server with bytes that are stored: the same again until it is answered. */
export function createPostEffects(tools: EffectTools) {
  const { env, api, state, serial, receipts, sync, update, answered, placed, checked } = tools;
  const unanswered = createUnanswered(state.groups.values());

  /** What a log answered that was replaced meanwhile is dropped: the group is as it was, and asks the one that is there now. */
  const unlessReplaced = (take: (group: Group) => Step): ((group: Group) => Step) => {
    const { compared } = sync;
    return (group) => (sync.compared === compared ? take(group) : step(group));
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
    const take = unlessReplaced((group) => comparePlace(env, commitAnswered(group, pending.id, answer)));
    try {
      const accepted = await placed(() => api.postCommit(pending.id, id, pending.body), signal);
      receipt = await checked(bytes, accepted, pending.id, signal);
      answer = { kind: 'accepted', position: accepted.position };
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      answer = commitAnswerOf(error);
    }
    await update(id, take, receipt);
  };

  const postMessages = async (id: GroupId, effect: EffectOf<'post-messages'>, signal: AbortSignal): Promise<void> => {
    let results: readonly MessageResult[];
    let receipt: CheckedReceipt | undefined;
    const take = unlessReplaced((group) => messagesAnswered(env, group, results));
    try {
      const { idempotencyKey, messages } = effect;
      const post = () => unanswered.ask(messages, () => api.postMessages(idempotencyKey, id, messages));
      const answer = await placed(post, signal);
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
    await update(id, take, receipt);
  };

  const postProposal = async (id: GroupId, effect: EffectOf<'post-proposal'>, signal: AbortSignal): Promise<void> => {
    let answer: ProposalAnswer;
    let receipt: CheckedReceipt | undefined;
    const take = unlessReplaced((group) => proposalAnswered(group, effect.id, answer));
    try {
      const accepted = await placed(() => api.postProposal(effect.id, id, effect.proposal), signal);
      const bytes = state.groups.get(id)?.bytes;
      if (bytes !== undefined) receipt = await checked(bytes, accepted, effect.id, signal);
      answer = { kind: 'accepted' };
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      answer = error.code === 'epoch-conflict' ? { kind: 'stale' } : { kind: 'refused', reason: reasonOf(error) };
    }
    await update(id, take, receipt);
  };

  return { createGroup, postCommit, postMessages, postProposal };
}

function waitForAbort(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    onAbort(signal, resolve);
  });
}
