/** A device that was away reads what was said meanwhile: network, checks, store and history, against nothing but ts-mls doing the same. */
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClientState, decodeMlsMessage, emptyPskIndex, processPrivateMessage } from 'ts-mls';
import { encodeContent } from '../src/client/content/content.ts';
import { encodeBinding } from '../src/client/engine/binding.ts';
import { openChatClient } from '../src/client/open-chat-client.ts';
import { encrypt } from '../src/mls/session/message.ts';
import type { GroupState } from '../src/mls/session/state.ts';
import { startServerProcess } from '../test/support/server.ts';
import { newId } from '../test/support/signed-client.ts';
import { suite, TestDevice } from '../test/support/test-device.ts';
import { someBytes, TEXT } from './client-world.ts';
import { type Figure, round } from './figure.ts';
import { costOf, type Pair, summarize } from './paired.ts';

const MESSAGES = 1_000;
const PER_REQUEST = 100;
const ROUNDS = 11;
/** What comes first is compiled while it runs. */
const WARM_UP = 4;
const CATCH_UP_MAX = 1.3;
const CATCH_UP_TIMEOUT_MS = 120_000;

export async function run(): Promise<readonly Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'mlsd-bench-client-'));
  try {
    await using server = await startServerProcess();
    await using away = await createAway(server.url(), join(folder, 'bob'));
    for (let i = 0; i < WARM_UP; i += 1) await away.round();
    const rounds: Pair[] = [];
    for (let i = 0; i < ROUNDS; i += 1) rounds.push(await away.round());
    const { ours, theirs, ratio, spread } = summarize(rounds);
    const value = `${round(ours / MESSAGES, 2)} ms of CPU a message`;
    const bare = `bare ts-mls decrypting the same (${round(theirs / MESSAGES, 2)} ms; ${spread})`;
    return [
      {
        name: `catching up ${MESSAGES.toLocaleString('en')} messages after the line was cut`,
        value,
        against: { what: bare, ratio },
        target: `< ${CATCH_UP_MAX} of it`,
        met: ratio < CATCH_UP_MAX,
      },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** bob, who loses the connection and finds it again, and carol, who reads with the library alone what alice writes to both. */
async function createAway(server: string, dir: string) {
  const gate = await openGate(server);
  const alice = await TestDevice.register(server, 'alice');
  const carol = await TestDevice.register(server, 'carol');
  const bob = await openChatClient({ dir, server: gate.url, userName: 'bob', inProcess: true });
  const { account } = (await bob.status()).me;
  const group = await alice.createGroup('tea');
  const { results } = (await alice.claim(group, [account, carol.account])).value as {
    results: { keyPackage: Uint8Array }[];
  };
  await alice.commit(group, { add: results.map(({ keyPackage }) => keyPackage) });
  await bob.openGroup('tea');
  await carol.catchUp();
  let bare = carol.state(group) as unknown as ClientState;
  const unread = async (): Promise<number> => (await bob.groups())[0]?.unread ?? 0;
  const decrypt = async (some: readonly Uint8Array[]): Promise<void> => {
    bare = await decrypted(bare, some);
  };
  return {
    /** `ours`: the client from the moment it can connect again; `theirs`: the library's work, half before and half after. */
    round: async (): Promise<Pair> => {
      gate.close();
      const messages = await say(alice, group);
      const expected = (await unread()) + messages.length;
      const half = messages.length >> 1;
      const before = await costOf(() => decrypt(messages.slice(0, half)));
      gate.open();
      const ours = await costOf(() => bob.caughtUp(CATCH_UP_TIMEOUT_MS));
      const after = await costOf(() => decrypt(messages.slice(half)));
      if ((await unread()) !== expected) throw new Error(`${await unread()} unread messages, not ${expected}`);
      return { ours, theirs: before + after };
    },
    [Symbol.asyncDispose]: async () => {
      await bob.close();
      await gate[Symbol.asyncDispose]();
    },
  };
}

/** A way to a server that can be shut. */
async function openGate(server: string) {
  const { hostname, port } = new URL(server);
  const sockets = new Set<Socket>();
  let isOpen = true;
  const listener = createServer((near) => {
    if (!isOpen) {
      near.destroy();
      return;
    }
    const far = connect(Number(port), hostname);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy()); // cut off, which is what a gate is for
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const close = (): void => {
    isOpen = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(listener.address() as AddressInfo).port}`,
    close,
    open: () => {
      isOpen = true;
    },
    [Symbol.asyncDispose]: async () => {
      close();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

/** Has alice write to the group. */
async function say(alice: TestDevice, group: Uint8Array): Promise<readonly Uint8Array[]> {
  const messages: { id: string; message: Uint8Array }[] = [];
  let state: GroupState = alice.state(group);
  for (let i = 0; i < MESSAGES; i += 1) {
    const id = newId();
    const made = await encrypt(suite, state, encodeContent({ text: TEXT }, someBytes(16)), encodeBinding(id));
    state = made.state;
    messages.push({ id, message: made.message });
  }
  alice.setState(group, state);
  for (let at = 0; at < MESSAGES; at += PER_REQUEST) {
    const answered = await alice.postMessages(group, messages.slice(at, at + PER_REQUEST));
    if (answered.status !== 201) throw new Error(`the server refused: ${answered.status}`);
  }
  return messages.map(({ message }) => message);
}

/** ts-mls itself, with our cipher suite: decode, decrypt, keep the newest state. */
async function decrypted(from: ClientState, messages: readonly Uint8Array[]): Promise<ClientState> {
  let state = from;
  for (const bytes of messages) {
    const message = decodeMlsMessage(bytes, 0)?.[0];
    if (message?.wireformat !== 'mls_private_message') throw new Error('not a private message');
    state = (await processPrivateMessage(state, message.privateMessage, emptyPskIndex, suite)).newState;
  }
  return state;
}
