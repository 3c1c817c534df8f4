import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LogReport } from '../../src/log/inspect-log.ts';
import { examine } from '../../src/tools/doctor/examine.ts';
import { formatBytes, formatMs } from '../../src/tools/doctor/finding.ts';
import { judgeClock, judgeLog } from '../../src/tools/doctor/judge-log.ts';
import {
  judgeDisk,
  judgeFolder,
  judgeOpenFiles,
  judgeSecret,
  judgeSyncTime,
} from '../../src/tools/doctor/judge-machine.ts';
import { startServer } from '../support/server.ts';
import { withSite } from './support.ts';

const GIB = 1024 ** 3;
const NOW = Date.UTC(2026, 10, 22);

const good: LogReport = {
  serverVersion: '2.15.1',
  maxPayloadBytes: 8.5 * 1024 * 1024,
  storage: { usedBytes: GIB, limitBytes: 100 * GIB },
  roundTripMs: 2,
  clockOffsetMs: 3,
  syncsEveryWrite: true,
  stream: {
    firstSequence: 1,
    lastSequence: 10,
    messages: 10,
    bytes: 1_000,
    replicas: 1,
    replicasTested: true,
    unsafe: [],
    incarnation: { id: 'it', domain: 'localhost', sequence: 1 },
  },
};

const levels = (report: LogReport): Record<string, string> =>
  Object.fromEntries(judgeLog(report, { domain: 'localhost' }).map(({ what, level }) => [what, level]));
const stream = (change: Partial<NonNullable<LogReport['stream']>>): LogReport => ({
  ...good,
  stream: { ...good.stream!, ...change },
});

describe('mlsd doctor', () => {
  it('finds nothing bad in a server that was just started, also while it runs', async () => {
    await using server = await startServer();
    const look = () => withSite(server.folder, (site) => examine(site, Date.now));
    const running = await look();
    expect(running.filter(({ level }) => level === 'bad')).toEqual([]);
    expect(running.find(({ what }) => what === 'server')?.detail).toMatch(/^running/);
    expect(running.map(({ what }) => what)).toEqual(
      expect.arrayContaining([
        'folder',
        'secret',
        'disk',
        'disk sync',
        'open files',
        'nats',
        'fsync',
        'log',
        'clock',
        'tables',
      ]),
    );
    await server.stop();
    const stopped = await look();
    expect(stopped.find(({ what }) => what === 'server')?.detail).toMatch(/^stopped/);
    await chmod(join(server.folder, 'secret'), 0o644);
    await chmod(server.folder, 0o755);
    const bad = (await look()).filter(({ level }) => level === 'bad');
    expect(bad.map(({ what }) => what).sort()).toEqual(['folder', 'secret']);
    expect(bad.map(({ advice }) => advice).join('\n')).toMatch(/chmod 700.*\n.*chmod 600/);
  });

  it('judges what NATS and the log say of themselves', () => {
    expect(Object.values(levels(good)).every((level) => level === 'ok')).toBe(true);
    expect(levels({ ...good, syncsEveryWrite: false })['fsync']).toBe('warn');
    expect(levels({ ...good, syncsEveryWrite: 'unknown' })['fsync']).toBe('warn');
    expect(levels({ ...good, maxPayloadBytes: 1024 * 1024 })['nats']).toBe('warn');
    expect(levels({ ...good, storage: { usedBytes: 96, limitBytes: 100 } })['storage']).toBe('bad');
    expect(levels({ ...good, storage: { usedBytes: 85, limitBytes: 100 } })['storage']).toBe('warn');
    expect(levels({ ...good, storage: { usedBytes: 85, limitBytes: -1 } })['storage']).toBe('ok');
    expect(levels(stream({ unsafe: ['it forgets what was read'] }))['log']).toBe('bad');
    expect(levels(stream({ firstSequence: 2 }))['log']).toBe('bad');
    expect(levels(stream({ messages: 9 }))['log']).toBe('bad');
    expect(levels(stream({ incarnation: { id: 'it', domain: 'other.example', sequence: 1 } }))['domain']).toBe('bad');
    expect(levels(stream({ replicas: 3, replicasTested: false }))['replicas']).toBe('bad');
    const { stream: _none, ...withoutStream } = good;
    expect(levels(withoutStream)['log']).toBe('warn');
  });

  it('judges clock, disk, files and limits', () => {
    expect(judgeClock(NOW, 0, NOW - 1_000).level).toBe('ok');
    expect(judgeClock(NOW, undefined, undefined).level).toBe('ok');
    expect(judgeClock(NOW, 5_000, undefined).level).toBe('warn');
    expect(judgeClock(NOW, -40_000, undefined).level).toBe('bad');
    expect(judgeClock(NOW, 0, NOW + 60_000).level).toBe('bad');
    expect(judgeClock(Date.UTC(1970, 0, 2), 0, undefined).level).toBe('bad');
    const disk = { freeBytes: 50 * GIB, totalBytes: 100 * GIB, type: 0xef53 };
    expect(judgeDisk(disk).map(({ level }) => level)).toEqual(['ok']);
    expect(judgeDisk({ ...disk, freeBytes: 5 * GIB })[0]?.level).toBe('warn');
    expect(judgeDisk({ ...disk, freeBytes: GIB })[0]?.level).toBe('bad');
    expect(judgeDisk({ ...disk, type: 0x6969 })[1]).toMatchObject({ level: 'bad', what: 'file system' });
    expect(judgeDisk({ ...disk, type: 0x01021994 })[1]).toMatchObject({ level: 'warn' });
    expect([0.2, 20, 200].map((ms) => judgeSyncTime(ms).level)).toEqual(['ok', 'warn', 'bad']);
    expect([1_000_000, 1_024, 100].map((limit) => judgeOpenFiles(limit, 'it').level)).toEqual(['ok', 'warn', 'bad']);
    expect(judgeFolder({ path: '/x', mode: 0o700, isOwn: false }).level).toBe('bad');
    const secret = { path: '/x', mode: 0o600, isOwn: true, text: `${'a'.repeat(64)}\n` };
    expect(judgeSecret('/x', secret).level).toBe('ok');
    expect(judgeSecret('/x', { ...secret, text: 'short' }).level).toBe('bad');
    expect(judgeSecret('/x', undefined).level).toBe('warn');
    expect(JSON.stringify(judgeSecret('/x', secret))).not.toContain('aaaa');
    expect([formatBytes(512), formatBytes(1536), formatMs(0.25), formatMs(-1_500), formatMs(90_000)]).toEqual([
      '512 B',
      '1.5 KiB',
      '0.3 ms',
      '-1.5 s',
      '90 s',
    ]);
  });
});
