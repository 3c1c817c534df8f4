/** The client: each figure against nothing but ts-mls doing the same, where there is such a thing. */
import { type ClientState, decodeMlsMessage, emptyPskIndex, processPublicMessage } from 'ts-mls';
import { createMlsConfig } from '../src/mls/config.ts';
import type { GroupState } from '../src/mls/session/state.ts';
import { decodeState, encodeState } from '../src/mls/session/state-codec.ts';
import { run as catchingUp } from './client-catch-up.ts';
import { run as manyGroups } from './client-groups.ts';
import { openReader } from './client-reader.ts';
import { run as reading } from './client-reading.ts';
import { run as typing } from './client-typing.ts';
import { cpuMs, createMember, groupOfAll, joined, rotationsOf, suite } from './client-world.ts';
import { type Figure, round } from './figure.ts';
import { lessThanMs, type Machine } from './machine.ts';

const RUNS = 3;
const trusting = createMlsConfig({ validateCredential: () => true });

const COMMITS = 500;
const COMMIT_GROUP = 50;
const COMMITTERS = 4;
const JOIN_GROUP = 500;
const JOIN_MS = 3_000;

export async function run(machine: Machine): Promise<readonly Figure[]> {
  return [
    ...(await catchingUp()),
    ...(await reading()),
    await commits(),
    await joining(machine),
    ...(await typing(machine)),
    ...(await manyGroups(machine)),
  ];
}

async function commits(): Promise<Figure> {
  const members = await Promise.all(Array.from({ length: COMMIT_GROUP }, createMember));
  const group = await groupOfAll(members);
  const rows = encodeState(group.last);
  const log = await rotationsOf(group, members.slice(0, COMMITTERS), COMMITS);
  let [ours, bare] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < RUNS; i += 1) {
    bare = Math.min(bare, await bareCommits(decodeState(rows, trusting), log.messages));
    await using reader = await openReader(members.at(-1)!, members, group.bytes, rows);
    const before = process.cpuUsage();
    for (const page of log.pages) await reader.read(page);
    ours = Math.min(ours, cpuMs(before));
    const { phase, position } = reader.group();
    if (phase !== 'member' || position !== COMMITS) throw new Error(`stopped at ${position}: ${phase}`);
  }
  return {
    name: `catching up ${COMMITS} commits of a group of ${COMMIT_GROUP}, without the network`,
    value: `${round(ours / COMMITS, 2)} ms of CPU a commit`,
    against: { what: `bare ts-mls processing the same (${round(bare / COMMITS, 2)} ms)`, ratio: ours / bare },
    target: '< 1.3 of it',
    met: ours / bare < 1.3,
  };
}

async function joining(machine: Machine): Promise<Figure> {
  const members = await Promise.all(Array.from({ length: JOIN_GROUP }, createMember));
  const { welcome } = await groupOfAll(members);
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < RUNS; i += 1) {
    const started = performance.now();
    await joined(welcome, members[1]!);
    best = Math.min(best, performance.now() - started);
  }
  const target = lessThanMs(machine, JOIN_MS);
  return {
    name: `joining a group of ${JOIN_GROUP} from its Welcome`,
    value: `${round(best, 0)} ms`,
    target: target.target,
    met: target.met(best),
  };
}

/** ts-mls itself, with our cipher suite: decode, process, keep the newest state. */
async function bareCommits(state: GroupState, commits: readonly Uint8Array[]): Promise<number> {
  let client = state as unknown as ClientState;
  const before = process.cpuUsage();
  for (const bytes of commits) {
    const message = decodeMlsMessage(bytes, 0)?.[0];
    if (message?.wireformat !== 'mls_public_message') throw new Error('not a public message');
    const result = await processPublicMessage(client, message.publicMessage, emptyPskIndex, suite);
    client = result.newState;
  }
  return cpuMs(before);
}
