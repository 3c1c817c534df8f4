import { Worker } from 'node:worker_threads';
import type { ChatClient, ChatEvent } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import type { PoisonedEntry } from './entry-reader.ts';
import type { StartOptions } from './start.ts';
import {
  type CallMethod,
  createProgressBuffer,
  type FromWorker,
  readProgress,
  receivedError,
  type ToWorker,
  type WorkerStart,
} from './worker-protocol.ts';

/** A worker that does not answer for this long hangs; the largest group's slowest operation takes some seconds. */
export const WATCHDOG_MS = 30_000;
/** Restarts in the life of a client. */
export const WORKER_RESTARTS_MAX = 8;
const CLOSE_TIMEOUT_MS = 15_000;

/** Calls that may be made again when the worker died under them: they change nothing, or the same thing once more. */
const REPEATABLE: ReadonlySet<CallMethod> = new Set([
  'status',
  'groups',
  'members',
  'devices',
  'openGroup',
  'joinGroup',
  'markRead',
  'setMuted',
  'setReceipts',
  'safetyNumber',
  'lastHeard',
  'search',
  'history',
  'recent',
  'caughtUp',
  'flushed',
  'fetchFile',
  'readOffer',
  'portableHistory',
  'takeOver',
  'signHistory',
  'checkHistory',
]);

export interface WorkerClientOptions {
  readonly start: StartOptions;
  readonly watchdogMs?: number;
  /** Another program that speaks the same protocol: for tests of the watchdog. */
  readonly entry?: URL;
}

