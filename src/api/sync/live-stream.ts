import { setMaxListeners } from 'node:events';
import { ProjectionError } from '../../projections/errors.ts';
import type { ReadModel, SyncResult } from '../../projections/read-model.ts';
import type { Cursor, DeviceId } from '../../wire/ids.ts';
import type { StreamFormat } from './stream-format.ts';

/** Where a stream's bytes go. */
export interface StreamSink {
  /** `false`: the reader is behind; wait for `drained` before the next one. */
  write(parts: readonly Uint8Array[]): boolean;
  /** Settles with `true` once there is room, with `false` when there is none in time or the reader has gone. */
  drained(timeoutMs: number): Promise<boolean>;
  readonly gone: AbortSignal;
  /** No more follows; what the reader does not take soon is dropped. */
  end(): void;
}

export interface LiveStreamOptions {
  readonly readModel: Pick<ReadModel, 'syncPage' | 'watch' | 'device'>;
  readonly device: DeviceId;
  readonly cursor: string;
  readonly format: StreamFormat;
  readonly sink: StreamSink;
  readonly maxEntries: number;
  readonly heartbeatMs: number;
  readonly drainTimeoutMs: number;
  /** Aborted when the server closes. */
  readonly closing: AbortSignal;
  /** How long the caller's session goes on; `undefined` when the device key itself signed. */
  readonly endsInMs: number | undefined;
}

/** Pages of a stream are smaller than others, so that a slow reader holds no more than this. */
const STREAM_PAGE_MAX_BYTES = 256 * 1024;
/** Under load, what arrives within this time travels together. */
const COALESCE_MS = 4;
/** A longer timer would fire at once. */
const TIMER_MAX_MS = 2 ** 31 - 1;

/**
 * Replays from the cursor, says `caught-up` once, goes on with what comes. It holds nothing but its cursor: a wake
 * carries no data, and every page is read when the reader has room for it. So there is no seam between replay and
 * live, and a slow reader costs a cursor. A session that ends and a device that is revoked end it too, the latter at once.
 *
 * Settles when the stream has ended, for whatever reason; says the reason as its last item where it still can.
 */
export async function runLiveStream(options: LiveStreamOptions): Promise<void> {
  const { readModel, device, format, sink, heartbeatMs, drainTimeoutMs, closing } = options;
  const limits = { maxEntries: options.maxEntries, maxBytes: STREAM_PAGE_MAX_BYTES };
  const expiry = new AbortController();
  const alarm = createAlarm([closing, sink.gone, expiry.signal]);
  const timer =
    options.endsInMs === undefined
      ? undefined
      : setTimeout(() => expiry.abort(), Math.min(options.endsInMs, TIMER_MAX_MS));
  const watch = readModel.watch(device, alarm.ring);
  let cursor = options.cursor;
  let isCaughtUp = false;
  try {
    while (!sink.gone.aborted) {
      if (closing.aborted) return end('server-closing', true);
      if (expiry.signal.aborted) return end('session-expired', true);
      alarm.reset(); // before reading: what arrives from here on rings again
      const result = readNext();
      if (typeof result === 'string') return end(result, result === 'not-ready');
      if (result.kind === 'cursor-invalid') return end('cursor-invalid', false);
      const { page } = result;
      cursor = page.cursor;
      const says = page.framed.length > 0 || page.gaps !== undefined;
      if (says && !(await send(format.page(page)))) return end('slow-reader', true);
      if (!page.upToDate) {
        await nextTurn();
        continue;
      }
      if (!isCaughtUp) {
        isCaughtUp = true;
        if (!(await send(format.item({ type: 'caught-up', cursor: cursor as Cursor }))))
          return end('slow-reader', true);
      }
      const sentAt = performance.now();
      if ((await alarm.wait(heartbeatMs)) === 'timeout') {
        if (!(await send(format.item({ type: 'heartbeat' })))) return end('slow-reader', true);
      } else if (performance.now() - sentAt < COALESCE_MS) await pause(COALESCE_MS);
    }
  } finally {
    clearTimeout(timer);
    watch.close();
    alarm.close();
  }

  /** The next page, or why there is none. */
  function readNext(): SyncResult | 'device-revoked' | 'not-ready' {
    try {
      if (readModel.device(device) === undefined) return 'device-revoked';
      return readModel.syncPage(device, cursor, limits);
    } catch (error) {
      if (error instanceof ProjectionError) return 'not-ready'; // the tables are being made anew
      throw error;
    }
  }

  async function send(parts: readonly Uint8Array[]): Promise<boolean> {
    return sink.write(parts) || (await sink.drained(drainTimeoutMs)) || sink.gone.aborted;
  }

  function end(reason: string, resumable: boolean): void {
    sink.write(format.item({ type: 'closing', reason, resumable }));
  }
}

interface Alarm {
  readonly ring: () => void;
  reset(): void;
  /** At once when it rang since the last reset. */
  wait(timeoutMs: number): Promise<'rang' | 'timeout'>;
  close(): void;
}

/** One waiter; rings that come while nobody waits are kept, as one. The signals ring it too. */
function createAlarm(signals: readonly AbortSignal[]): Alarm {
  let hasRung = false;
  let wake: (() => void) | undefined;
  const ring = (): void => {
    hasRung = true;
    wake?.();
  };
  for (const signal of signals) {
    setMaxListeners(0, signal); // every open stream hears the server's: many are no leak
    signal.addEventListener('abort', ring);
  }
  return {
    ring,
    reset() {
      hasRung = signals.some((signal) => signal.aborted);
    },
    async wait(timeoutMs) {
      if (hasRung) return 'rang';
      return await new Promise((resolve) => {
        const settle = (how: 'rang' | 'timeout'): void => {
          clearTimeout(timer);
          wake = undefined;
          resolve(how);
        };
        const timer = setTimeout(settle, timeoutMs, 'timeout');
        wake = () => settle('rang');
      });
    },
    close() {
      for (const signal of signals) signal.removeEventListener('abort', ring);
    },
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
