import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type Msg } from 'nats';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { appendEvent } from '../../src/log/append.ts';
import { type LogConnection, openConnection } from '../../src/log/connection.ts';
import type { LogError } from '../../src/log/errors.ts';
import { acquireFolderLock } from '../../src/log/folder-lock.ts';
import { findNatsServer } from '../../src/log/nats-server/find.ts';
import { spawnBound } from '../../src/log/nats-server/spawn-bound.ts';
import { createPublisher, type Publisher } from '../../src/log/publisher.ts';
import { streamSequence } from '../../src/log/pull-session.ts';
import { laneSubject } from '../../src/log/subjects.ts';
import { logErrorCode } from '../support/log-error-code.ts';
import { tempFolder } from '../support/nats.ts';
import { until } from '../support/until.ts';
import { commit, groupOf, proposal } from './events.ts';

/** A server without JetStream: what JetStream answers, the test answers itself, word by word. */
let closers: (() => Promise<unknown>)[] = [];
let connection: LogConnection;
let publisher: Publisher;
/** Answers to what is published, one after the other; `undefined` answers nothing. The last one stays. */
let answers: (string | undefined)[] = [];
/** The message every read finds, as JetStream's API gives it; `undefined` for none. */
let stored: { seq: number; id: string } | undefined;
let published: Msg[] = [];

beforeAll(async () => {
  const folder = await tempFolder();
  const ports = join(folder.path, 'ports');
  await mkdir(ports);
  const lock = await acquireFolderLock(folder.path);
  const { path } = await findNatsServer();
  const server = await spawnBound(path, ['-a', '127.0.0.1', '-p', '-1', '--ports_file_dir', ports], lock.fd);
  const port = await until(async () => {
    const [name] = await readdir(ports);
    return name === undefined ? undefined : /:(\d+)"/.exec(await readFile(join(ports, name), 'utf8'))?.[1];
  });
  const servers = [`127.0.0.1:${port}`];
  const model = await connect({ servers });
  model.subscribe('$JS.API.INFO', { callback: (_, message) => void message.respond('{}') });
  model.subscribe('$JS.API.STREAM.MSG.GET.MLS', {
    callback: (_, message) => {
      const hdrs = Buffer.from(`NATS/1.0\r\nNats-Msg-Id: ${stored?.id}\r\n\r\n`).toString('base64');
      const none = { error: { code: 404, err_code: 10037, description: 'no message found' } };
      message.respond(JSON.stringify(stored === undefined ? none : { message: { seq: stored.seq, hdrs, data: '' } }));
    },
  });
  model.subscribe('mls.>', {
    callback: (_, message) => {
      published.push(message);
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer !== undefined) message.respond(answer);
    },
  });
  await model.flush();
  connection = await openConnection({ servers });
  publisher = createPublisher(connection, 300);
  closers = [
    async () => folder[Symbol.asyncDispose](),
    () => lock.close(),
    server.stop,
    () => model.close(),
    connection.close,
  ];
});
afterAll(async () => {
  publisher.close();
  for (const close of closers.reverse()) await close();
});
beforeEach(() => {
  answers = [];
  published = [];
  stored = undefined;
});

const refusal = (code: number, errCode: number): string =>
  JSON.stringify({ error: { code, err_code: errCode, description: 'any words' }, stream: 'MLS', seq: 0 });
const acknowledged = (seq: number, duplicate = false): string => JSON.stringify({ stream: 'MLS', seq, duplicate });
const group = groupOf(1);
const lane = { kind: 'group-commit', group } as const;
const append = (id: string) => appendEvent(connection, publisher, { lane, expected: 4, event: commit(id, group) });
const appendAnywhere = (id: string) =>
  appendEvent(connection, publisher, { lane: { kind: 'group-proposal', group }, event: proposal(id, group) });

