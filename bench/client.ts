/** The client: catching up (network, checks, store, history) against nothing but ts-mls doing the same, joining, many groups. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClientState, decodeMlsMessage, emptyPskIndex, processPrivateMessage, processPublicMessage } from 'ts-mls';
import { encodeContent } from '../src/client/content/content.ts';
import { encodeBinding } from '../src/client/engine/binding.ts';
import { openChatClient } from '../src/client/open-chat-client.ts';
import type { ClientStore } from '../src/client/store/client-store.ts';
import { createSealedStore } from '../src/client/store/sealed-store.ts';
import { createMlsConfig } from '../src/mls/config.ts';
import { encrypt } from '../src/mls/session/message.ts';
import type { GroupState } from '../src/mls/session/state.ts';
import { decodeState, encodeState } from '../src/mls/session/state-codec.ts';
import { START_CURSOR } from '../src/wire/ids.ts';
import { startServerProcess } from '../test/support/server.ts';
import { newId } from '../test/support/signed-client.ts';
import { suite, TestDevice } from '../test/support/test-device.ts';
import { run as manyGroups } from './client-groups.ts';
import { openReader } from './client-reader.ts';
import { cpuMs, createMember, groupOfAll, joined, messagesOf, rotationsOf, someBytes, TEXT } from './client-world.ts';
import { type Figure, round } from './figure.ts';
import { lessThanMs, type Machine } from './machine.ts';

const MESSAGES = 1_000;
const PER_REQUEST = 100;
const CATCH_UP_TIMEOUT_MS = 60_000;
const RUNS = 3;
const trusting = createMlsConfig({ validateCredential: () => true });

const GROWTH_MESSAGES = 10_000;
const GROWTH_MAX = 1.2;
const SEALED_MAX = 1.3;
const COMMITS = 500;
const COMMIT_GROUP = 50;
const COMMITTERS = 4;
const JOIN_GROUP = 500;
const JOIN_MS = 3_000;

export async function run(machine: Machine): Promise<readonly Figure[]> {
  return [
    await catchUp(),
    await growth(),
    await sealed(),
    await commits(),
    await joining(machine),
    ...(await manyGroups(machine)),
  ];
}

async function catchUp(): Promise<Figure> {
  const runs: { ours: number; bare: number }[] = [];
  for (let i = 0; i < RUNS; i += 1) runs.push(await measure());
  runs.sort((a, b) => a.ours / a.bare - b.ours / b.bare);
  const { ours, bare } = runs[RUNS >> 1]!;
  return {
    name: `catching up ${MESSAGES} messages`,
    value: `${round(ours / MESSAGES, 2)} ms of CPU a message`,
    against: {
      what: `bare ts-mls decrypting the same (${round(bare / MESSAGES, 2)} ms)`,
      ratio: ours / bare,
    },
    target: '< 1.3 of it',
    met: ours / bare < 1.3,
  };
}

/** Whether a message costs the same when many came before it. */
async function growth(): Promise<Figure> {
  const members = [await createMember(), await createMember()];
  const group = await groupOfAll(members);
  const log = await messagesOf(group, members[0]!, GROWTH_MESSAGES);
  await using reader = await openReader(members.at(-1)!, members, group.bytes, encodeState(group.last));
  const costs: number[] = [];
  for (const page of log.pages) {
    const before = process.cpuUsage();
    await reader.read(page);
    costs.push(cpuMs(before) / page.entries.length);
  }
  if (reader.group().unread !== GROWTH_MESSAGES) throw new Error(`read ${reader.group().unread} messages`);
  // the first page is what everything is compiled for
  const half = costs.length >> 1;
  const [early, late] = [Math.min(...costs.slice(1, half)), Math.min(...costs.slice(half))];
  return {
    name: `a message near the end of ${GROWTH_MESSAGES.toLocaleString('en')} of one group, without the network`,
    value: `${round(late, 3)} ms of CPU`,
    against: { what: `one near the beginning (${round(early, 3)} ms)`, ratio: late / early },
    target: `< ${GROWTH_MAX} of it`,
    met: late / early < GROWTH_MAX,
  };
}

