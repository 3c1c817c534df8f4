import type { GroupId } from '../../wire/ids.ts';
import { TransportError } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';
import type { ClientHub } from './client-hub.ts';
import { Aborted, pause } from './retry.ts';
import { withAny } from './with-any.ts';

/** A commit that is in the log already is answered at once; longer than this, and the stream is better begun anew. */
const ANSWER_TIMEOUT_MS = 60_000;

/**
 * Waits until the server has said what became of the group's pending commit. Asking is the effect runner's business, which has done
 * so since the commit was made.
 *
 * @throws Aborted when the signal fires; TransportError when no answer came in a minute
 */
export async function waitUntilCommitAnswered(
  { state, hub }: { readonly state: Pick<ChatState, 'groups'>; readonly hub: Pick<ClientHub, 'onCommitted'> },
  group: GroupId,
  signal: AbortSignal,
): Promise<void> {
  const answered = new AbortController();
  const look = (): void => {
    if (state.groups.get(group)?.pending?.accepted !== false) answered.abort();
  };
  const stopLooking = hub.onCommitted(look);
  try {
    look();
    await withAny([signal, answered.signal], (either) => pause(ANSWER_TIMEOUT_MS, either));
  } finally {
    stopLooking();
  }
  if (answered.signal.aborted) return;
  if (signal.aborted) throw new Aborted();
  throw new TransportError('unreachable', 'the server does not say what became of a commit');
}
