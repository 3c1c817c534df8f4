import { readFileSync } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { acquireFolderLock } from '../../src/log/folder-lock.ts';
import { openNatsServer } from '../../src/log/nats-server/child.ts';
import { findNatsServer } from '../../src/log/nats-server/find.ts';
import { spawnBound } from '../../src/log/nats-server/spawn-bound.ts';
import { openLog } from '../../src/log/open-log.ts';
import { killServer, openTestLog, TEST_DOMAIN, tempFolder } from '../support/nats.ts';
import { spawnLines } from '../support/process.ts';
import { until } from '../support/until.ts';
import { groupOf, proposal } from './events.ts';

/** One that has ended but was not waited for yet does not run. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

/** A process of its own that holds a log in the folder. */
async function holdLog(folder: string): Promise<{ pid: number; serverPid: number; kill(): Promise<void> }> {
  const script = new URL('./hold-log.ts', import.meta.url).pathname;
  const holder = spawnLines(process.execPath, ['--import', 'tsx', script, folder]);
  const line = await holder.waitForLine((text) => text.startsWith('server '), 'the log to be open');
  return { pid: holder.pid, serverPid: Number(line.split(' ')[1]), kill: () => holder.kill('SIGKILL') };
}

describe('the embedded server', () => {
  test('is private: its configuration is readable by its owner only and its token is not on the command line', async () => {
    await using opened = await openTestLog();
    const config = join(opened.folder, 'server.conf');
    expect((await stat(config)).mode & 0o777).toBe(0o600);
    const token = /token: "([^"]+)"/.exec(await readFile(config, 'utf8'))![1]!;
    expect(token.length).toBeGreaterThanOrEqual(40);
    if (process.platform === 'linux') {
      expect(await readFile(`/proc/${opened.log.serverPid}/cmdline`, 'utf8')).not.toContain(token);
    }
  });

  test('syncs every write where the server can, and says so', async () => {
    await using opened = await openTestLog();
    const { version } = await findNatsServer();
    const description = await opened.log.describe();
    const canSync = version.major > 2 || version.minor >= 10;
    expect(description.durability).toBe(canSync ? 'every-write' : 'every-two-minutes');
    expect(description).toMatchObject({
      stream: 'MLS',
      embedded: true,
      replicas: 1,
      lastSequence: 1,
      domain: TEST_DOMAIN,
    });
    const config = await readFile(join(opened.folder, 'server.conf'), 'utf8');
    expect(config.includes('sync_interval: always')).toBe(canSync);
  });

  test('is started again when it dies, as often as it dies, with the same log', async () => {
    const notices: string[] = [];
    await using opened = await openTestLog({ onNotice: (text) => notices.push(text) });
    for (let round = 0; round < 3; round += 1) {
      await killServer(opened.log);
      const result = await opened.log.append({
        lane: { kind: 'group-proposal', group: groupOf(1) },
        event: proposal(`after-${round}`, groupOf(1)),
      });
      expect(result).toMatchObject({ kind: 'committed', sequence: round + 2 });
    }
    expect(notices.filter((text) => text.includes('SIGKILL'))).toHaveLength(3);
  });

  test('is gone when its parent was killed with SIGKILL, and the log can be opened again at once', async () => {
    await using folder = await tempFolder();
    for (let round = 0; round < 3; round += 1) {
      const holder = await holdLog(folder.path);
      expect(isRunning(holder.serverPid)).toBe(true);
      await holder.kill();
      const log = await openLog({ place: { folder: folder.path }, domain: TEST_DOMAIN, tablesEmpty: true });
      expect(isRunning(holder.serverPid)).toBe(false);
      await log.close();
    }
  });

  test('is gone after close, and its folder is free', async () => {
    await using opened = await openTestLog();
    const pid = opened.log.serverPid!;
    await opened.log.close();
    expect(isRunning(pid)).toBe(false);
    expect(opened.log.state).toBe('closed');
    await using lock = await acquireFolderLock(opened.folder);
    expect(lock.fd).toBeGreaterThan(0);
  });

  test('is never started twice on one folder: the second is refused with locked, by this and by another process', async () => {
    await using opened = await openTestLog();
    const second = { place: { folder: opened.folder }, domain: TEST_DOMAIN, tablesEmpty: true };
    await expect(openLog(second)).rejects.toMatchObject({ code: 'locked' });
    await using other = await tempFolder();
    const holder = await holdLog(other.path);
    await expect(openLog({ ...second, place: { folder: other.path } })).rejects.toMatchObject({ code: 'locked' });
    await holder.kill();
  });

  test('that cannot start gives server-failed with what it said, and releases the folder', async () => {
    await using folder = await tempFolder();
    const binary = await findNatsServer();
    await mkdir(join(folder.path, 'store'));
    const broken = { ...binary, path: '/bin/false' };
    await expect(openNatsServer({ binary: broken, folder: folder.path })).rejects.toMatchObject({
      code: 'server-failed',
    });
    await expect(
      openNatsServer({ binary: { ...binary, path: '/nowhere' }, folder: folder.path }),
    ).rejects.toMatchObject({
      code: 'server-failed',
    });
    await using server = await openNatsServer({ binary, folder: folder.path });
    expect(server.url).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/);
  });
});

describe('a folder lock', () => {
  test('is refused at once while its owner lives, and there for the next when it was released', async () => {
    await using folder = await tempFolder();
    const first = await acquireFolderLock(folder.path);
    const started = performance.now();
    await expect(acquireFolderLock(folder.path)).rejects.toMatchObject({ code: 'locked' });
    // a lock that an orphan holds is waited for: 15 s
    expect(performance.now() - started).toBeLessThan(10_000);
    await first.close();
    await first.close();
    await using again = await acquireFolderLock(folder.path);
    expect(again.fd).toBeGreaterThan(0);
  });

  test('lasts as long as a child that inherited it, and is waited for then', async () => {
    await using folder = await tempFolder();
    const first = await acquireFolderLock(folder.path);
    const child = await spawnBound('/bin/sleep', ['60'], first.fd);
    await first.close();
    const waiting = acquireFolderLock(folder.path);
    let taken = false;
    void waiting.then(() => {
      taken = true;
    });
    const giveUp = new AbortController();
    const impatient = acquireFolderLock(folder.path, giveUp.signal);
    giveUp.abort();
    await expect(impatient).rejects.toMatchObject({ code: 'aborted' });
    expect(taken).toBe(false);
    await child.stop();
    await (await waiting).close();
  });

  test('of a killed process is free at once: there are no stale locks', async () => {
    await using folder = await tempFolder();
    const holder = await holdLog(folder.path);
    await holder.kill();
    await until(() => !isRunning(holder.serverPid));
    await using lock = await acquireFolderLock(folder.path);
    expect(await readFile(join(folder.path, 'lock'), 'utf8')).toBe(`${process.pid}\n`);
    expect(lock.fd).toBeGreaterThan(0);
  });
});
