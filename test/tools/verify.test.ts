import { open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeEvent, encodeEvent } from '../../src/log/envelope.ts';
import type { ImportedEvent } from '../../src/log/import-events.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { TABLE } from '../../src/projections/fold/keys.ts';
import { openEnvironment, storedCheckpoint } from '../../src/projections/store/environment.ts';
import { sealRow } from '../../src/projections/store/sealed-row.ts';
import type { StoredEntry } from '../../src/projections/store/tables-file.ts';
import { openTablesFile, type StoredRow } from '../../src/projections/store/tables-file.ts';
import { NO_PROGRESS } from '../../src/tools/progress.ts';
import { openSite } from '../../src/tools/site.ts';
import { createGroupCheck } from '../../src/tools/verify/check-group.ts';
import { verifyServer } from '../../src/tools/verify/verify-server.ts';
import { toBase64Url, toHex } from '../../src/wire/bytes.ts';
import { openManualServer, tempFolder } from '../support/nats.ts';
import { startServer } from '../support/server.ts';
import { TestDevice } from '../support/test-device.ts';
import {
  copyFolder,
  eventsOf,
  type SeenServer,
  seenServer,
  siteOptions,
  storeEvents,
  storeWithHole,
  verify,
} from './support.ts';

let seen: SeenServer;
let events: readonly ImportedEvent[];

beforeAll(async () => {
  seen = await seenServer();
  events = await eventsOf(seen.folder);
});
afterAll(() => seen[Symbol.asyncDispose]());

const tables = (folder: string): string => join(folder, 'tables');

async function rowsOf(folder: string): Promise<readonly StoredRow[]> {
  const opened = await openTablesFile(tables(folder));
  if (opened.kind !== 'tables') throw new Error('no tables');
  await using file = opened.file;
  return file.rows(undefined, 100_000);
}

/** Writes one row past everything that keeps tables right, as it is to be stored. */
async function forge(folder: string, key: Uint8Array, stored: Uint8Array | undefined): Promise<void> {
  const { contract } = (await storedCheckpoint(tables(folder)))!;
  const environment = await openEnvironment({ dir: tables(folder), contract });
  await (stored === undefined ? environment.db.remove(key) : environment.db.put(key, stored));
  await environment.close();
}

/** A copy of the server whose tables were tampered with by somebody who knows how to seal a row, verified. */
async function verifyForged(key: Uint8Array, value: Uint8Array | undefined, seal = sealRow): Promise<string> {
  await using copy = await tempFolder();
  await copyFolder(seen.folder, copy.path);
  await forge(copy.path, key, value === undefined ? undefined : seal(key, value));
  const report = await verify(copy.path);
  return report.kind === 'different' ? `${report.where}: ${report.detail}` : report.kind;
}

/** The same tables on a log that was tampered with, verified. */
async function verifyLog(changed: readonly ImportedEvent[], without: readonly string[] = []): Promise<string> {
  await using copy = await tempFolder();
  await copyFolder(seen.folder, copy.path, ['nats', ...without]);
  await storeEvents(copy.path, changed);
  const report = await verify(copy.path);
  return report.kind === 'different' ? `${report.where}: ${report.detail}` : report.kind;
}

const changedAt = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, i) => (i === at ? byte ^ 1 : byte));

