import { mkdir, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { EXIT } from '../../src/bin/mlsd/process.ts';
import { runMlsd } from '../../src/bin/mlsd/run.ts';
import { LogError } from '../../src/log/errors.ts';
import { parsePort } from '../../src/log/nats-server/child.ts';
import { findNatsServer } from '../../src/log/nats-server/find.ts';
import { spawnBound } from '../../src/log/nats-server/spawn-bound.ts';
import { openLog } from '../../src/log/open-log.ts';
import { untilReached } from '../../src/log/reach.ts';
import type { AccountId, DeviceId } from '../../src/wire/ids.ts';
import { openManualServer, TEST_DOMAIN, tempFolder } from '../support/nats.ts';
import { until } from '../support/until.ts';

const WAIT_MS = 120_000;
const unavailable = () => Promise.reject(new LogError('unavailable', 'nobody is there'));
const ignore = { signal: undefined, onWaiting: () => {} };

it('what is not there yet is tried until it is, and told once', async () => {
  const told: string[] = [];
  let tries = 0;
  const open = async () => {
    tries += 1;
    if (tries < 4) return await unavailable();
    return { close: async () => {} };
  };
  await untilReached(open, { waitMs: WAIT_MS, signal: undefined, onWaiting: (reason) => told.push(reason) });
  expect([tries, told]).toEqual([4, ['nobody is there']]);
});

it('it is given up after the time that was set, at once without one, and at once for anything that waiting does not mend', async () => {
  await expect(untilReached(unavailable, { waitMs: 1, ...ignore })).rejects.toMatchObject({
    code: 'unavailable',
    message: 'nobody is there; waited 0.001 s',
  });
  await expect(untilReached(unavailable, { waitMs: 0, ...ignore })).rejects.toThrow(/^nobody is there$/);
  for (const code of ['rejected', 'log-unsafe', 'log-missing', 'domain-mismatch'] as const) {
    const tries: string[] = [];
    const wrong = async () => {
      tries.push(code);
      throw new LogError(code, 'no');
    };
    await expect(untilReached(wrong, { waitMs: WAIT_MS, ...ignore })).rejects.toMatchObject({ code });
    expect(tries).toEqual([code]);
  }
});

it('a signal ends it at once, also within a try; what opens after all is closed', async () => {
  const stop = new AbortController();
  const closed: string[] = [];
  let arrive: () => void = () => {};
  const arrived = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const open = async () => {
    await arrived;
    return { close: async () => void closed.push('late') };
  };
  const reaching = untilReached(open, { ...ignore, waitMs: WAIT_MS, signal: stop.signal });
  stop.abort();
  await expect(reaching).rejects.toMatchObject({ code: 'aborted' });
  arrive();
  await until(() => closed.length > 0);
});

it('a log opens on a NATS server that is started after it was asked for; a wrong token fails at once', async () => {
  await using nats = await openManualServer();
  await nats.stop();
  const options = { domain: TEST_DOMAIN, tablesEmpty: true };
  const notices: string[] = [];
  const opening = openLog({
    ...options,
    place: { ...nats.place, waitMs: WAIT_MS },
    onNotice: (text) => notices.push(text),
  });
  await until(() => notices.length > 0);
  await nats.start();
  await using log = await opening;
  expect((await log.describe()).lastSequence).toBe(1);
  expect(notices).toEqual([expect.stringContaining(`waiting for the log: no connection to ${nats.place.servers[0]}`)]);

  const wrong = openLog({
    ...options,
    place: { ...nats.place, token: 'wrong', waitMs: WAIT_MS },
    onNotice: expect.fail,
  });
  await expect(wrong).rejects.toMatchObject({ code: 'rejected' });
});

it('a NATS server without JetStream is waited for like one that is not there, and named as that', async () => {
  await using folder = await tempFolder();
  const config = join(folder.path, 'server.conf');
  const ports = join(folder.path, 'ports');
  await mkdir(ports);
  await writeFile(config, `listen: "127.0.0.1:-1"\nports_file_dir: ${JSON.stringify(ports)}\n`);
  const lock = await open(join(folder.path, 'lock'), 'w');
  const child = await spawnBound((await findNatsServer()).path, ['-c', config], lock.fd);
  try {
    let port: number | undefined;
    await until(async () => {
      const [name] = await readdir(ports);
      port = name === undefined ? undefined : parsePort(await readFile(join(ports, name), 'utf8'));
      return port !== undefined;
    });
    const notices: string[] = [];
    const stopping = new AbortController();
    const opening = openLog({
      ...{ domain: TEST_DOMAIN, tablesEmpty: true, signal: stopping.signal },
      place: { servers: [`127.0.0.1:${port}`], waitMs: WAIT_MS },
      onNotice: (text) => notices.push(text),
    });
    await until(() => notices.length > 0);
    stopping.abort();
    await expect(opening).rejects.toMatchObject({ code: 'aborted' });
    expect(notices).toEqual([expect.stringMatching(/^waiting for the log: JetStream .*is it switched on there/)]);
  } finally {
    await child.stop();
    await lock.close();
  }
});

it('what stands beside the log is waited for like the log, and not at all where nothing is', async () => {
  await using nats = await openManualServer();
  const notices: string[] = [];
  const options = { domain: TEST_DOMAIN, tablesEmpty: true, onNotice: (text: string) => void notices.push(text) };
  const stores = { retentionMs: 600_000, replicas: 1 };
  await using log = await openLog({ ...options, place: { ...nats.place, waitMs: WAIT_MS } });
  await using impatient = await openLog({ ...options, place: nats.place });
  await nats.stop();
  await until(() => log.state === 'disconnected' && impatient.state === 'disconnected');
  await expect(impatient.openBlobs(stores)).rejects.toMatchObject({ code: 'unavailable' });
  expect(notices).toEqual([]);
  const opening = Promise.all([log.openBlobs(stores), log.openOffers(stores)]);
  await until(() => notices.length === 2);
  await nats.start();
  const [blobs, offers] = await opening;
  expect(notices.map((text) => text.split(':', 1)[0]).sort()).toEqual([
    'waiting for the attachments',
    'waiting for the offers of devices',
  ]);
  expect(await blobs.heldBy('nobody' as DeviceId)).toEqual([]);
  expect(await offers.waitingFor('nobody' as AccountId)).toEqual([]);
});

it('mlsd serve says in one line that it waits for its cluster, and ends at once when it is asked to', async () => {
  await using nats = await openManualServer();
  await nats.stop();
  await using folder = await tempFolder();
  const tokenFile = join(folder.path, 'token');
  await writeFile(tokenFile, nats.place.token);
  const stopping = new AbortController();
  const said: string[] = [];
  const write = (text: string): void => void said.push(text);
  const at = ['--nats', `nats://${nats.place.servers[0]}`, '--nats-token-file', tokenFile];
  const ended = runMlsd(['serve', '--data', join(folder.path, 'data'), '--port', '0', ...at], {
    env: {},
    stdout: { write, columns: 100 },
    stderr: { write },
    version: '9.9.9',
    stopping: stopping.signal,
  });
  await until(() => said.join('').includes('waiting for the log'));
  stopping.abort();
  expect(await ended).toBe(EXIT.done);
  expect(said.join('').trim().split('\n')).toHaveLength(1);
});
