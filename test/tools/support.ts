import { randomBytes } from 'node:crypto';
import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openConnection } from '../../src/log/connection.ts';
import { encodeEvent } from '../../src/log/envelope.ts';
import { isOnItsLane } from '../../src/log/event-lane.ts';
import type { LogEvent } from '../../src/log/events.ts';
import { type ImportedEvent, importEvents } from '../../src/log/import-events.ts';
import { openNatsServer } from '../../src/log/nats-server/child.ts';
import { findNatsServer } from '../../src/log/nats-server/find.ts';
import { createPublisher } from '../../src/log/publisher.ts';
import { streamConfig } from '../../src/log/stream.ts';
import { type Lane, laneSubject } from '../../src/log/subjects.ts';
import { NO_PROGRESS } from '../../src/tools/progress.ts';
import { openSite, type Site, type SiteOptions } from '../../src/tools/site.ts';
import type { VerifyReport } from '../../src/tools/verify/report.ts';
import { verifyServer } from '../../src/tools/verify/verify-server.ts';
import type { ClientId } from '../../src/wire/ids.ts';
import { type ChildLines, spawnLines } from '../support/process.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { TestDevice } from '../support/test-device.ts';

/** A server that has seen accounts, groups, commits, proposals, messages and a removal; stopped. */
export interface SeenServer extends AsyncDisposable {
  readonly server: TestServer;
  readonly folder: string;
  readonly alice: TestDevice;
  readonly bob: TestDevice;
  /** A group of this name that all three are or were in. */
  readonly tea: Uint8Array;
  /** Starts a server on another folder for as long as this takes; the devices talk to it. */
  on<Result>(folder: string, use: (server: TestServer) => Promise<Result>): Promise<Result>;
}

export async function seenServer(): Promise<SeenServer> {
  const server = await startServer();
  let url = server.url;
  const [alice, bob, carol] = [
    await TestDevice.register(() => url(), 'alice'),
    await TestDevice.register(() => url(), 'bob'),
    await TestDevice.register(() => url(), 'carol'),
  ];
  const tea = await alice.createGroup('tea');
  await alice.invite(tea, bob, carol);
  await bob.catchUp();
  await carol.catchUp();
  await bob.send(tea, 'nobody on the server reads this');
  await alice.remove(tea, carol);
  await bob.catchUp();
  await bob.send(tea, 'nor this');
  const ink = await bob.createGroup();
  for (let i = 0; i < 5; i += 1) await bob.send(ink, `note ${i}`);
  await alice.syncAll();
  await server.stop();
  return {
    server,
    folder: server.folder,
    alice,
    bob,
    tea,
    async on(folder, use) {
      const other = await startServer({ folder });
      url = other.url;
      try {
        return await use(other);
      } finally {
        await other.stop();
      }
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

export function siteOptions(folder: string): SiteOptions {
  return { dataFolder: folder, secretFile: join(folder, 'secret'), domain: 'localhost', log: { kind: 'embedded' } };
}

export async function withSite<Result>(folder: string, use: (site: Site) => Promise<Result>): Promise<Result> {
  await using site = await openSite(siteOptions(folder));
  return await use(site);
}

export function verify(folder: string): Promise<VerifyReport> {
  return withSite(folder, (site) => verifyServer(site, NO_PROGRESS));
}

/** A copy of a stopped server's folder, but for its log when `without` says so. */
export async function copyFolder(from: string, to: string, without: readonly string[] = []): Promise<void> {
  for (const name of await readdir(from)) {
    if (name !== 'lock' && !without.includes(name)) await cp(join(from, name), join(to, name), { recursive: true });
  }
}

/** Every event of a stopped server's log, copied. */
export function eventsOf(folder: string): Promise<ImportedEvent[]> {
  return withSite(folder, async (site) => {
    const log = await site.openLog();
    const { stream } = await log.report();
    const events: ImportedEvent[] = [];
    for await (const batch of log.events({ from: 1, to: stream!.lastSequence })) {
      events.push(...batch.map(({ bytes, ...event }) => ({ ...event, bytes: bytes.slice() })));
    }
    return events;
  });
}

/** Makes the log of a data folder out of these events, whatever they are. */
export async function storeEvents(folder: string, events: readonly ImportedEvent[]): Promise<void> {
  await importEvents({
    folder: join(folder, 'nats'),
    binary: await findNatsServer(),
    newIncarnation: false,
    events: (async function* () {
      yield events;
    })(),
  });
}

/** An event on the lane it belongs to. */
export function onLane(sequence: number, lane: Lane, event: LogEvent): ImportedEvent {
  const subject = laneSubject(lane);
  if (!isOnItsLane(event, subject)) throw new Error(`${event.type} does not belong on ${subject}`);
  return { sequence, subject, eventId: event.id, bytes: encodeEvent(event) };
}

/** A log of this many events that each leave a row: proposals for a group that nobody made. */
export function plainEvents(count: number, bytes: number): ImportedEvent[] {
  const group = new Uint8Array(randomBytes(16));
  const proposal = new Uint8Array(bytes);
  const started: LogEvent = {
    v: 1,
    type: 'log-started',
    id: 'started',
    time: 1,
    incarnation: 'plain',
    domain: 'localhost',
  };
  const events = [onLane(1, { kind: 'log' }, started)];
  const by = { account: 'a'.repeat(32), device: 'b'.repeat(32) } as Pick<TestDevice, 'account'> & {
    device: TestDevice['id'];
  };
  for (let sequence = 2; sequence <= count; sequence += 1) {
    const id = `event-${sequence}`;
    const requestId = `request-of-${sequence}-${'x'.repeat(8)}` as ClientId;
    const requested = { ...by, requestId, requestDigest: new Uint8Array(32) };
    events.push(
      onLane(
        sequence,
        { kind: 'group-proposal', group },
        { v: 1, type: 'proposal-received', id, time: sequence, ...requested, group, epoch: 0, proposal },
      ),
    );
  }
  return events;
}

/** `mlsd` from its source, as a process of its own. */
export function mlsd(...args: string[]): ChildLines {
  return spawnLines(process.execPath, ['--import', 'tsx', MLSD, ...args]);
}

const MLSD = fileURLToPath(new URL('../../src/bin/mlsd.ts', import.meta.url));

/** As {@link storeEvents}, in a stream that lets an event be taken out again; this one is. */
export async function storeWithHole(folder: string, events: readonly ImportedEvent[], missing: number): Promise<void> {
  await using server = await openNatsServer({ folder: join(folder, 'nats'), binary: await findNatsServer() });
  await using connection = await openConnection({ servers: [server.url], token: server.token });
  const made = await connection.api('STREAM.CREATE.MLS', { ...streamConfig(1), deny_delete: false });
  if (!made.ok) throw new Error(made.failure.description);
  const publisher = createPublisher(connection);
  for (const { subject, eventId, bytes } of events) await publisher.publish({ subject, eventId, bytes });
  const gone = await connection.api('STREAM.MSG.DELETE.MLS', { seq: missing });
  if (!gone.ok) throw new Error(gone.failure.description);
  publisher.close();
}
