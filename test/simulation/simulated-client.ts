import type { ChatClient, SendAs } from '../../src/client/chat-client.ts';
import { reasonOf } from '../../src/client/runner/failures.ts';
import { openLocalClient } from '../../src/client/runner/local-client.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { type ClientDisk, createClientDisk } from './client-disk.ts';
import { type Caller, type ClientNetwork, createCaller, type Exchange } from './client-network.ts';
import { type ClientView, createClientView } from './client-view.ts';
import type { Ledger } from './ledger.ts';
import { watchListeners } from './listeners.ts';
import type { Persona } from './persona.ts';
import { readyIdentity } from './program.ts';
import type { ServerNode } from './server-node.ts';
import { createSimulatedApi } from './simulated-api.ts';
import type { CipherWatch } from './suite-watch.ts';
import { createClock, type World } from './world.ts';

/** As a program says that its device was revoked. */
const REVOKED = reasonOf(new ProblemError('unauthenticated', '', { members: { reason: 'revoked' } }));

/** Something a person asked of the program. */
export interface Deed {
  readonly text: string;
  /** `lost`: the program died before it said anything. */
  state: 'running' | 'done' | 'failed' | 'lost';
  outcome?: unknown;
}

export interface TypedText {
  readonly text: string;
  readonly group: GroupId;
  readonly deed: Deed;
}

/** One person at one machine: the program on it comes and goes, its disk stays. */
export interface SimulatedClient {
  readonly persona: Persona;
  readonly disk: ClientDisk;
  readonly network: ClientNetwork;
  readonly view: ClientView;
  readonly typed: readonly TypedText[];
  readonly deeds: readonly Deed[];
  /** Absent while the program is not there, or still starts. */
  readonly chat: ChatClient | undefined;
  /** The program said that it cannot go on. */
  readonly hasFailed: boolean;
  /** The wanted name is somebody else's: there is no account, and no program any more. */
  readonly isNobody: boolean;
  /** The program says that its device was revoked. */
  readonly knowsRevoked: boolean;
  /** What another device of the account has to be shown, for this one to be linked. */
  readonly offer: string | undefined;
  /** Its person does not start it before. */
  awayUntil: number;
  start(): void;
  kill(): void;
  /** Closes the program as a person does. */
  quit(): Promise<void>;
  do(text: string, ask: (chat: ChatClient) => Promise<unknown>): Deed | undefined;
  type(group: GroupId, text: string, how?: SendAs): void;
}