describe('mlsd verify', () => {
  it('finds nothing in a server that was used, and says what it counted', async () => {
    const report = await verify(seen.folder);
    expect(report).toMatchObject({ kind: 'clean' });
    const lines = report.kind === 'clean' ? report.lines.join('\n') : '';
    expect(lines).toMatch(new RegExp(`log: ${events.length} events.*2 commit-accepted.*2 group-created`));
    expect(lines).toMatch(new RegExp(`tables: \\d+ rows at event ${events.length}, each as the log says`));
    expect(lines).toMatch(/groups: 2 with 11 entries and 2 accepted commits/);
  });

  it('names the first row that is not what the log gives: an entry, its head, a head of a group, one too many, one too few', async () => {
    const rows = await rowsOf(seen.folder);
    const tea = toBase64Url(seen.tea);
    const third = rows.filter(({ key }) => key[0] === TABLE.entry)[2]!;
    expect(await verifyForged(third.key, changedAt(third.value, third.value.length - 1))).toMatch(
      new RegExp(`^tables: entry 3 of group ${tea}: its bytes are [0-9a-f]+ by the log, [0-9a-f]+ in the tables`),
    );
    expect(await verifyForged(third.key, changedAt(third.value, 20))).toMatch(
      new RegExp(`^tables: entry 3 of group ${tea}: its head is`),
    );
    const head = rows.find(({ key }) => key[0] === TABLE.head)!;
    expect(await verifyForged(head.key, changedAt(head.value, 20))).toMatch(
      new RegExp(`^tables: head of group ${tea}: position 5, head [0-9a-f]{64} by the log; position 5, head`),
    );
    expect(await verifyForged(third.key, undefined)).toBe(`tables: entry 3 of group ${tea}: missing in the tables`);
    const damaged = (key: Uint8Array, value: Uint8Array): Uint8Array => changedAt(sealRow(key, value), 100);
    expect(await verifyForged(third.key, third.value, damaged)).toMatch(
      new RegExp(`^tables: entry 3 of group ${tea}: damaged, its checksum does not fit: its bytes are`),
    );
    const extra = Uint8Array.of(TABLE.name, 0x61, 0x62);
    expect(await verifyForged(extra, Uint8Array.of(1))).toBe('tables: name ab: in the tables, but not from the log');
  });

  it('names the event that cannot be decoded, that stands on another lane, or under another id', async () => {
    const at = (sequence: number, change: Partial<ImportedEvent>) =>
      events.map((event) => (event.sequence === sequence ? { ...event, ...change } : event));
    expect(await verifyLog(at(4, { bytes: Uint8Array.of(0xff) }))).toMatch(/^log: event 4 cannot be decoded/);
    expect(await verifyLog(at(4, { subject: 'mls.application.7' }))).toMatch(
      /^log: event 4 is a .* stands on mls\.app/,
    );
    expect(await verifyLog(at(4, { eventId: 'another-one' }))).toMatch(
      /^log: event 4 has the id .* stored as another-one/,
    );
  });

  it('names the sequence that is missing in the log', async () => {
    await using copy = await tempFolder();
    await copyFolder(seen.folder, copy.path, ['nats']);
    await storeWithHole(copy.path, events, 7);
    const found = { kind: 'different', where: 'log', detail: 'the log goes on at 8 where 7 belongs' };
    expect(await verify(copy.path)).toEqual(found);
  });

  it('names the entry where a log with another event comes to another history', async () => {
    const sent = events.find(({ bytes }) => decodeEvent(bytes).type === 'messages-sent')!;
    const event = decodeEvent(sent.bytes);
    if (event.type !== 'messages-sent') throw new Error('no message');
    const [batch] = event.batches;
    const [id, epoch, message] = batch!.messages[0]!;
    const other = { ...event, batches: [{ ...batch!, messages: [[id, epoch, changedAt(message, 40)] as const] }] };
    const changed = events.map((it) => (it === sent ? { ...it, bytes: encodeEvent(other) } : it));
    expect(await verifyLog(changed)).toMatch(
      new RegExp(`^tables: entry 3 of group ${toBase64Url(seen.tea)}: its head is`),
    );
    expect(await verifyLog(changed, ['tables'])).toBe('clean');
  });

  it('finds a log that is shorter than the tables, or gone', async () => {
    expect(await verifyLog(events.slice(0, -1))).toBe(
      `log: it ends at event ${events.length - 1}, and the tables stand on event ${events.length}`,
    );
    expect(await verifyLog([])).toMatch(/^log: it ends at event 0/);
  });

  it('takes a second commit of an epoch for what it is: never accepted, so no difference', async () => {
    const lost = events.find(({ bytes }) => decodeEvent(bytes).type === 'commit-accepted')!;
    const event = { ...decodeEvent(lost.bytes), id: 'a-second-one' };
    const second = { ...lost, sequence: events.length + 1, eventId: event.id, bytes: encodeEvent(event) };
    await using copy = await tempFolder();
    await copyFolder(seen.folder, copy.path, ['nats']);
    await storeEvents(copy.path, [...events, second]);
    const report = await verify(copy.path);
    expect(report).toMatchObject({ kind: 'clean' });
    expect(JSON.stringify(report)).toMatch(/3 commit-accepted.*11 entries and 2 accepted commits/);
  });

  it('says of tables that cannot be used why, and what makes them anew', async () => {
    await using copy = await tempFolder();
    await copyFolder(seen.folder, copy.path);
    const file = await open(join(tables(copy.path), 'data.mdb'), 'r+');
    await file.write(new Uint8Array(64), 0, 64, 0);
    await file.close();
    const report = await verify(copy.path);
    expect(report).toMatchObject({ kind: 'different', where: 'tables', detail: expect.stringMatching(/mlsd rebuild/) });
  });

  it('compares no tables where there are none, and says that the server makes them', async () => {
    await using copy = await tempFolder();
    await copyFolder(seen.folder, copy.path, ['tables']);
    expect(JSON.stringify(await verify(copy.path))).toContain('tables: none; the server makes them');
    await rm(join(copy.path, 'nats'), { recursive: true });
    await expect(verify(copy.path)).rejects.toMatchObject({ code: 'no-data' });
  });
});

