import type { GroupId } from '../../wire/ids.ts';
import type { ChatClient, ChatEvent } from '../chat-client.ts';
import { ClientError, type ClientErrorCode } from '../client-error.ts';
import type { PoisonedEntry, ReadingProgress } from './entry-reader.ts';
import { reasonOf } from './failures.ts';
import type { StartOptions } from './start.ts';

/** Methods of the client that are calls with one answer; `subscribe` is not, its events are always sent. */
export type CallMethod = Exclude<keyof ChatClient, 'subscribe'>;

export interface WorkerStart {
  readonly start: StartOptions;
  readonly progress: SharedArrayBuffer;
}

export type ToWorker =
  | { readonly type: 'call'; readonly id: number; readonly method: CallMethod; readonly args: readonly unknown[] }
  | { readonly type: 'ping'; readonly id: number };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly error: SentError }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'refusal'; readonly id: number; readonly error: SentError }
  | { readonly type: 'event'; readonly event: ChatEvent }
  | { readonly type: 'pong'; readonly id: number };

export interface SentError {
  readonly code: ClientErrorCode;
  readonly message: string;
}

export function sentError(error: unknown): SentError {
  return error instanceof ClientError
    ? { code: error.code, message: error.message }
    : { code: 'worker-failed', message: reasonOf(error) };
}

export function receivedError({ code, message }: SentError): ClientError {
  return new ClientError(code, message);
}

const GROUP_MAX_CHARACTERS = 64;
const NUMBERS = 4;
const ACTIVE = 0;
const COUNT = 1;
const POSITION = 2;
const GROUP_LENGTH = 3;

/** Memory that both threads see: which entry is being read is known even when the reader hangs or is gone. */
export function createProgressBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer(NUMBERS * Int32Array.BYTES_PER_ELEMENT + GROUP_MAX_CHARACTERS);
}

export function progressWriter(buffer: SharedArrayBuffer): ReadingProgress {
  const { numbers, characters } = viewsOf(buffer);
  return {
    begin: (group, position) => {
      for (let i = 0; i < group.length; i += 1) characters[i] = group.charCodeAt(i);
      numbers[GROUP_LENGTH] = group.length;
      numbers[POSITION] = position;
      Atomics.add(numbers, COUNT, 1);
      Atomics.store(numbers, ACTIVE, 1);
    },
    end: () => {
      Atomics.store(numbers, ACTIVE, 0);
    },
  };
}

/** The entry being read right now; `count` tells two readings of one entry apart. */
export function readProgress(buffer: SharedArrayBuffer): (PoisonedEntry & { readonly count: number }) | undefined {
  const { numbers, characters } = viewsOf(buffer);
  if (Atomics.load(numbers, ACTIVE) === 0) return undefined;
  const group = String.fromCharCode(...characters.slice(0, numbers[GROUP_LENGTH])) as GroupId;
  return { group, position: numbers[POSITION]!, count: Atomics.load(numbers, COUNT) };
}

function viewsOf(buffer: SharedArrayBuffer): { readonly numbers: Int32Array; readonly characters: Uint8Array } {
  return {
    numbers: new Int32Array(buffer, 0, NUMBERS),
    characters: new Uint8Array(buffer, NUMBERS * Int32Array.BYTES_PER_ELEMENT),
  };
}