export function createSimulatedClient(
  world: World,
  persona: Persona,
  parts: {
    readonly nodes: readonly ServerNode[];
    readonly watch: CipherWatch;
    readonly ledger: Ledger;
  },
): SimulatedClient {
  const { nodes, watch, ledger } = parts;
  const { name, device } = persona;
  const chance = world.chance.fork();
  const view = createClientView(persona, ledger);
  view.reload(persona.rows);
  const disk = createClientDisk(world, persona.rows, view.take);
  const deeds: Deed[] = [];
  const typed: TypedText[] = [];
  const network: ClientNetwork = {
    device,
    clock: createClock(world),
    node: chance.pick(nodes),
    isCutOff: false,
    slowUntil: 0,
    onStreams: new Set(),
    breakStreams() {
      for (const breakOff of [...network.onStreams]) breakOff();
    },
  };
  interface Life {
    readonly store: ReturnType<ClientDisk['open']>;
    readonly caller: Caller;
    chat?: ChatClient;
    readonly ended: AbortController;
    hasFailed: boolean;
    isOver: boolean;
  }
  let life: Life | undefined;
  let isNobody = false;
  let knowsRevoked = false;
  let offer: string | undefined;
  /** How often the log had gone back when the stream began on which something came last. */
  let shownIn = 0;

  const end = (over: Life): void => {
    over.isOver = true;
    if (life === over) life = undefined;
    over.store.die();
    over.caller.die();
    over.ended.abort();
    for (const deed of deeds) if (deed.state === 'running') deed.state = 'lost';
    world.note(`${name} is gone`);
    // what is left of it in this process ends; nothing of it reaches the disk or the network
    over.chat?.close().catch(() => undefined);
  };
  const watched = (caller: Caller): Caller => ({
    ...caller,
    exchange: async (exchange) => {
      if (exchange.operation === 'postMessages') {
        checkCiphertexts(exchange);
        ledger.leaves(device, idsIn(exchange.body!), shownIn);
      }
      if (exchange.operation === 'postCommit') ledger.leaves(device, [exchange.key!], shownIn);
      try {
        return await caller.exchange(exchange);
      } catch (error) {
        if (error instanceof ProblemError) ledger.refused(device, error);
        throw error;
      }
    },
    async *stream(cursor, signal) {
      let asked = cursor;
      const began = ledger.branches.length - 1;
      for await (const item of caller.stream(cursor, signal)) {
        shownIn = began;
        if (item.type === 'page') {
          ledger.served(device, asked, item);
          asked = item.cursor;
        }
        yield item;
      }
    },
  });
  const checkCiphertexts = ({ body }: Exchange): void => {
    for (const message of messagesIn(body!)) {
      const verdict = watch.left(message);
      if (verdict === 'generation-reused') {
        ledger.violate({ rule: 'no generation twice', text: `${name} sent two ciphertexts under one key` });
      }
    }
  };

  const client: SimulatedClient = {
    persona,
    disk,
    network,
    view,
    typed,
    deeds,
    awayUntil: 0,
    get chat() {
      return life?.chat;
    },
    get hasFailed() {
      return life?.hasFailed === true;
    },
    get isNobody() {
      return isNobody;
    },
    get knowsRevoked() {
      return knowsRevoked;
    },
    get offer() {
      return offer;
    },
    start() {
      // whoever was turned away has an account when a copy of its request was late, and gets it by asking once more
      if (isNobody && ledger.accounts.isValid(device)) isNobody = false;
      if (life !== undefined || isNobody) return;
      const caller = createCaller(world, network, nodes, (exchange, body) => ledger.answered(device, exchange, body));
      const own: Life = {
        caller,
        store: disk.open(() => end(own)),
        ended: new AbortController(),
        hasFailed: false,
        isOver: false,
      };
      watchListeners(own.ended.signal);
      life = own;
      world.note(`${name} starts`);
      open(own).catch((error: unknown) => {
        if (own.isOver) return;
        own.hasFailed = true;
        world.note(`${name} cannot start: ${String(error)}`);
      });
    },
    kill() {
      if (life !== undefined) end(life);
    },
    async quit() {
      const closing = life;
      if (closing?.chat === undefined) return;
      await closing.chat.close().catch(() => undefined);
      if (!closing.isOver) end(closing);
    },
    do(text, ask) {
      const chat = life?.chat;
      if (chat === undefined) return undefined;
      const deed: Deed = { text: `${name} ${text}`, state: 'running' };
      deeds.push(deed);
      world.note(deed.text);
      ask(chat).then(
        (outcome) => settle(deed, 'done', outcome),
        (error: unknown) => settle(deed, 'failed', error),
      );
      return deed;
    },
    type(group, text, how) {
      const deed = client.do(toldOf(text, how), (chat) => chat.send(group, text, how));
      if (deed !== undefined) typed.push({ text, group, deed });
    },
  };

  const settle = (deed: Deed, state: 'done' | 'failed', outcome: unknown): void => {
    if (deed.state !== 'running') return;
    deed.state = state;
    deed.outcome = outcome;
    world.note(`${deed.text}: ${outcome instanceof Error ? outcome.message : JSON.stringify(outcome)}`);
  };

  const open = async (own: Life): Promise<void> => {
    const { store } = own;
    const api = createSimulatedApi(watched(own.caller));
    const identity = await readyIdentity(store, api, {
      ...{ label: name, signal: own.ended.signal, now: network.clock.now, randomBytes: chance.bytes },
      onOffer: (code) => {
        offer = code;
      },
    });
    if (own.isOver) return;
    if (identity === undefined) {
      ledger.accounts.turnedAway(persona);
      isNobody = true;
      end(own);
      return;
    }
    const chat = await openLocalClient({
      store,
      api,
      identity,
      server: 'simulated',
      suite: watch.suite,
      sha256: nodeSha256,
      now: network.clock.now,
      monotonicMs: () => world.time.now(),
      random: chance.next,
      randomBytes: chance.bytes,
    });
    if (own.isOver) {
      chat.close().catch(() => undefined);
      return;
    }
    own.chat = chat;
    chat.subscribe((event) => {
      if (event.type !== 'connection') return;
      const { connection } = event;
      knowsRevoked ||= connection.state === 'offline' && connection.reason === REVOKED;
      if (connection.state === 'offline' && connection.reason.startsWith('stopped: ')) {
        own.hasFailed = true;
        world.note(`${name} ${connection.reason}`);
        if (!disk.isFull && !own.isOver) {
          ledger.violate({ rule: 'no internal failure', text: `${name} ${connection.reason}` });
        }
      }
    });
  };
  return client;
}

function toldOf(text: string, { deleted, replaces, inReplyTo }: SendAs = {}): string {
  if (deleted === true) return 'takes a message back';
  return `types "${text}"${replaces === undefined ? '' : ' instead'}${inReplyTo === undefined ? '' : ' in reply'}`;
}

function idsIn(body: Uint8Array): string[] {
  return (decodeCbor(body) as { messages: { id: string }[] }).messages.map(({ id }) => id);
}

function messagesIn(body: Uint8Array): Uint8Array[] {
  return (decodeCbor(body) as { messages: { message: Uint8Array }[] }).messages.map(({ message }) => message);
}
