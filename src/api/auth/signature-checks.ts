import { Worker } from 'node:worker_threads';
import { notReady } from '../http/problem.ts';
import { hasFormOfEd25519, packChecks, type SignatureCheck, type Verdict } from './signature-batch.ts';

/**
 * Checks Ed25519 signatures (RFC 8032) off the event loop, in one thread of its own (ADR 27). The thread does not keep a process alive:
 * whoever waits for a verdict has a connection open.
 */
export interface SignatureChecks {
  /** @returns whether the key signed the data. @throws ProblemError `not-ready` when the thread ended meanwhile, or this is closed */
  check(check: SignatureCheck): Promise<boolean>;
  /** Ends the thread; whoever waits for a verdict, or comes later, is told that the server is closing. */
  close(): Promise<void>;
}

export interface SignatureChecksOptions {
  /** Told why a thread ended by itself, or could not be started. The next check starts another one. */
  readonly onFailure: (error: Error) => void;
  /** Starts a thread that takes and gives what the usual one does. */
  readonly startWorker?: () => Worker;
}

interface Asked {
  readonly check: SignatureCheck;
  readonly resolve: (isGenuine: boolean) => void;
  readonly reject: (error: Error) => void;
}

/** A thread, and what it was given and has not answered, the oldest first. */
interface Thread {
  readonly worker: Worker;
  readonly underWay: (readonly Asked[])[];
}

/** So many go to the thread together: the first of them wait for the verdict on the last. */
const BATCH_MAX = 16;

/** Starts the thread. */
export function createSignatureChecks(options: SignatureChecksOptions): SignatureChecks {
  const { onFailure, startWorker = startSignatureWorker } = options;
  const waiting: Asked[] = [];
  let thread: Thread | undefined;
  let closed = false;

  const refuse = (asked: readonly Asked[], cause?: unknown): void => {
    const problem = closed
      ? notReady('the server is closing')
      : notReady('signatures cannot be checked at the moment', cause);
    for (const { reject } of asked) reject(problem);
  };
  const start = (): Thread => {
    const started: Thread = { worker: startWorker(), underWay: [] };
    const { worker, underWay } = started;
    let cause: Error | undefined;
    worker.on('message', (verdicts: readonly Verdict[]) => answer(underWay.shift() ?? [], verdicts));
    worker.on('error', (error: Error) => {
      cause = error;
    });
    worker.on('exit', (code) => {
      if (thread === started) thread = undefined;
      const error = cause ?? new Error(`the thread that checks signatures ended with ${code}`);
      if (!closed) onFailure(error);
      refuse(underWay.splice(0).flat(), error);
    });
    worker.unref(); // behind the listeners, which count as a reason to go on
    return started;
  };
  const send = (): void => {
    while (waiting.length > 0) {
      const asked = waiting.splice(0, BATCH_MAX);
      if (closed) {
        refuse(asked);
        continue;
      }
      try {
        thread ??= start();
        const packed = packChecks(asked.map(({ check }) => check));
        thread.worker.postMessage(packed, [packed.buffer as ArrayBuffer]);
        thread.underWay.push(asked);
      } catch (error) {
        onFailure(error as Error);
        refuse(asked, error);
      }
    }
  };

  thread = start();
  return {
    check(check) {
      if (!hasFormOfEd25519(check)) return Promise.resolve(false);
      return new Promise((resolve, reject) => {
        // what is asked for in one turn of the event loop goes together
        if (waiting.length === 0) setImmediate(send);
        waiting.push({ check, resolve, reject });
      });
    },
    async close() {
      closed = true;
      await thread?.worker.terminate();
    },
  };
}

function answer(asked: readonly Asked[], verdicts: readonly Verdict[]): void {
  for (const [index, { resolve, reject }] of asked.entries()) {
    const verdict = verdicts[index]!;
    if (typeof verdict === 'boolean') resolve(verdict);
    else reject(new Error(`a signature cannot be checked: ${verdict.problem}`));
  }
}

function startSignatureWorker(): Worker {
  const isSource = import.meta.url.endsWith('.ts');
  const entry = isSource ? './signature-worker-from-source.mjs' : './signature-worker.js';
  return new Worker(new URL(entry, import.meta.url), { execArgv: [] });
}
