import { TransportError } from '../../src/client/transport/server-api.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import type { ClientId, Cursor, DeviceId } from '../../src/wire/ids.ts';
import { asStreamItem, type StreamItem } from '../../src/wire/page.ts';
import { liesOf } from './lies.ts';
import { watchListeners } from './listeners.ts';
import type { NodeRequest, StreamSocket } from './node-request.ts';
import type { ServerNode } from './server-node.ts';
import type { Clock, World } from './world.ts';

/** As src/client/transport waits. */
const REQUEST_TIMEOUT_MS = 20_000;
const STREAM_SILENCE_MS = 60_000;
const LATE_MS = 30_000;
/** Listeners that a client forgets with each page when it is to. */
const LEAK = 8;

/** One client machine's connection to the world: which node it talks to, and what is wrong with its line. */
export interface ClientNetwork {
  readonly device: DeviceId;
  readonly clock: Clock;
  /** Where its requests go now. */
  node: ServerNode;
  isCutOff: boolean;
  /** Until then the program does not take what has arrived. */
  slowUntil: number;
  /** Breaks every stream that is open. */
  breakStreams(): void;
  readonly onStreams: Set<() => void>;
}

export interface Exchange {
  readonly operation: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly key?: ClientId;
}

/** What was answered, for whoever checks what was promised. */
export type OnAnswer = (exchange: Exchange, body: Uint8Array) => void;

const unreachable = (why: string): TransportError => new TransportError('unreachable', why);

/** One program's calls; when it dies they all end at once, and nothing of it arrives any more. */
export interface Caller {
  readonly isAlive: () => boolean;
  exchange(exchange: Exchange): Promise<Uint8Array>;
  stream(cursor: Cursor, signal: AbortSignal): AsyncGenerator<StreamItem, void, undefined>;
  die(): void;
}

export function createCaller(
  world: World,
  network: ClientNetwork,
  nodes: readonly ServerNode[],
  onAnswer: OnAnswer,
): Caller {
  const { time, chance } = world;
  const pending = new Set<(error: TransportError) => void>();
  const lies = liesOf(world);
  let isAlive = true;

  const delay = (): number => {
    if (!chance.hits(world.weather.lateness)) return chance.between(0, world.weather.delayMs);
    world.fault('request late');
    return chance.between(0, LATE_MS);
  };
  const requestOf = ({ operation, params, query, body, key }: Exchange, accept: string): NodeRequest => ({
    operation,
    device: operation === 'sync' ? (world.mutations.answersAs ?? network.device) : network.device,
    signedAt: network.clock.now(),
    accept,
    ...(params === undefined ? {} : { params }),
    ...(query === undefined ? {} : { query }),
    ...(body === undefined ? {} : { body: lies.ofRequest(operation, body) }),
    ...(key === undefined ? {} : { key }),
  });

  const exchange = (asked: Exchange): Promise<Uint8Array> =>
    new Promise((resolve, reject) => {
      if (!isAlive) {
        reject(unreachable('the program is gone'));
        return;
      }
      const conclude = (finish: () => void): void => {
        if (!pending.delete(fail)) return;
        timeout.cancel();
        finish();
      };
      const fail = (error: unknown): void => conclude(() => reject(error));
      const timeout = time.after(REQUEST_TIMEOUT_MS, () => fail(unreachable('no answer in time')));
      pending.add(fail);
      const request = requestOf(asked, 'application/cbor');
      const arrive = (node: ServerNode, isCopy: boolean): void => {
        if (network.isCutOff || !node.isReady) {
          if (!isCopy) fail(unreachable('nobody is there'));
          return;
        }
        node.handle(request).then(
          (answer) => {
            if (answer === undefined) {
              time.after(delay(), () => fail(unreachable('the connection was cut')));
              return;
            }
            const body = lies.ofAnswer(asked, answer.body);
            onAnswer(asked, body);
            answerLater(isCopy, () => conclude(() => resolve(body)));
          },
          (problem) => {
            const body = lies.ofRefusal(asked, problem);
            if (body !== undefined) onAnswer(asked, body);
            answerLater(isCopy, () => (body === undefined ? fail(problem) : conclude(() => resolve(body))));
          },
        );
      };
      const answerLater = (isCopy: boolean, answer: () => void): void => {
        if (isCopy) return;
        const isLost = chance.hits(world.weather.answerLost);
        if (isLost) world.fault('answer lost', asked.operation);
        time.after(delay(), () => {
          if (!isLost && !network.isCutOff) answer();
          else if (chance.hits(0.7)) fail(unreachable('the connection was cut'));
        });
      };
      const { node } = network;
      if (chance.hits(world.weather.requestLost)) {
        world.fault('request lost', asked.operation);
        if (world.mutations.answersWhatWasLost === true && asked.operation === 'postMessages') {
          const answer = lies.ofNothing(asked.body!);
          onAnswer(asked, answer);
          conclude(() => resolve(answer));
          return;
        }
        if (chance.hits(0.7)) time.after(delay(), () => fail(unreachable('the connection was cut')));
      } else time.after(delay(), () => arrive(node, false));
      if (chance.hits(world.weather.requestTwice)) {
        const other = chance.pick(nodes);
        world.fault(other === node ? 'request twice' : 'request twice, to another node', asked.operation);
        time.after(delay(), () => arrive(other, true));
      }
    });

  async function* stream(cursor: Cursor, signal: AbortSignal): AsyncGenerator<StreamItem, void, undefined> {
    watchListeners(signal);
    const { node } = network;
    if (!isAlive) throw unreachable('the program is gone');
    await wait(chance.between(0, world.weather.delayMs));
    if (network.isCutOff || !node.isReady || !isAlive) throw unreachable('nobody is there');
    const line = openLine(world, network);
    const die = (): void => line.close(unreachable('the program is gone'));
    const abort = (): void => line.close(undefined);
    const cutLine = (): void => line.close(unreachable('the connection was cut'));
    pending.add(die);
    network.onStreams.add(cutLine);
    signal.addEventListener('abort', abort, { once: true });
    try {
      const request = requestOf({ operation: 'sync', query: { cursor } }, 'application/cbor-seq');
      const opened = await node.handle({ ...request, socket: line.socket });
      if (opened === undefined) throw unreachable('the connection was cut');
      for await (const chunk of line.chunks()) {
        for (let i = 0; world.mutations.listensOn === true && i < LEAK; i += 1) {
          signal.addEventListener('abort', () => line.close(undefined));
        }
        yield lies.ofItem(asStreamItem(decodeCbor(chunk)));
      }
    } finally {
      pending.delete(die);
      network.onStreams.delete(cutLine);
      signal.removeEventListener('abort', abort);
      line.close(undefined);
    }
  }

  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      time.after(ms, resolve);
    });

  return {
    isAlive: () => isAlive,
    exchange,
    stream,
    die() {
      isAlive = false;
      for (const fail of [...pending]) fail(unreachable('the program is gone'));
    },
  };
}

