import type { ProblemError } from '../../wire/problems.ts';
import type { MessagesResponse } from '../../wire/schemas/groups.ts';
import type { CommitAnswer } from '../engine/commits.ts';
import type { MessageResult } from '../engine/outbox.ts';
import { isRevoked, reasonOf } from './failures.ts';

/** What the engine makes of the refusal of a commit. The members of a problem are whatever the server sent. */
export function commitAnswerOf(error: ProblemError): CommitAnswer {
  switch (error.code) {
    case 'epoch-conflict': {
      const epoch: unknown = error.members.currentEpoch;
      // without an epoch to wait for, the commit is made again with the next attempt, of which there are so many
      return { kind: 'conflict', epoch: Number.isSafeInteger(epoch) ? (epoch as number) : 0 };
    }
    case 'invalid-commit':
      return { kind: 'invalid', reason: reasonOf(error) };
    case 'forbidden': {
      const kind = error.members.reason === 'not-a-member' ? 'taken-out' : 'refused';
      return { kind, reason: reasonOf(error) };
    }
    default:
      return { kind: 'refused', reason: reasonOf(error) };
  }
}

/** What became of one message of an accepted request. */
export function messageResultOf(result: MessagesResponse['results'][number]): MessageResult {
  const { id, problem, position } = result;
  if (problem !== undefined) return { id, ...MESSAGE_PROBLEMS[problem] };
  return { id, kind: 'accepted', ...(position === undefined ? {} : { position }) };
}

/**
 * What became of each message of a request that was refused as a whole. A revoked device is refused whatever it asks, also what was
 * placed before.
 *
 * @param isOpen whether a message was asked for before, without an answer
 */
export function refusedMessages(
  messages: readonly { readonly id: string }[],
  error: ProblemError,
  isOpen: (id: string) => boolean,
): readonly MessageResult[] {
  if (isRevoked(error)) {
    const reason = reasonOf(error);
    return messages.map(({ id }) => ({ id, kind: isOpen(id) ? 'unknown' : 'refused', reason }));
  }
  const kind =
    error.code === 'epoch-conflict' || error.code === 'idempotency-conflict'
      ? MESSAGE_PROBLEMS[error.code]
      : { kind: 'refused' as const, reason: reasonOf(error) };
  return messages.map(({ id }) => ({ id, ...kind }));
}

/**
 * What the answer's receipt has to be about: the last message that was placed. Where that is no longer on the server it is the entry
 * before all that still is; its head covers the message. `undefined`: nothing was placed.
 */
export function promisedPlace({
  results,
  logStart,
}: Pick<MessagesResponse, 'results' | 'logStart'>): { readonly id?: string; readonly position: number } | undefined {
  let last: { readonly id: string; readonly position: number } | undefined;
  for (const { id, position } of results) {
    if (position !== undefined && position > (last?.position ?? 0)) last = { id, position };
  }
  const isGone = last !== undefined && logStart !== undefined && last.position < logStart;
  return isGone ? { position: logStart - 1 } : last;
}

const MESSAGE_PROBLEMS = {
  'epoch-conflict': { kind: 'stale' },
  forbidden: { kind: 'refused', reason: 'you may not write there' },
  /** Of a text that was encrypted twice the other ciphertext was first: it is in the log, and its entry comes. */
  'idempotency-conflict': { kind: 'accepted' },
} as const;
