import type { IncomingMessage, ServerResponse } from 'node:http';
import { PROBLEMS, ProblemError } from '../../wire/problems.ts';
import type { Gate } from '../writes/gate.ts';
import { type AdaptiveLimit, createAdaptiveLimit } from './adaptive-limit.ts';
import { MEDIA_TYPES } from './negotiate.ts';
import { retrySoonSeconds } from './problem.ts';

/**
 * The door before everything else. Requests are counted from their headers until they are authenticated, writes until
 * they are in the log; when as many are under way as can be in time, the next is refused at once, before any of our work is
 * done for it: under overload a quick no is worth more than a place in a queue.
 */
export interface Admission {
  /** `false`: the request has been answered with `not-ready` and `Retry-After`. */
  enter(request: IncomingMessage, response: ServerResponse): boolean;
  /** The request has been authenticated: from here on it is counted at the gate, or nowhere. */
  leave(response: ServerResponse): void;
  /** All that was to be done for it is done; an answer that waits behind another one on its connection is closed much later. */
  answered(response: ServerResponse): void;
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
  /** Of writes, and of what only reads. */
  readonly limit: number;
  readonly readsLimit: number;
  readonly turnedAway: number;
}

/**
 * How many may be under way at once, of writes (at the door and at the gate together) and of reads.
 *
 * - floor: 64 callers with one request each are no overload on any machine, and a few more
 * - start: what a calm server takes at once, whatever it can do in a second
 * - target: of a mean; the last of a hundred waits three times as long, and lay in its socket before it was seen
 */
export const UNDER_WAY = { floor: 72, start: 112, max: 1_024, targetMs: 75 };
/** A body that takes longer than this is late. */
const BODY_LATE_MS = 100;
/** Larger bodies are not read to keep a connection. */
const BODY_READ_MAX_BYTES = 64 * 1024;
/** What operators look at is answered always. */
const API_PREFIX = '/v1/';
/** Asked of the server, not of the log: whoever reads needs one. */
const SESSIONS = '/v1/sessions';

/** Reads and writes have bounds of their own: many quick reads are no reason to let more writes wait for the log. */
interface Lane {
  readonly limit: AdaptiveLimit;
  /** Places taken at the door. */
  inside: number;
}

/** @param limit of writes, which the gate tells of those that have passed the door */
export function createAdmission(
  limit: AdaptiveLimit,
  gate: Pick<Gate, 'inFlight' | 'isFull'>,
  clock: () => number = () => performance.now(),
): Admission {
  const writes: Lane = { limit, inside: 0 };
  const reads: Lane = { limit: createAdaptiveLimit(UNDER_WAY), inside: 0 };
  const inside = new Map<ServerResponse, Lane>();
  /** Since when a body is read, the oldest first; and those that are late, and hold no place. */
  const awaiting = new Map<ServerResponse, number>();
  const late = new Map<ServerResponse, Lane>();
  let turnedAway = 0;

  const hasPlace = (lane: Lane): boolean => {
    if (lane === reads) return lane.inside < lane.limit.current;
    return !gate.isFull && lane.inside + gate.inFlight < lane.limit.current;
  };
  const takePlace = (response: ServerResponse, lane: Lane): void => {
    inside.set(response, lane);
    lane.inside += 1;
  };
  const givePlace = (response: ServerResponse): Lane | undefined => {
    const lane = inside.get(response);
    if (lane === undefined) return undefined;
    inside.delete(response);
    lane.inside -= 1;
    return lane;
  };
  const letLateOnesOut = (now: number): void => {
    for (const [response, from] of awaiting) {
      if (now - from < BODY_LATE_MS) return;
      awaiting.delete(response);
      const lane = givePlace(response);
      if (lane !== undefined) late.set(response, lane);
    }
  };
  const leave = (response: ServerResponse, isAuthentic: boolean): void => {
    late.delete(response);
    const lane = givePlace(response);
    if (lane === undefined || awaiting.delete(response)) return;
    const now = clock();
    // who is refused for a reason of its own tells nothing of how many this server can serve; a write is done when it is stored
    if (isAuthentic && lane === reads) lane.limit.done(now);
    lane.limit.leave(now);
  };
  return {
    enter(request, response) {
      if (request.url?.startsWith(API_PREFIX) !== true) return true;
      const lane = isWrite(request) ? writes : reads;
      const now = clock();
      if (!hasPlace(lane)) letLateOnesOut(now);
      if (!hasPlace(lane)) {
        turnedAway += 1;
        lane.limit.refused();
        refuse(request, response);
        return false;
      }
      takePlace(response, lane);
      lane.limit.enter(now);
      response.once('close', () => leave(response, false));
      return true;
    },
    leave: (response) => leave(response, true),
    answered: (response) => leave(response, false),
    awaitBody(response) {
      const lane = inside.get(response);
      if (lane === undefined) return;
      const now = clock();
      awaiting.set(response, now);
      lane.limit.leave(now);
    },
    bodyCame(response) {
      const lane = inside.get(response) ?? late.get(response);
      if (lane === undefined) return;
      if (late.delete(response)) takePlace(response, lane);
      awaiting.delete(response);
      lane.limit.enter(clock());
    },
    get awaited() {
      return awaiting.size + late.size;
    },
    get inside() {
      return inside.size;
    },
    get limit() {
      return limit.current;
    },
    get readsLimit() {
      return reads.limit.current;
    },
    get turnedAway() {
      return turnedAway;
    },
  };
}

/** Whether it waits for the log: what has been read only needs the tables. */
function isWrite({ method, url }: IncomingMessage): boolean {
  return method !== 'GET' && method !== 'HEAD' && url !== SESSIONS;
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
    'retry-after': String(retrySoonSeconds()),
    ...(isSmall ? {} : { connection: 'close' }),
  });
  response.end(OVERLOADED);
}