interface Call {
  readonly method: CallMethod;
  readonly args: readonly unknown[];
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The client with its engine in a worker, so that nothing that comes from the network can stop the program that shows
 * it. A worker that hangs or dies over an entry is replaced by one that parks the entry's group instead.
 *
 * @throws ClientError what starting the client throws; `worker-failed`
 */
export async function openWorkerClient(options: WorkerClientOptions): Promise<ChatClient> {
  const watchdogMs = options.watchdogMs ?? WATCHDOG_MS;
  const listeners = new Set<(event: ChatEvent) => void>();
  const calls = new Map<number, Call>();
  const poisoned: PoisonedEntry[] = [...(options.start.poisoned ?? [])];
  let lastCall = 0;
  let restarts = 0;
  let closing = false;
  let failure: ClientError | undefined;
  let worker: Worker;
  let progress: SharedArrayBuffer;
  let ready = false;
  let answeredAt = performance.now();
  let pinged = false;

  const post = (message: ToWorker): void => worker.postMessage(message);
  const emit = (event: ChatEvent): void => {
    for (const listener of listeners) listener(event);
  };

  const start = (): Promise<void> => {
    progress = createProgressBuffer();
    const fromSource = import.meta.url.endsWith('.ts');
    const entry =
      options.entry ?? new URL(fromSource ? './worker-from-source.mjs' : './worker-main.js', import.meta.url);
    const data: WorkerStart = { start: { ...options.start, poisoned: [...poisoned] }, progress };
    worker = new Worker(entry, { workerData: data, execArgv: [] });
    const started = worker;
    answeredAt = performance.now();
    pinged = false;
    ready = false;
    return new Promise((resolve, reject) => {
      let cause: Error | undefined;
      started.on('error', (error: Error) => {
        cause = error;
      });
      started.on('exit', () => {
        const error = new ClientError(
          'worker-failed',
          `the engine stopped${cause === undefined ? '' : `: ${cause.message}`}`,
          cause,
        );
        reject(error);
        if (started === worker && ready && !closing) replace(error);
      });
      started.on('message', (message: FromWorker) => {
        answeredAt = performance.now();
        switch (message.type) {
          case 'ready':
            ready = true;
            resolve();
            return;
          case 'failed':
            reject(receivedError(message.error));
            void started.terminate();
            return;
          case 'answer':
            calls.get(message.id)?.resolve(message.value);
            calls.delete(message.id);
            return;
          case 'refusal':
            calls.get(message.id)?.reject(receivedError(message.error));
            calls.delete(message.id);
            return;
          case 'event':
            emit(message.event);
            return;
          case 'pong':
            pinged = false;
            return;
        }
      });
    });
  };

  const giveUp = (error: ClientError): void => {
    failure = error;
    clearInterval(watchdog);
    void worker.terminate();
    for (const call of calls.values()) call.reject(error);
    calls.clear();
    emit({ type: 'connection', connection: { state: 'offline', reason: error.message } });
  };

  /** The worker is gone, or is about to be: what it was reading is not read again. */
  const replace = (error: ClientError): void => {
    const reading = readProgress(progress);
    if (reading !== undefined) poisoned.push({ group: reading.group, position: reading.position });
    restarts += 1;
    ready = false;
    if (restarts > WORKER_RESTARTS_MAX) {
      giveUp(error);
      return;
    }
    for (const [id, call] of calls) {
      if (REPEATABLE.has(call.method)) continue;
      calls.delete(id);
      call.reject(
        new ClientError('worker-failed', 'the engine was restarted; look whether this was done, and try again'),
      );
    }
    emit({ type: 'connection', connection: { state: 'connecting' } });
    // the store is opened again only when the one before has let go of it
    const restarted = worker.terminate().then(() => (closing ? Promise.reject(error) : start()));
    restarted.then(
      () => {
        for (const [id, { method, args }] of calls) post({ type: 'call', id, method, args });
      },
      (cause: unknown) => {
        if (!closing) giveUp(cause instanceof ClientError ? cause : error);
      },
    );
  };

  const watch = (): void => {
    if (!ready || closing) return;
    if (pinged && performance.now() - answeredAt > watchdogMs) {
      replace(new ClientError('worker-failed', `the engine did not answer for ${watchdogMs} ms`));
      return;
    }
    if (pinged) return;
    pinged = true;
    answeredAt = performance.now();
    post({ type: 'ping', id: 0 });
  };

  await start();
  const watchdog = setInterval(watch, Math.ceil(watchdogMs / 8));
  watchdog.unref();

  const call = (method: CallMethod, args: readonly unknown[]): Promise<unknown> => {
    if (failure !== undefined) return Promise.reject(failure);
    if (closing) return Promise.reject(new ClientError('closed', 'the client is closed'));
    lastCall += 1;
    const id = lastCall;
    return new Promise((resolve, reject) => {
      calls.set(id, { method, args, resolve, reject });
      if (ready) post({ type: 'call', id, method, args });
    });
  };
  const close = async (): Promise<void> => {
    if (closing) return;
    const closed = ready && failure === undefined ? call('close', []) : Promise.resolve();
    closing = true;
    clearInterval(watchdog);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
    });
    await Promise.race([closed.catch(() => {}), late]); // whatever it says, it ends now
    clearTimeout(timer);
    await worker.terminate();
    for (const waiting of calls.values()) waiting.reject(new ClientError('closed', 'the client was closed'));
    calls.clear();
  };

  return {
    status: () => call('status', []) as ReturnType<ChatClient['status']>,
    groups: () => call('groups', []) as ReturnType<ChatClient['groups']>,
    members: (...args) => call('members', args) as ReturnType<ChatClient['members']>,
    openGroup: (...args) => call('openGroup', args) as ReturnType<ChatClient['openGroup']>,
    send: (...args) => call('send', args) as ReturnType<ChatClient['send']>,
    sendFile: (...args) => call('sendFile', args) as ReturnType<ChatClient['sendFile']>,
    fetchFile: (...args) => call('fetchFile', args) as ReturnType<ChatClient['fetchFile']>,
    invite: (...args) => call('invite', args) as ReturnType<ChatClient['invite']>,
    remove: (...args) => call('remove', args) as ReturnType<ChatClient['remove']>,
    promote: (...args) => call('promote', args) as ReturnType<ChatClient['promote']>,
    demote: (...args) => call('demote', args) as ReturnType<ChatClient['demote']>,
    setPolicy: (...args) => call('setPolicy', args) as ReturnType<ChatClient['setPolicy']>,
    leave: (...args) => call('leave', args) as ReturnType<ChatClient['leave']>,
    joinGroup: (...args) => call('joinGroup', args) as ReturnType<ChatClient['joinGroup']>,
    rotate: (...args) => call('rotate', args) as ReturnType<ChatClient['rotate']>,
    rejoin: (...args) => call('rejoin', args) as ReturnType<ChatClient['rejoin']>,
    rename: (...args) => call('rename', args) as ReturnType<ChatClient['rename']>,
    devices: () => call('devices', []) as ReturnType<ChatClient['devices']>,
    revoke: (...args) => call('revoke', args) as ReturnType<ChatClient['revoke']>,
    portableHistory: (...args) => call('portableHistory', args) as ReturnType<ChatClient['portableHistory']>,
    takeOver: (...args) => call('takeOver', args) as ReturnType<ChatClient['takeOver']>,
    signHistory: (...args) => call('signHistory', args) as ReturnType<ChatClient['signHistory']>,
    checkHistory: (...args) => call('checkHistory', args) as ReturnType<ChatClient['checkHistory']>,
    readOffer: (...args) => call('readOffer', args) as ReturnType<ChatClient['readOffer']>,
    link: (...args) => call('link', args) as ReturnType<ChatClient['link']>,
    takeRecoveryCode: () => call('takeRecoveryCode', []) as ReturnType<ChatClient['takeRecoveryCode']>,
    recoveryCodeShown: () => call('recoveryCodeShown', []) as ReturnType<ChatClient['recoveryCodeShown']>,
    markRead: (...args) => call('markRead', args) as ReturnType<ChatClient['markRead']>,
    setReceipts: (...args) => call('setReceipts', args) as ReturnType<ChatClient['setReceipts']>,
    setMuted: (...args) => call('setMuted', args) as ReturnType<ChatClient['setMuted']>,
    safetyNumber: (...args) => call('safetyNumber', args) as ReturnType<ChatClient['safetyNumber']>,
    markVerified: (...args) => call('markVerified', args) as ReturnType<ChatClient['markVerified']>,
    lastHeard: (...args) => call('lastHeard', args) as ReturnType<ChatClient['lastHeard']>,
    search: (...args) => call('search', args) as ReturnType<ChatClient['search']>,
    history: (...args) => call('history', args) as ReturnType<ChatClient['history']>,
    recent: (...args) => call('recent', args) as ReturnType<ChatClient['recent']>,
    caughtUp: (...args) => call('caughtUp', args) as ReturnType<ChatClient['caughtUp']>,
    flushed: (...args) => call('flushed', args) as ReturnType<ChatClient['flushed']>,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close,
  };
}
