import type { IncomingMessage, ServerResponse } from 'node:http';
import { PROBLEMS, ProblemError } from '../../wire/problems.ts';
import { createAdaptiveLimit } from './adaptive-limit.ts';
import { MEDIA_TYPES } from './negotiate.ts';

/**
 * The door before everything else. Requests are counted from their headers until they are authenticated; when as many
 * are on their way as can be in time, the next is refused at once, before any of our work is done for it: under
 * overload a quick no is worth more than a place in a queue.
 */
export interface Admission {
  /** `false`: the request has been answered with `not-ready` and `Retry-After`. */
  enter(request: IncomingMessage, response: ServerResponse): boolean;
  /** The request has been authenticated: from here on it is counted elsewhere. The answer's end does the same. */
  leave(response: ServerResponse): void;
  /**
   * Its body is read from here on. How long that takes is its sender's doing: it says nothing about this server, and a body
   * that is late holds no place, or a few slow senders could keep everybody else out.
   */
  awaitBody(response: ServerResponse): void;
  /** The body is there: the request is counted again. */
  bodyCame(response: ServerResponse): void;
  /** Requests whose bodies are being read. */
  readonly awaited: number;
  readonly inside: number;
  readonly limit: number;
  readonly turnedAway: number;
}

/** Never refused, however long they take. */
const FLOOR = 64;
/** A calm server takes a burst of so many. */
const START = 256;
const MAX = 1_024;
/** Authentication costs a millisecond or less; the rest is waiting for processor time. */
const TARGET_MS = 50;
/** A body that takes longer than this is late. */
const BODY_LATE_MS = 100;
/** Larger bodies are not read to keep a connection. */
const BODY_READ_MAX_BYTES = 64 * 1024;
const RETRY_AFTER_SECONDS = 1;
/** What operators look at is answered always. */
const API_PREFIX = '/v1/';

export function createAdmission(clock: () => number = () => performance.now()): Admission {
  const limit = createAdaptiveLimit({ floor: FLOOR, start: START, max: MAX, targetMs: TARGET_MS });
  const since = new Map<ServerResponse, number>();
  /** Since when a body is read, the oldest first; and those that are late, and hold no place. */
  const awaiting = new Map<ServerResponse, number>();
  const late = new Set<ServerResponse>();
  let turnedAway = 0;

  const letLateOnesOut = (now: number): void => {
    for (const [response, from] of awaiting) {
      if (now - from < BODY_LATE_MS) return;
      awaiting.delete(response);
      since.delete(response);
      late.add(response);
    }
  };
  const leave = (response: ServerResponse): void => {
    late.delete(response);
    if (awaiting.delete(response)) {
      since.delete(response); // broken off: no news either
      return;
    }
    const enteredAt = since.get(response);
    if (enteredAt === undefined) return;
    const now = clock();
    limit.sample(now - enteredAt, since.size, now);
    since.delete(response);
  };
  return {
    enter(request, response) {
      if (request.url?.startsWith(API_PREFIX) !== true) return true;
      if (since.size >= limit.current) letLateOnesOut(clock());
      if (since.size >= limit.current) {
        turnedAway += 1;
        refuse(request, response);
        return false;
      }
      since.set(response, clock());
      response.once('close', () => leave(response));
      return true;
    },
    leave,
    awaitBody(response) {
      if (since.has(response)) awaiting.set(response, clock());
    },
    bodyCame(response) {
      const now = clock();
      const from = awaiting.get(response);
      const enteredAt = since.get(response);
      if (from !== undefined && enteredAt !== undefined) since.set(response, enteredAt + (now - from));
      else if (late.has(response)) since.set(response, now);
      awaiting.delete(response);
      late.delete(response);
    },
    get awaited() {
      return awaiting.size + late.size;
    },
    get inside() {
      return since.size;
    },
    get limit() {
      return limit.current;
    },
    get turnedAway() {
      return turnedAway;
    },
  };
}

const OVERLOADED = Buffer.from(
  JSON.stringify(new ProblemError('not-ready', 'more requests than this server can answer in time').toProblem()),
);

function refuse(request: IncomingMessage, response: ServerResponse): void {
  const length = Number(request.headers['content-length'] ?? 0);
  const isSmall = request.headers['transfer-encoding'] === undefined && length <= BODY_READ_MAX_BYTES;
  response.writeHead(PROBLEMS['not-ready'].status, {
    'content-type': MEDIA_TYPES.problem,
    'content-length': String(OVERLOADED.length),
    'cache-control': 'no-store',
    'retry-after': String(RETRY_AFTER_SECONDS),
    ...(isSmall ? {} : { connection: 'close' }),
  });
  response.end(OVERLOADED);
}