it('a server on a NATS of others is verified too, running or stopped', async () => {
  await using nats = await openManualServer();
  await using folder = await tempFolder();
  const tokenFile = join(folder.path, 'token');
  await writeFile(tokenFile, nats.place.token);
  const servers = nats.place.servers.map((server) => `nats://${server}`);
  await using server = await startServer({ log: { kind: 'remote', servers, tokenFile, replicas: 1 } });
  const alice = await TestDevice.register(server.url, 'alice');
  await alice.send(await alice.createGroup('tea'), 'hello');
  const log = { kind: 'remote', servers, token: nats.place.token } as const;
  for (const stop of [false, true]) {
    if (stop) await server.stop();
    await using site = await openSite({ ...siteOptions(server.folder), log });
    expect(site.running).toBe(!stop);
    expect(JSON.stringify(await verifyServer(site, NO_PROGRESS))).toMatch(/clean.*1 with 2 entries and 0 accepted/);
  }
});

describe('the check of a group', () => {
  it('finds every way to lose, repeat, move or alter an entry', async () => {
    const opened = await openTablesFile(tables(seen.folder));
    if (opened.kind !== 'tables') throw new Error('no tables');
    await using file = opened.file;
    const number = file.findGroup('tea')!;
    const entries = file.entries(number, 1, 100).map((entry) => ({ ...entry, bytes: entry.bytes.slice() }));
    expect(entries).toHaveLength(5);
    const firstProblem = (list: readonly StoredEntry[]): string | undefined => {
      const check = createGroupCheck(seen.tea, nodeSha256);
      for (const entry of list) {
        const problem = check.add(entry);
        if (problem !== undefined) return problem;
      }
      return undefined;
    };
    const renumbered = (list: readonly StoredEntry[]) => list.map((entry, i) => ({ ...entry, position: i + 1 }));
    expect(firstProblem(entries)).toBeUndefined();
    for (let i = 0; i < entries.length; i += 1) {
      const without = entries.filter((_, j) => j !== i);
      if (i < entries.length - 1) {
        expect(firstProblem(without)).toMatch(/is missing/);
        expect(firstProblem(renumbered(without))).toMatch(/says that it stands at position|entry/);
      }
      expect(firstProblem(renumbered([...entries.slice(0, i + 1), ...entries.slice(i)]))).toBeDefined();
      const altered = entries.map((entry, j) =>
        i === j ? { ...entry, bytes: changedAt(entry.bytes, entry.bytes.length - 1) } : entry,
      );
      expect(firstProblem(altered)).toMatch(new RegExp(`entry ${i + 1} of group`));
      const relinked = entries.map((entry, j) => (i === j ? { ...entry, head: changedAt(entry.head, 3) } : entry));
      expect(firstProblem(relinked)).toMatch(/has the head .* but its bytes give/);
    }
    const check = createGroupCheck(seen.tea, nodeSha256);
    for (const entry of entries) check.add(entry);
    const head = file.standing().heads.find((it) => it.number === number)!;
    expect({ position: check.position, epoch: check.epoch, head: toHex(check.head) }).toEqual({
      position: head.position,
      epoch: file.epochOf(seen.tea),
      head: toHex(head.hash),
    });
  });
});
