import { randomBytes } from 'node:crypto';
import { appendEvent } from './append.ts';
import type { LogConnection } from './connection.ts';
import { decodeEvent } from './envelope.ts';
import { LogError } from './errors.ts';
import type { LogStarted } from './events.ts';
import { pastEpochsOf } from './past-epochs.ts';
import type { Publisher } from './publisher.ts';
import { readMessage, type StoredMessage } from './stored-message.ts';
import { LOG_LANE, laneSubject } from './subjects.ts';

/** The newest `log-started` of the log and where it stands. */
export interface Incarnation {
  readonly id: string;
  readonly domain: string;
  readonly sequence: number;
}

const ID_BYTES = 16;

/** The incarnation the log is in; `undefined` when it has not started. @throws LogError as `readMessage` and `decodeEvent`. */
export async function readIncarnation(connection: LogConnection): Promise<Incarnation | undefined> {
  const message = await readMessage(connection, { last_by_subj: laneSubject(LOG_LANE) });
  if (message === undefined) return undefined;
  const event = asLogStarted(message);
  return { id: event.incarnation, domain: event.domain, sequence: message.sequence };
}

/**
 * How many epochs before the current one a message of this log may be from: what its first event says, whichever
 * incarnation it is in. @throws LogError as {@link readIncarnation}; `unavailable` when the log has not started.
 */
export async function readPastEpochs(connection: LogConnection): Promise<number> {
  const message = await readMessage(connection, { seq: 1, next_by_subj: laneSubject(LOG_LANE) });
  if (message === undefined) throw new LogError('unavailable', 'the log has not started');
  return pastEpochsOf(asLogStarted(message));
}

function asLogStarted({ bytes }: StoredMessage): LogStarted {
  const event = decodeEvent(bytes);
  if (event.type !== 'log-started') {
    throw new LogError('log-unsafe', `a ${event.type} event stands where the log speaks of itself`);
  }
  return event;
}

/**
 * Starts an incarnation: with `expected` 0 the first one of an empty log, with the last one's sequence a new one. Only the
 * first one can say how old a message may be.
 * Whoever else does the same at the same time, one is stored and both get that one.
 */
export async function startIncarnation(
  connection: LogConnection,
  publisher: Publisher,
  domain: string,
  expected: number,
  pastEpochs?: number,
): Promise<Incarnation> {
  const id = randomBytes(ID_BYTES).toString('base64url');
  const rule = pastEpochs === undefined ? {} : { pastEpochs };
  const event: LogStarted = { v: 1, type: 'log-started', id, time: Date.now(), incarnation: id, domain, ...rule };
  const result = await appendEvent(connection, publisher, { lane: LOG_LANE, expected, event });
  if (result.kind !== 'conflict') return { id, domain, sequence: result.sequence };
  const winner = await readIncarnation(connection);
  if (winner === undefined) throw new LogError('unavailable', 'somebody else started the log, but it is not there');
  return winner;
}
