/** Catching up: the whole client (network, checks, store, history) against nothing but ts-mls decrypting the same messages. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClientState, decodeMlsMessage, emptyPskIndex, processPrivateMessage } from 'ts-mls';
import { encodeBinding, encodeText } from '../src/client/engine/content.ts';
import { openChatClient } from '../src/client/open-chat-client.ts';
import { encrypt } from '../src/mls/session/message.ts';
import type { GroupState } from '../src/mls/session/state.ts';
import { START_CURSOR } from '../src/wire/ids.ts';
import { startServerProcess } from '../test/support/server.ts';
import { newId } from '../test/support/signed-client.ts';
import { suite, TestDevice } from '../test/support/test-device.ts';
import { type Figure, round } from './figure.ts';

const MESSAGES = 1_000;
const PER_REQUEST = 100;
const TEXT = 'a message as people write them, one line, seldom two; nothing special about it';
const CATCH_UP_TIMEOUT_MS = 60_000;
const RUNS = 3;

export async function run(): Promise<readonly Figure[]> {
  const runs: { ours: number; bare: number }[] = [];
  for (let i = 0; i < RUNS; i += 1) runs.push(await measure());
  runs.sort((a, b) => a.ours / a.bare - b.ours / b.bare);
  const { ours, bare } = runs[RUNS >> 1]!;
  return [
    {
      name: `catching up ${MESSAGES} messages`,
      value: `${round(ours / MESSAGES, 2)} ms of CPU a message`,
      against: {
        what: `bare ts-mls decrypting the same (${round(bare / MESSAGES, 2)} ms)`,
        ratio: ours / bare,
      },
      target: '< 1.5 of it',
      met: ours / bare < 1.5,
    },
  ];
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
    const made = await encrypt(suite, alice.state(group), encodeText(TEXT), encodeBinding(id));
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

/** CPU time of this process since, all threads: what it costs, whatever else the machine does meanwhile. */
function cpuMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
