import type { GroupId } from '../../wire/ids.ts';
import type { ChatState } from './chat-state.ts';
import type { ClientHub } from './client-hub.ts';
import { Aborted, pause } from './retry.ts';
import { withAny } from './with-any.ts';

/** A commit that is in the log already is answered at once; longer than this, and it is better asked for anew. */
const ANSWER_TIMEOUT_MS = 60_000;

/**
 * Waits until the server has said what became of the group's pending commit, and asks it for that at once: the effect runner, which asks
 * since the commit was made, may be about to wait for long. And again whenever no answer came in a minute. Of two answers to one id the second says nothing new (D16).
 *
 * @param ask begins to ask, until its signal fires; owned by whoever gives it
 * @throws Aborted when the signal fires
 */
export async function waitUntilCommitAnswered(
  {
    state,
    hub,
    ask,
  }: {
    readonly state: Pick<ChatState, 'groups'>;
    readonly hub: Pick<ClientHub, 'onCommitted'>;
    readonly ask: (group: GroupId, signal: AbortSignal) => void;
  },
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
    while (!answered.signal.aborted && !signal.aborted) {
      const over = new AbortController();
      try {
        ask(group, over.signal);
        await withAny([signal, answered.signal], (either) => pause(ANSWER_TIMEOUT_MS, either));
      } finally {
        over.abort();
      }
    }
  } finally {
    stopLooking();
  }
  if (!answered.signal.aborted) throw new Aborted();
}
