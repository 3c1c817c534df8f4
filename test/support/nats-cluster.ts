import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { openConnection } from '../../src/log/connection.ts';
import { acquireFolderLock } from '../../src/log/folder-lock.ts';
import { findNatsServer } from '../../src/log/nats-server/find.ts';
import { type BoundChild, spawnBound } from '../../src/log/nats-server/spawn-bound.ts';
import { STREAM_NAME } from '../../src/log/subjects.ts';
import { tempFolder } from './nats.ts';
import { openTcpProxy, type TcpProxy } from './tcp-proxy.ts';
import { until } from './until.ts';

/** One server of a cluster. */
export interface ClusterServer {
  /** As JetStream calls it. */
  readonly name: string;
  readonly url: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
  /**
   * The lines between it and the other servers go dead; those of its clients do not.
   *
   * @param lost `sent`: it hears the others and is not heard, `received`: the other way round
   */
  partition(lost?: 'both' | 'sent' | 'received'): void;
  rejoin(): void;
}

/** A JetStream cluster on loopback whose servers reach each other over lines that can be cut. */
export interface NatsCluster extends AsyncDisposable {
  readonly servers: readonly ClusterServer[];
  readonly token: string;
}

const MAX_PAYLOAD_BYTES = 9 * 1024 * 1024;
const MAX_FILE_BYTES = 1024 ** 3;

export async function openNatsCluster(size = 3): Promise<NatsCluster> {
  const binary = await findNatsServer();
  const temp = await tempFolder();
  const token = randomBytes(8).toString('hex');
  const indices = Array.from({ length: size }, (_, i) => i);
  const ports = await freePorts(2 * size + 1);
  const nowhere = ports[2 * size]!;
  const clientPort = (i: number): number => ports[i]!;
  const routePort = (i: number): number => ports[size + i]!;
  const lines: { readonly from: number; readonly to: number; readonly proxy: TcpProxy }[] = [];
  for (const from of indices) {
    for (const to of indices) {
      if (from !== to) lines.push({ from, to, proxy: await openTcpProxy(() => routePort(to)) });
    }
  }
  const servers: ClusterServer[] = [];
  const stops: (() => Promise<void>)[] = [];
  for (const i of indices) {
    const folder = join(temp.path, `n${i}`);
    await mkdir(folder);
    const lock = await acquireFolderLock(folder);
    const routes = lines
      .filter(({ from }) => from === i)
      .map(({ proxy }) => `"nats-route://cluster:${token}@127.0.0.1:${proxy.port}"`);
    const configFile = join(folder, 'server.conf');
    await writeFile(
      configFile,
      `listen: "127.0.0.1:${clientPort(i)}"
server_name: "n${i}"
max_payload: ${MAX_PAYLOAD_BYTES}
authorization { token: "${token}" }
cluster {
  name: "test"
  listen: "127.0.0.1:${routePort(i)}"
  no_advertise: true
  # else servers tell each other where they listen, and connect beside the lines that can be cut
  advertise: "127.0.0.1:${nowhere}"
  authorization { user: cluster, password: "${token}" }
  routes: [${routes.join(', ')}]
}
jetstream { store_dir: ${JSON.stringify(join(folder, 'store'))}, max_mem: 64MB, max_file: ${MAX_FILE_BYTES}, sync_interval: always }
`,
    );
    let child: BoundChild | undefined;
    const mine = lines.filter(({ from, to }) => from === i || to === i);
    const kill = async (): Promise<void> => {
      if (child === undefined) return;
      process.kill(child.pid, 'SIGKILL');
      await child.ended;
      child = undefined;
    };
    stops.push(async () => {
      await kill();
      await lock.close();
    });
    servers.push({
      name: `n${i}`,
      url: `nats://127.0.0.1:${clientPort(i)}`,
      async start() {
        child = await spawnBound(binary.path, ['-c', configFile], lock.fd);
        const { lastLines } = child;
        await until(
          () => isListening(clientPort(i)),
          () => lastLines().join('\n'),
        );
      },
      kill,
      pause: () => process.kill(child!.pid, 'SIGSTOP'),
      resume: () => process.kill(child!.pid, 'SIGCONT'),
      partition: (lost = 'both') => {
        for (const { from, proxy } of mine) {
          if (lost === 'both') proxy.cut();
          else proxy.cut((lost === 'sent') === (from === i) ? 'there' : 'back');
        }
      },
      rejoin: () => {
        for (const { proxy } of mine) proxy.mend();
      },
    });
  }
  for (const server of servers) await server.start();
  await until(() => canReplicate(servers, token).catch(() => false));
  return {
    servers,
    token,
    async [Symbol.asyncDispose]() {
      for (const stop of stops) await stop();
      for (const { proxy } of lines) await proxy[Symbol.asyncDispose]();
      await temp[Symbol.asyncDispose]();
    },
  };
}

/** JetStream refuses replicas before it knows all servers. */
async function canReplicate(servers: readonly ClusterServer[], token: string): Promise<boolean> {
  const connection = await openConnection({ servers: servers.map(({ url }) => url), token });
  try {
    const probe = { name: 'probe', subjects: ['probe'], num_replicas: servers.length };
    const made = await connection.api(`STREAM.CREATE.${probe.name}`, probe);
    if (made.ok) await connection.api(`STREAM.DELETE.${probe.name}`);
    return made.ok;
  } finally {
    await connection.close();
  }
}

/** Name of the server that leads the log now; `undefined` while there is none. @throws when nobody can be asked */
export async function leaderOfLog(cluster: NatsCluster): Promise<string | undefined> {
  const connection = await openConnection({ servers: cluster.servers.map(({ url }) => url), token: cluster.token });
  try {
    const info = await connection.api<{ cluster?: { leader?: string } }>(`STREAM.INFO.${STREAM_NAME}`);
    return info.ok ? info.value.cluster?.leader : undefined;
  } finally {
    await connection.close();
  }
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const tell = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => tell(true)).once('error', () => tell(false));
  });
}

/** Held all at once, so that they differ. Somebody else may take one before it is used: then a server does not start, and says so. */
async function freePorts(count: number): Promise<number[]> {
  const probes = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  const ports: number[] = [];
  for (const probe of probes) {
    if (!probe.listening) await new Promise((resolve) => probe.once('listening', resolve));
    const address = probe.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    ports.push(address.port);
  }
  await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
  return ports;
}
