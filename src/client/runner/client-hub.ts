import type { GroupId } from '../../wire/ids.ts';
import type { ChatEvent } from '../chat-client.ts';
import type { IntentionOutcome, Signal } from '../engine/types.ts';
import type { Notice } from './chat-state.ts';
import { isRevoked, reasonOf } from './failures.ts';
import { statusOf } from './group-views.ts';
import type { LeaveSignal } from './leave-command.ts';
import { Aborted } from './retry.ts';
import type { Serial } from './serial.ts';
import { createWaiters, type Waiters } from './waiters.ts';

/** Where everything that happens in a client is told, and what it runs in the background ends. */
export interface ClientHub {
  /** Fires when the client closes or fails. */
  readonly signal: AbortSignal;
  readonly outcomes: Waiters<IntentionOutcome>;
  readonly creations: Waiters<Signal>;
  readonly leaves: Waiters<LeaveSignal>;
  emit(event: ChatEvent): void;
  subscribe(listener: (event: ChatEvent) => void): () => void;
  /** What a committed batch has to say, in its order; groups that changed go to `changed` as well. */
  tell(notices: readonly Notice[], changed: (id: GroupId) => void): void;
  /** Calls back after every committed batch. */
  onCommitted(listener: () => void): () => void;
  /** Owns a piece of work: its failure is the client's. */
  run(work: Promise<void>): void;
  /** The client can do nothing more, and says so. */
  fail(error: unknown): void;
  /** Ends what waits and runs. */
  close(): Promise<void>;
}

export function createClientHub(serial: Serial): ClientHub {
  const closing = new AbortController();
  const { signal } = closing;
  const outcomes = createWaiters<IntentionOutcome>('the change');
  const creations = createWaiters<Signal>('the creation');
  const leaves = createWaiters<LeaveSignal>('the leave');
  const listeners = new Set<(event: ChatEvent) => void>();
  const committed = new Set<() => void>();
  const running = new Set<Promise<void>>();

  const emit = (event: ChatEvent): void => {
    for (const listener of listeners) listener(event);
  };
  const stop = (): void => {
    closing.abort();
    outcomes.close();
    creations.close();
    leaves.close();
  };
  const fail = (error: unknown): void => {
    // a device that was revoked keeps what is stored here readable; whoever follows the log says what happened
    if (isRevoked(error)) return;
    serial.fail(error instanceof Error ? error : new Error(String(error)));
    emit({ type: 'connection', connection: { state: 'offline', reason: `stopped: ${reasonOf(error)}` } });
    stop();
  };
  const tellSignal = (group: GroupId, told: Signal): void => {
    switch (told.kind) {
      case 'sent':
        emit({ type: 'sent', id: told.localId, ...(told.refused === undefined ? {} : { refused: told.refused }) });
        break;
      case 'intention':
        outcomes.tell(told.id, told.outcome);
        break;
      case 'created':
      case 'name-taken':
      case 'creation-refused':
        creations.tell(group, told);
        break;
      case 'leave':
        leaves.tell(group, told);
        break;
    }
  };

  return {
    signal,
    outcomes,
    creations,
    leaves,
    emit,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    tell: (notices, changed) => {
      for (const notice of notices) {
        switch (notice.type) {
          case 'line':
            emit({ type: 'line', line: notice.line });
            break;
          case 'signal':
            tellSignal(notice.group, notice.signal);
            break;
          case 'changed':
            if (notice.after !== undefined && notice.after.phase !== 'creating') {
              emit({ type: 'group', group: statusOf(notice.after) });
            }
            changed(notice.id);
            break;
        }
      }
      for (const listener of committed) listener();
    },
    onCommitted: (listener) => {
      committed.add(listener);
      return () => committed.delete(listener);
    },
    run: (work) => {
      const watched = work
        .catch((error: unknown) => {
          if (!(error instanceof Aborted) && !signal.aborted) fail(error);
        })
        .finally(() => running.delete(watched));
      running.add(watched);
    },
    fail,
    close: async () => {
      stop();
      await Promise.all([...running]);
    },
  };
}