interface Line {
  readonly socket: StreamSocket;
  chunks(): AsyncGenerator<Uint8Array, void, undefined>;
  /** @param error what the reader gets instead of more; absent: the end */
  close(error: TransportError | undefined): void;
}

/** A connection that carries a live stream: whole items, in order, with a bounded buffer, broken now and then. */
function openLine(world: World, network: ClientNetwork): Line {
  const { time, chance } = world;
  const arrived: Uint8Array[] = [];
  const drains: (() => void)[] = [];
  const gones: (() => void)[] = [];
  let isSilent = false;
  let backlog = 0;
  let lastArrival = 0;
  let ended: { readonly error: TransportError | undefined } | undefined;
  let wake = (): void => {};

  const close = (error: TransportError | undefined): void => {
    if (ended !== undefined) return;
    ended = { error };
    wake();
    time.after(chance.between(0, world.weather.delayMs), () => {
      for (const gone of gones) gone();
    });
  };
  const later = (run: () => void): void => {
    lastArrival = Math.max(lastArrival, time.now() + chance.between(0, world.weather.delayMs), network.slowUntil);
    time.after(lastArrival - time.now(), run);
  };
  const socket: StreamSocket = {
    backlog: () => backlog,
    write(bytes) {
      backlog += bytes.length;
      const isCut = chance.hits(world.weather.streamCut);
      later(() => {
        // silence from here on, however the line is later: only the watchdog will tell
        isSilent ||= network.isCutOff;
        // behind a cut nothing arrives, also before the sender has heard of it
        if (isSilent || ended !== undefined) return;
        if (isCut) {
          world.fault('stream cut');
          close(unreachable('the connection was cut'));
          return;
        }
        arrived.push(bytes);
        wake();
      });
    },
    end: () =>
      later(() => {
        if (!isSilent) close(undefined);
      }),
    onDrain: (listener) => void drains.push(listener),
    onGone: (listener) => void gones.push(listener),
  };

  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      const chunk = arrived.shift();
      if (chunk !== undefined) {
        backlog -= chunk.length;
        for (const drain of drains) drain();
        yield chunk;
        continue;
      }
      if (ended?.error !== undefined) throw ended.error;
      if (ended !== undefined) return;
      const silence = time.after(STREAM_SILENCE_MS, () => close(unreachable('no sign of life')));
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
      silence.cancel();
    }
  }
  return { socket, chunks, close };
}
