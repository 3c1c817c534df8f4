import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findNatsServer } from '../../src/log/nats-server/find.ts';
import { formatVersion } from '../../src/log/nats-server/version.ts';
import { isTestedWithReplicas } from '../../src/log/stream.ts';
import { type TempFolder, tempFolder } from '../support/nats.ts';
import { type ClusterServer, leaderOfLog, type NatsCluster, openNatsCluster } from '../support/nats-cluster.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { newId, problemOf } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { startWriters, type Writers } from './writers.ts';

const version = await findNatsServer().then(
  (binary) => formatVersion(binary.version),
  () => 'none',
);
const CONTENDERS = 100;
const ENOUGH = 8;

describe.skipIf(!isTestedWithReplicas(version))(`two nodes on three replicas (nats-server ${version})`, () => {
  let folder: TempFolder;
  let cluster: NatsCluster;
  const nodes: TestServer[] = [];
  let writers: Writers;

  beforeAll(async () => {
    folder = await tempFolder();
    cluster = await openNatsCluster();
    const tokenFile = join(folder.path, 'token');
    await writeFile(tokenFile, cluster.token, { mode: 0o600 });
    const servers = cluster.servers.map(({ url }) => url);
    const log = { kind: 'remote', servers, tokenFile, replicas: 3 } as const;
    const secretFile = join(folder.path, 'secret');
    const open = (name: string) => startServer({ folder: join(folder.path, name), secretFile, log });
    nodes.push(await open('a'));
    nodes.push(await open('b'));
    writers = await startWriters({ url: (i) => nodes[i % 2]!.url(), members: 4, name: 'writer' });
  });

  afterAll(async () => {
    for (const node of nodes) await node[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  /** Where every append is decided now; another one is a follower. */
  async function leader(): Promise<{ leading: ClusterServer; following: ClusterServer }> {
    const name = await until(async () => await leaderOfLog(cluster).catch(() => undefined));
    const leading = cluster.servers.find((server) => server.name === name)!;
    return { leading, following: cluster.servers.find((server) => server.name !== name)! };
  }

  it('a follower, then the leader is killed and comes back: both nodes go on with the other two', async () => {
    for (const which of ['following', 'leading'] as const) {
      const server = (await leader())[which];
      await writers.acknowledged(ENOUGH);
      await server.kill();
      await writers.acknowledged(ENOUGH);
      await server.start();
    }
  });

  it('the leader, then a follower is cut off from the others and rejoins: a node that is connected to it moves to another one', async () => {
    for (const which of ['leading', 'following'] as const) {
      const server = (await leader())[which];
      server.partition();
      await writers.acknowledged(ENOUGH);
      server.rejoin();
      await writers.acknowledged(ENOUGH);
    }
  });

  it('a leader that is not heard any more, while its connections stay open, is replaced', async () => {
    const { leading } = await leader();
    leading.partition('sent');
    await writers.acknowledged(ENOUGH);
    leading.rejoin();
    await writers.acknowledged(ENOUGH);
  });

  it('a leader that hears nothing any more loses and repeats nothing; once it hears again everything goes on', async () => {
    const { leading } = await leader();
    leading.partition('received');
    // it is heard, so that nobody takes its place before it gives up by itself, and disturbs the next one: safe, but slow
    const answered = (): number => [...writers.answers.values()].reduce((sum, count) => sum + count, 0);
    const enough = answered() + ENOUGH;
    await until(() => answered() >= enough);
    leading.rejoin();
    await writers.acknowledged(ENOUGH);
  });

  it('a leader that stops without ending, and goes on later, loses and repeats nothing', async () => {
    const { leading } = await leader();
    leading.pause();
    await writers.acknowledged(ENOUGH);
    leading.resume();
    await writers.acknowledged(ENOUGH);
  });

  it('without a majority nothing is acknowledged; with it again everything goes on', async () => {
    await cluster.servers[0]!.kill();
    await cluster.servers[1]!.kill();
    const before = writers.ledger.size;
    const refusals = (writers.answers.get('503') ?? 0) + writers.members.length;
    await until(() => (writers.answers.get('503') ?? 0) >= refusals);
    expect(writers.ledger.size - before).toBeLessThanOrEqual(writers.members.length); // answers on their way
    await cluster.servers[0]!.start();
    await cluster.servers[1]!.start();
    await writers.acknowledged(ENOUGH);
  });

  it('D1: of concurrent commits over both nodes one is taken, also while the leader of the log is killed', async () => {
    const device = await TestDevice.register(() => nodes[0]!.url(), 'contender');
    const group = await device.createGroup();
    let at = 0;
    const roaming = await TestDevice.create(() => nodes[at]!.url(), 'contender', 'localhost', device.http.key);
    const made = [];
    for (let i = 0; i < CONTENDERS; i += 1) made.push(await device.prepareCommit(group));
    const { leading } = await leader();
    const answering = made.map((commit, i) => {
      const key = newId();
      return until(async () => {
        at = i % 2;
        const answered = await roaming.postCommit(group, commit, key);
        return answered.status === 503 ? undefined : answered;
      });
    });
    await leading.kill();
    const answers = await Promise.all(answering);
    await leading.start();
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(1);
    const problems = answers.filter(({ status }) => status !== 201).map(problemOf);
    expect(problems.filter(({ code }) => code === 'epoch-conflict')).toHaveLength(CONTENDERS - 1);
  });

  it('ledger: what was acknowledged through all of this is found by every member exactly once, on both nodes', async () => {
    await writers.stop();
    for (const node of nodes) {
      const { lastSequence } = await node.running().log.describe();
      await node.running().projections.read.waitForSequence(lastSequence, AbortSignal.timeout(60_000));
    }
    expect(await writers.ledger.differences(writers.group, writers.members)).toEqual([]);
    const [a, b] = nodes.map((node) => node.running().projections.dumpTables());
    expect(a).toBe(b);
  });
});
