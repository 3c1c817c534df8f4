import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../src/wire/bytes.ts';
import { decodePage } from '../../src/wire/page.ts';
import { tempFolder } from '../support/nats.ts';
import { childrenOf, spawnLines } from '../support/process.ts';
import { seeded } from '../support/seeded.ts';
import { MLSD_PROGRAM, startServerProcess } from '../support/server.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { follow } from '../support/stream-reader.ts';
import { TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';

const run = (...args: string[]) => spawnLines(process.execPath, [MLSD_PROGRAM, ...args]);
const isGone = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
};

describe('mlsd serve', () => {
  it('says in one line when it is ready, where it listens and what its log does', async () => {
    await using server = await startServerProcess();
    expect(server.readyLine()).toMatch(
      /^mlsd listening on http:\/\/127\.0\.0\.1:\d+ \(domain localhost, log MLS at sequence 1, JetStream \d+\.\d+\.\d+\S*, fsync every \S.*\)$/,
    );
    expect(server.process().lines).toHaveLength(1);
    expect((await fetch(`${server.url()}/readyz`)).status).toBe(200);
  });

  it('on SIGTERM finishes what runs, ends streams with a resumable reason, stops its nats-server and exits 0', async () => {
    await using server = await startServerProcess();
    const alice = await TestDevice.register(server.url, 'alice');
    const group = await alice.createGroup();
    const response = await alice.http.fetch('GET', '/v1/sync?cursor=start', { accept: 'application/cbor-seq' });
    const stream = follow(response.body!, () => false);
    const messages = [];
    for (let i = 0; i < 30; i += 1) messages.push({ id: newId(), message: await alice.encrypt(group, `${i}`) });
    const sending = Promise.allSettled(messages.map((message) => alice.postMessages(group, [message])));
    const { pid, exited } = server.process();
    const children = childrenOf(pid, 'nats-server');
    process.kill(pid, 'SIGTERM');
    expect(await exited).toBe(0);
    expect((await stream).closing).toEqual({ type: 'closing', reason: 'server-closing', resumable: true });
    for (const child of children) expect(isGone(child)).toBe(true);

    const answers = await sending;
    await server.start();
    const stored = (await alice.syncAll()).flatMap((entry) => (entry.kind === 'message' ? [entry.id] : []));
    for (const [i, answered] of answers.entries()) {
      if (answered.status === 'fulfilled' && answered.value.status === 201) expect(stored).toContain(messages[i]!.id);
    }
  });

  it('is refused on a data folder that another one uses, and leaves that one alone', async () => {
    await using server = await startServerProcess();
    const second = run('serve', '--data', server.folder, '--port', '0');
    expect(await second.exited).toBe(1);
    expect(second.errors.join('\n')).toMatch(/another mlsd runs on .*--data/);
    expect((await fetch(`${server.url()}/readyz`)).status).toBe(200);
  });

  it('exits 2 for settings that are wrong, 1 where the port is taken, and says which', async () => {
    const wrong = run('serve', '--host', '0.0.0.0');
    expect(await wrong.exited).toBe(2);
    expect(wrong.errors.join('\n')).toMatch(/--behind-tls-proxy/);
    await using server = await startServerProcess();
    await using other = await tempFolder();
    const port = new URL(server.url()).port;
    const taken = run('serve', '--data', other.path, '--port', port);
    expect(await taken.exited).toBe(1);
    expect(taken.errors.join('\n')).toMatch(new RegExp(`port ${port} .*--port`));
  });

  it.skipIf(!existsSync('/dev/full'))(
    'serves on when nobody takes what it logs: its log file is on a full disk, say',
    async () => {
      await using server = await startServerProcess();
      await server.kill('SIGTERM');
      const full = await open('/dev/full', 'w');
      // another value than that of the log: it says so at the start
      const args = [MLSD_PROGRAM, 'serve', '--data', server.folder, '--port', '0', '--limit', 'pastEpochs=4'];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', full.fd] });
      try {
        const exited = new Promise((resolve) => child.once('exit', resolve));
        const ready = once(createInterface({ input: child.stdout! }), 'line').then(([line]) => String(line));
        const line = await Promise.race([ready, exited.then((code) => `ended with ${code}`)]);
        expect(line).toContain('mlsd listening on');
        expect((await fetch(`${/http:\/\/\S+/.exec(line)?.[0]}/readyz`)).status).toBe(200);
        child.kill('SIGTERM');
        expect(await exited).toBe(0);
      } finally {
        child.kill('SIGKILL');
        await full.close();
      }
    },
  );

  it('S7: keeps its folder and files for its owner alone', async () => {
    await using server = await startServerProcess();
    expect((await stat(server.folder)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(server.folder)) {
      expect([name, (await stat(join(server.folder, name))).mode & 0o007]).toEqual([name, 0]);
    }
  });

  it('D1, D16: killed with SIGKILL at random moments it loses nothing that it acknowledged and answers retries as before', async () => {
    const random = seeded(20_261_122);
    await using server = await startServerProcess();
    const alice = await TestDevice.register(server.url, 'alice');
    const group = await alice.createGroup();
    const acknowledged = new Map<string, number>();
    for (let round = 0; round < 4; round += 1) {
      const unsure: { id: string; message: Uint8Array }[] = [];
      const killed = new Promise<void>((resolve) => {
        setTimeout(() => void server.kill().then(resolve), 20 + random.below(150));
      });
      for (let isUp = true; isUp; ) {
        const message = { id: newId(), message: await alice.encrypt(group, 'x') };
        const answered = await alice.postMessages(group, [message]).catch(() => undefined);
        if (answered?.status === 201) acknowledged.set(message.id, answered.value.results[0].position);
        else {
          unsure.push(message);
          isUp = false;
        }
      }
      await killed;
      await server.start();
      for (const message of unsure) {
        const { results } = okValue(await alice.postMessages(group, [message]));
        acknowledged.set(message.id, results[0].position);
      }
    }
    const log = new Map(
      (await alice.syncAll()).flatMap((e) => (e.kind === 'message' ? [[e.id, Number(e.position)]] : [])),
    );
    expect([...log].sort()).toEqual([...acknowledged].sort());
    expect([...log.values()]).toEqual([...log.values()].map((_, i) => i + 2));
  });

  it('a log that went back is detected at start; nothing is served until that is accepted, and then no old cursor is good', async () => {
    await using server = await startServerProcess();
    const alice = await TestDevice.register(server.url, 'alice');
    const group = await alice.createGroup();
    await alice.send(group, 'kept');
    await server.kill('SIGTERM');
    await using copies = await tempFolder();
    await cp(join(server.folder, 'nats'), join(copies.path, 'nats'), { recursive: true });
    await server.start();
    await alice.send(group, 'lost');
    await alice.syncAll();
    const { cursor } = alice;
    await server.kill('SIGTERM');
    await rm(join(server.folder, 'nats'), { recursive: true });
    await cp(join(copies.path, 'nats'), join(server.folder, 'nats'), { recursive: true });

    const refused = run('serve', '--data', server.folder, '--port', '0');
    expect(await refused.exited).toBe(1);
    expect(refused.errors.join('\n')).toMatch(/--accept-rollback/);
    await server.start(['--accept-rollback']);
    expect(problemOf(await alice.http.request('GET', `/v1/sync?cursor=${cursor}`)).code).toBe('cursor-invalid');
    alice.cursor = 'start';
    const kinds = (await alice.syncAll()).map(({ kind }) => kind);
    expect(kinds).toEqual(['group-created', 'message']);
    await server.kill('SIGTERM');
    await server.start();
    expect(await alice.syncAll()).toEqual([]);
  });

  it('makes its tables anew from the log when they are lost, with the same heads and cursors', async () => {
    await using server = await startServerProcess();
    const alice = await TestDevice.register(server.url, 'alice');
    const group = await alice.createGroup();
    for (let i = 0; i < 5; i += 1) await alice.send(group, `${i}`);
    const before = await alice.http.request('GET', '/v1/sync?cursor=start');
    await server.kill('SIGTERM');
    await rm(join(server.folder, 'tables'), { recursive: true });
    await server.start();
    const after = await alice.http.request('GET', '/v1/sync?cursor=start');
    expect(decodePage(after.bytes)).toEqual(decodePage(before.bytes));
    expect(toHex(after.bytes)).toBe(toHex(before.bytes));
  });

  it('a killed server leaves no nats-server behind', async () => {
    await using server = await startServerProcess();
    const children = childrenOf(server.process().pid, 'nats-server');
    await server.kill();
    await until(() => children.every(isGone));
  });
});