/** What an encrypted store adds to reading messages. */
async function sealed(): Promise<Figure> {
  const members = [await createMember(), await createMember()];
  const group = await groupOfAll(members);
  const log = await messagesOf(group, members[0]!, MESSAGES);
  const rows = encodeState(group.last);
  const dataKey = someBytes(32);
  const costOf = async (over: (store: ClientStore) => ClientStore): Promise<number> => {
    await using reader = await openReader(members.at(-1)!, members, group.bytes, rows, over);
    const before = process.cpuUsage();
    for (const page of log.pages) await reader.read(page);
    const cost = cpuMs(before);
    if (reader.group().unread !== MESSAGES) throw new Error(`read ${reader.group().unread} messages`);
    return cost;
  };
  let [plain, encrypted] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < RUNS; i += 1) {
    plain = Math.min(plain, await costOf((store) => store));
    encrypted = Math.min(encrypted, await costOf((store) => createSealedStore(store, dataKey)));
  }
  return {
    name: `catching up ${MESSAGES} messages into an encrypted store, without the network`,
    value: `${round(encrypted / MESSAGES, 3)} ms of CPU a message`,
    against: { what: `into a plain one (${round(plain / MESSAGES, 3)} ms)`, ratio: encrypted / plain },
    target: `< ${SEALED_MAX} of it`,
    met: encrypted / plain < SEALED_MAX,
  };
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

async function measure(): Promise<{ ours: number; bare: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'mlsd-bench-client-'));
  await using server = await startServerProcess();
  const alice = await TestDevice.register(server.url(), 'alice');
  const carol = await TestDevice.register(server.url(), 'carol');
  const bobOptions = { dir: join(folder, 'bob'), server: server.url(), userName: 'bob', inProcess: true };
  const bob = await openChatClient(bobOptions);
  const account = (await bob.status()).me.account;
  const group = await alice.createGroup('tea');
  const { results } = (await alice.claim(group, [account, carol.account])).value as {
    results: { keyPackage: Uint8Array }[];
  };
  await alice.commit(group, { add: results.map(({ keyPackage }) => keyPackage) });
  await bob.openGroup('tea');
  await carol.catchUp();
  await bob.close();

  const messages: { id: string; message: Uint8Array }[] = [];
  for (let i = 0; i < MESSAGES; i += 1) {
    const id = newId();
    const made = await encrypt(
      suite,
      alice.state(group),
      encodeContent({ text: TEXT }, someBytes(16)),
      encodeBinding(id),
    );
    alice.setState(group, made.state);
    messages.push({ id, message: made.message });
  }
  for (let at = 0; at < MESSAGES; at += PER_REQUEST) {
    const answered = await alice.postMessages(group, messages.slice(at, at + PER_REQUEST));
    if (answered.status !== 201) throw new Error(`the server refused: ${answered.status}`);
  }

  const bare = await bareDecryption(
    carol.state(group),
    messages.map(({ message }) => message),
  );
  const again = await openChatClient(bobOptions);
  const before = process.cpuUsage();
  await again.caughtUp(CATCH_UP_TIMEOUT_MS);
  const ours = cpuMs(before);
  const lines = await again.history(START_CURSOR, { limit: MESSAGES + 10 });
  const read = lines.filter((line) => line.kind === 'message').length;
  await again.close();
  await rm(folder, { recursive: true, force: true });
  if (read !== MESSAGES) throw new Error(`caught up with ${read} of ${MESSAGES} messages`);
  return { ours, bare };
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

/** ts-mls itself, with our cipher suite: decode, decrypt, keep the newest state. */
async function bareDecryption(state: GroupState, messages: readonly Uint8Array[]): Promise<number> {
  let client = state as unknown as ClientState;
  const before = process.cpuUsage();
  for (const bytes of messages) {
    const message = decodeMlsMessage(bytes, 0)?.[0];
    if (message?.wireformat !== 'mls_private_message') throw new Error('not a private message');
    const result = await processPrivateMessage(client, message.privateMessage, emptyPskIndex, suite);
    client = result.newState;
  }
  return cpuMs(before);
}