describe('what the stream answers', () => {
  test('event id and expectation travel as headers, on the exact subject of the lane', async () => {
    answers = [acknowledged(9)];
    expect(await append('headers')).toEqual({ kind: 'committed', sequence: 9 });
    expect(published[0]?.subject).toBe(laneSubject(lane));
    expect(published[0]?.headers?.get('Nats-Msg-Id')).toBe('headers');
    expect(published[0]?.headers?.get('Nats-Expected-Last-Subject-Sequence')).toBe('4');
    await appendAnywhere('plain');
    expect(published[1]?.headers?.has('Nats-Expected-Last-Subject-Sequence')).toBe(false);
  });

  test.each([10071, 10164])(
    'a refused comparison (%i) is a conflict, unless the lane holds this very event',
    async (code) => {
      answers = [refusal(code === 10071 ? 400 : 409, code)];
      stored = { seq: 7, id: 'somebody-else' };
      expect(await append('mine')).toEqual({ kind: 'conflict', lastSequence: 7 });
      stored = { seq: 5, id: 'mine' };
      expect(await append('mine')).toEqual({ kind: 'duplicate', sequence: 5 });
      stored = undefined;
      expect(await append('mine')).toEqual({ kind: 'conflict', lastSequence: 0 });
      expect(published).toHaveLength(3);
    },
  );

  test('duplicate: true is a duplicate', async () => {
    answers = [acknowledged(3, true)];
    expect(await append('twice')).toEqual({ kind: 'duplicate', sequence: 3 });
  });

  test.each([
    [503, 10023, 'storage-full'],
    [500, 10047, 'storage-full'],
    [503, 10077, 'storage-full'],
    [400, 10054, 'too-large'],
    [400, 10000, 'rejected'],
  ])('code %i/%i is %s, asked once', async (code, errCode, expected) => {
    answers = [refusal(code, errCode)];
    expect(await logErrorCode(append('refused'))).toBe(expected);
    expect(published).toHaveLength(1);
  });
});

describe('an answer that does not come', () => {
  test('is asked for again with the same event id, until one comes', async () => {
    answers = [undefined, 'not json', refusal(503, 10008), acknowledged(12)];
    expect(await append('again')).toEqual({ kind: 'committed', sequence: 12 });
    expect(published.map((message) => message.headers?.get('Nats-Msg-Id'))).toEqual([
      'again',
      'again',
      'again',
      'again',
    ]);
  });

  test('is asked for again while an earlier attempt is still in process (10158): it was not refused', async () => {
    answers = [undefined, refusal(409, 10158), refusal(409, 10158), acknowledged(12, true)];
    expect(await append('in process')).toEqual({ kind: 'duplicate', sequence: 12 });
    expect(published).toHaveLength(4);
  });

  test('is unavailable after the publisher waited its time; nothing stays behind', async () => {
    answers = [undefined];
    const waiting = Array.from({ length: 50 }, (_, i) =>
      publisher.publish({ subject: 'mls.application.0', eventId: `silent-${i}`, bytes: new Uint8Array(4) }),
    );
    expect(publisher.inFlight).toBe(50);
    for (const result of await Promise.allSettled(waiting)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    }
    expect(publisher.inFlight).toBe(0);
  });

  test('from a subject nobody takes is unavailable at once', async () => {
    const nobody = publisher.publish({ subject: 'other.subject', eventId: 'nobody', bytes: new Uint8Array(4) });
    await expect(nobody).rejects.toMatchObject({ code: 'unavailable' });
  });

  test('bounds what is under way: more is overloaded, and taken again later', async () => {
    answers = [undefined];
    const one = (i: number) =>
      publisher.publish({ subject: 'mls.application.0', eventId: `many-${i}`, bytes: new Uint8Array(4) });
    const results = await Promise.allSettled(Array.from({ length: 5_000 }, (_, i) => one(i)));
    const codes = results.map((result) =>
      result.status === 'rejected' ? (result.reason as LogError).code : 'answered',
    );
    expect(codes.filter((code) => code === 'overloaded').length).toBe(5_000 - 4_096);
    answers = [acknowledged(1)];
    // The model server may still be busy with the thousands that nobody waits for any more.
    let number = 5_000;
    const taken = await until(() => one(number++).catch(() => undefined));
    expect(taken).toMatchObject({ kind: 'stored', sequence: 1 });
  });
});

test('the sequence of a delivered message is read from both forms of its reply subject, 0 from anything else', () => {
  expect(streamSequence('$JS.ACK.MLS.consumer.1.4711.3.1700000000000000000.0')).toBe(4711);
  expect(streamSequence('$JS.ACK.domain.account.MLS.consumer.1.4711.3.1700000000000000000.0.token')).toBe(4711);
  for (const other of [
    '',
    '$JS.ACK.',
    '$JS.ACK.MLS.consumer.1.x.3.1.0',
    '$JS.ACK.MLS.consumer.1',
    'mls.a.b.c.d.1.e.f.g',
  ]) {
    expect(streamSequence(other), other).toBe(0);
  }
});
