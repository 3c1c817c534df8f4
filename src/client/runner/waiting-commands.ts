import type { ChatClient } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import type { ChatState } from './chat-state.ts';
import type { ClientHub } from './client-hub.ts';
import { asClientError } from './failures.ts';
import { Aborted, pause } from './retry.ts';
import type { SyncLoop } from './sync-loop.ts';
import { withAny } from './with-any.ts';

/** What a program waits for: that all came, and that all went out. Both try the server now, and not at the end of a pause. */
export function createWaitingCommands(world: {
  readonly signal: AbortSignal;
  readonly state: Pick<ChatState, 'groups'>;
  readonly sync: Pick<SyncLoop, 'nudge' | 'connection'>;
  readonly hub: Pick<ClientHub, 'onCommitted'>;
  readonly catchUp: (signal: AbortSignal) => Promise<void>;
  /** @throws ClientError `closed` */
  readonly checkOpen: () => void;
}): Pick<ChatClient, 'caughtUp' | 'flushed'> & {
  /** Texts and files that the server has not taken. */
  readonly unsent: () => number;
} {
  const { signal, state, sync, hub, catchUp, checkOpen } = world;
  const unsent = (): number =>
    [...state.groups.values()].reduce(
      (sum, { outbox, uploads = [] }) => sum + outbox.filter((item) => !item.accepted).length + uploads.length,
      0,
    );
  return {
    unsent,
    caughtUp: async (timeoutMs) => {
      checkOpen();
      sync.nudge();
      const timeout = AbortSignal.timeout(timeoutMs);
      try {
        await withAny([signal, timeout], (either) => catchUp(either));
      } catch (error) {
        checkOpen();
        if (!(error instanceof Aborted)) throw asClientError(error, 'catching up');
        const { connection } = sync;
        if (connection.state === 'online') throw new ClientError('timeout', `not caught up within ${timeoutMs} ms`);
        const why = connection.state === 'offline' ? connection.reason : 'no answer yet';
        throw new ClientError('unreachable', `the server cannot be reached: ${why}`);
      }
    },
    flushed: async (timeoutMs) => {
      if (unsent() > 0 && !signal.aborted) {
        const empty = new AbortController();
        const look = (): void => {
          if (unsent() === 0) empty.abort();
        };
        const stopLooking = hub.onCommitted(look);
        sync.nudge();
        await withAny([signal, empty.signal], (either) => pause(timeoutMs, either));
        stopLooking();
      }
      return unsent();
    },
  };
}
