/** What a client with many groups needs: memory, and time until there is a prompt. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Group } from '../src/client/engine/types.ts';
import { emptyGroup } from '../src/client/engine/welcome.ts';
import { createIdentity, loadIdentity } from '../src/client/runner/identity.ts';
import { groupWrites } from '../src/client/store/group-rows.ts';
import { cursorWrite, lineWrites } from '../src/client/store/history-rows.ts';
import { keys } from '../src/client/store/keys.ts';
import { openLmdbStore } from '../src/client/store/lmdb-store.ts';
import { createCommit } from '../src/mls/session/commit.ts';
import { receive } from '../src/mls/session/receive.ts';
import { nodeSha256 } from '../src/mls/suite-node.ts';
import { encodeCbor } from '../src/wire/cbor.ts';
import { cursorFromBlock } from '../src/wire/cursor.ts';
import { EMPTY_HEAD } from '../src/wire/entry.ts';
import { createMember, DOMAIN, groupOfAll, type Member, someBytes, suite, TEXT } from './client-world.ts';
import { type Figure, round } from './figure.ts';
import { lessThanMs, type Machine } from './machine.ts';

const GROUPS = 100;
const MEMBERS = 50;
/** As many as the client keeps, so that a group is as large as it gets. */
const EPOCHS = 5;
const LINES = 100_000;
const LINES_A_COMMIT = 5_000;
const MEMORY_MAX_MB = 200;
const PROMPT_MS = 500;
const STARTS = 3;
const CHILD = fileURLToPath(new URL('./client-child.ts', import.meta.url));

interface Started {
  readonly promptMs: number;
  readonly memoryMb: number;
  readonly groups: number;
}

export async function run(machine: Machine): Promise<readonly Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'mlsd-bench-groups-'));
  try {
    await fill(join(folder, 'store'));
    const starts: Started[] = [];
    for (let i = 0; i < STARTS; i += 1) starts.push(await start(folder));
    if (starts.some(({ groups }) => groups !== GROUPS)) throw new Error('not every group was there');
    const promptMs = Math.min(...starts.map((start) => start.promptMs));
    const memoryMb = Math.min(...starts.map((start) => start.memoryMb));
    const prompt = lessThanMs(machine, PROMPT_MS);
    return [
      {
        name: `memory with ${GROUPS} groups of ${MEMBERS}, ${EPOCHS} past epochs each`,
        value: `${Math.round(memoryMb)} MB resident`,
        target: `< ${MEMORY_MAX_MB} MB`,
        met: memoryMb < MEMORY_MAX_MB,
      },
      {
        name: `from opening to the prompt with ${GROUPS} groups and ${LINES.toLocaleString('en')} lines`,
        value: `${round(promptMs, 0)} ms of CPU`,
        target: prompt.target,
        met: prompt.met(promptMs),
      },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function start(folder: string): Promise<Started> {
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', CHILD, folder]);
  return JSON.parse(stdout) as Started;
}

/** A store as it is after years. */
async function fill(path: string): Promise<void> {
  await using store = await openLmdbStore(path);
  const world = { suite, sha256: nodeSha256, now: Date.now, randomBytes: someBytes };
  await createIdentity(store, world, { name: 'bob', domain: DOMAIN, label: 'bench' });
  await store.commit([
    { key: keys.identity(), value: encodeCbor({ ...(await loadIdentity(store)), registration: null }) },
  ]);
  const members = await Promise.all(Array.from({ length: MEMBERS }, createMember));
  const groups: Group[] = [];
  for (let i = 0; i < GROUPS; i += 1) {
    const group = await oldGroup(members, `group${i}`);
    await store.commit(groupWrites(undefined, group));
    groups.push(group);
  }
  for (let from = 1; from <= LINES; from += LINES_A_COMMIT) {
    const writes = Array.from({ length: LINES_A_COMMIT }, (_, i) => lineRows(groups[(from + i) % GROUPS]!, from + i));
    await store.commit(writes.flat());
  }
  const last = { v: 1, cursor: cursorFromBlock(someBytes(16)), lastLine: LINES };
  await store.commit([{ key: keys.device(), value: encodeCbor(last) }]);
  await store.durable();
}

async function oldGroup(members: readonly Member[], name: string): Promise<Group> {
  const { bytes, founder, last } = await groupOfAll(members);
  let [theirs, ours] = [founder, last];
  for (let i = 0; i < EPOCHS; i += 1) {
    const made = await createCommit(suite, theirs, { inlineTree: false, groupInfoTree: false, now: Date.now() });
    const received = await receive(suite, ours, made.commit);
    if (received.kind !== 'commit') throw new Error(`a commit was not taken: ${received.kind}`);
    [theirs, ours] = [made.next, received.state];
  }
  return { ...emptyGroup(bytes, name), phase: 'member', head: EMPTY_HEAD, mls: ours };
}

function lineRows(group: Group, ordinal: number) {
  const cursor = cursorFromBlock(someBytes(16));
  const sender = { account: 'a'.repeat(32), device: 'd'.repeat(32), name: 'alice' };
  const line = {
    cursor,
    group: group.id,
    groupName: group.name,
    time: Date.now(),
    position: ordinal,
    kind: 'message',
    id: 'abcdefghijklmnopqrstuv',
    sender,
    text: TEXT,
    own: false,
  } as Parameters<typeof lineWrites>[0];
  return [...lineWrites(line, group.bytes, ordinal), cursorWrite(cursor, ordinal)];
}
