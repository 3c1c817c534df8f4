import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { openConnection } from '../../src/log/connection.ts';
import { STREAM_NAME } from '../../src/log/subjects.ts';
import { openManualServer, tempFolder } from '../support/nats.ts';
import { startServer } from '../support/server.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { follow } from '../support/stream-reader.ts';
import { TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';

const isReady = async (url: string): Promise<boolean> => (await fetch(`${url}/readyz`)).status === 200;

it('a log that is deleted and made anew under a running node stops it before it serves both; it is refused at its start until that is accepted', async () => {
  await using folder = await tempFolder();
  await using nats = await openManualServer();
  const tokenFile = join(folder.path, 'token');
  await writeFile(tokenFile, nats.place.token, { mode: 0o600 });
  const servers = nats.place.servers.map((server) => `nats://${server}`);
  const log = { kind: 'remote', servers, tokenFile, replicas: 1 } as const;
  const secretFile = join(folder.path, 'secret');
  await using old = await startServer({ folder: join(folder.path, 'old'), secretFile, log });
  const alice = await TestDevice.register(old.url, 'alice');
  const group = await alice.createGroup();
  await alice.send(group, 'in the first log');
  await alice.syncAll();
  const { cursor } = alice;
  const stream = await alice.http.fetch('GET', '/v1/sync?cursor=start', { accept: 'application/cbor-seq' });
  const followed = follow(stream.body!, () => false);

  const connection = await openConnection({ servers: nats.place.servers, token: nats.place.token });
  expect((await connection.api(`STREAM.DELETE.${STREAM_NAME}`)).ok).toBe(true);
  await connection.close();
  await using fresh = await startServer({ folder: join(folder.path, 'fresh'), secretFile, log }); // its tables are empty: it begins a log
  const lost = { id: newId(), message: await alice.encrypt(group, 'for a log that is gone') };
  const answered = await alice.postMessages(group, [lost]);
  expect(problemOf(answered).code).toBe('not-ready');
  await until(async () => !(await isReady(old.url())));
  // who reads along hears of it, and asks another node
  expect((await followed).closing).toMatchObject({ reason: 'not-ready', resumable: true });
  expect(problemOf(await alice.http.request('GET', `/v1/sync?cursor=${cursor}`)).code).toBe('not-ready');

  const bob = await TestDevice.register(fresh.url, 'bob'); // what the old node may still have appended hurts nobody
  expect(await isReady(fresh.url())).toBe(true);
  await bob.createGroup();
  await expect(old.restart()).rejects.toMatchObject({ code: 'incarnation-changed' });
  await old.restart({ acceptRollback: true });
  expect(await isReady(old.url())).toBe(true);
  const elsewhere = await TestDevice.create(old.url, 'bob', 'localhost', bob.http.key);
  expect(problemOf(await elsewhere.http.request('GET', `/v1/sync?cursor=${cursor}`)).code).toBe('cursor-invalid');
  expect(problemOf(await alice.http.request('GET', '/v1/sync?cursor=start')).code).toBe('unauthenticated');
  expect(okValue(await elsewhere.http.request('GET', '/v1/groups')).groups).toHaveLength(1);
});
