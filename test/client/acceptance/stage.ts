import type { ChatClient, ChatEvent, Done, GroupStatus, HistoryLine } from '../../../src/client/chat-client.ts';
import type { NewDeviceOptions } from '../../../src/client/runner/new-device.ts';
import { type ConnectApi, type Platform, startOn } from '../../../src/client/runner/start-on.ts';
import type { ClientStore } from '../../../src/client/store/client-store.ts';
import { createHttpApi } from '../../../src/client/transport/http-api.ts';
import { type ServerApi, TransportError } from '../../../src/client/transport/server-api.ts';
import { type AccountId, type Cursor, type GroupId, START_CURSOR } from '../../../src/wire/ids.ts';
import { until } from '../../support/until.ts';

/** Longer than anything here takes; only what fails waits for it. */
export const WAIT_MS = 240_000;
const PAGE_LINES = 100;

/** Opens the same place again and again: each call one store, after the one before it was closed. */
export type Place = () => ClientStore | Promise<ClientStore>;

/** What of the client a scenario cannot do through {@link ChatClient}: how a further device begins. */
export interface NewDevices {
  link(
    store: ClientStore,
    connect: ConnectApi,
    options: NewDeviceOptions & { readonly account: AccountId; readonly onOffer: (code: string) => void },
  ): Promise<string>;
  recover(
    store: ClientStore,
    connect: ConnectApi,
    options: NewDeviceOptions & { readonly code: string },
  ): Promise<unknown>;
}

export interface StageOptions {
  readonly platform: Platform;
  /** Of a real server. */
  readonly server: string;
  /** A place that nobody was in before. */
  readonly place: () => Place;
}

/** Somebody with a client that can be ended and started again over what it had stored. */
export interface Actor {
  readonly name: string;
  readonly chat: ChatClient;
  /** Every event since the last start. */
  readonly events: readonly ChatEvent[];
  /** Ends the client as it is, whatever it is doing. */
  stop(): Promise<void>;
  /** The same, and starts it again over the same place. */
  restart(): Promise<void>;
  /** Of the next such request the answer is lost, after the server took it. */
  loseAnswer(method: keyof ServerApi): void;
  lines(group: GroupId): Promise<readonly HistoryLine[]>;
  /** Texts of the group's messages, as stored, oldest first. */
  texts(group: GroupId): Promise<readonly string[]>;
  warnings(group: GroupId): Promise<readonly string[]>;
  status(group: GroupId): Promise<GroupStatus | undefined>;
  /** Waits until a line is there that has these members, and gives it. */
  sees(group: GroupId, what: Readonly<Record<string, unknown>>): Promise<HistoryLine>;
  /** Waits until this device can say something there. */
  isMember(group: GroupId): Promise<void>;
}

/** Where people meet: one server, names that nobody else has. At its end everybody leaves. */
export interface Stage extends AsyncDisposable {
  /** Somebody new, with a name that begins like this; tries once more where the answer to the registration is to be lost. */
  enter(name: string, lost?: readonly (keyof ServerApi)[]): Promise<Actor>;
  /** A group of these people, made by the first and joined by all, and its name. */
  groupOf(people: readonly Actor[], options?: { readonly handshakes?: 'private' }): Promise<GroupId>;
  /** A name that is free. */
  name(beginning: string): string;
  /** Somebody's second device, linked by a code. */
  linkTo(actor: Actor, devices: NewDevices): Promise<Actor>;
  /** A device that gets an account back by its code. */
  recover(name: string, code: string, devices: NewDevices): Promise<Actor>;
}

/** Over all stages, which may share a server, and over all runs, which may as well. */
const run = Math.floor(Math.random() * 36 ** 6).toString(36);
let names = 0;

export function createStage({ platform, server, place }: StageOptions): Stage {
  const present = new Set<Actor>();
  const name = (beginning: string): string => {
    names += 1;
    return `${beginning}-${run}-${names}`;
  };
  const { sha256, randomBytes, http } = platform;
  const world = { sha256, now: Date.now, randomBytes, platform: http };

  async function enterAs(userName: string, stored: Place, lost: (keyof ServerApi)[]): Promise<Actor> {
    const connect: ConnectApi = ({ id, sign }) => losing(createHttpApi({ server, device: id, sign, ...world }), lost);
    let events: ChatEvent[] = [];
    const isToLose = lost.length > 0;
    const start = async (): Promise<ChatClient> => {
      const chat = await startOn(platform, await stored(), connect, { server, userName, deviceLabel: userName });
      events = [];
      chat.subscribe((event) => events.push(event));
      return chat;
    };
    let chat = await start().catch((error: unknown) => {
      if (!isToLose) throw error;
      return start();
    });
    let stopped = false;
    const stop = async (): Promise<void> => {
      if (!stopped) await chat.close();
      stopped = true;
    };
    const lines = (group: GroupId): Promise<readonly HistoryLine[]> => wholeHistory(chat, group);
    const actor: Actor = {
      name: userName,
      get chat() {
        return chat;
      },
      get events() {
        return events;
      },
      stop,
      async restart() {
        await stop();
        chat = await start();
        stopped = false;
      },
      loseAnswer: (method) => void lost.push(method),
      lines,
      texts: async (group) => (await lines(group)).flatMap((line) => (line.kind === 'message' ? [line.text] : [])),
      warnings: async (group) => (await lines(group)).flatMap((line) => (line.kind === 'warning' ? [line.text] : [])),
      status: async (group) => (await chat.groups()).find((each) => each.group === group),
      sees: (group, what) =>
        until(
          async () => (await lines(group)).findLast((line) => has(line, what)),
          () => `${userName} never saw ${JSON.stringify(what)}`,
        ),
      isMember: async (group) => {
        const isIn = async () => (await chat.groups()).some((each) => each.group === group && each.state === 'member');
        await until(isIn, () => `${userName} is no member`);
      },
    };
    present.add(actor);
    return actor;
  }

  /** A place where a further device of somebody has made itself ready. */
  async function prepare(
    label: string,
    work: (store: ClientStore, connect: ConnectApi, options: NewDeviceOptions) => Promise<unknown>,
  ): Promise<Place> {
    const stored = place();
    const store = await stored();
    const connect: ConnectApi = ({ id, sign }) => createHttpApi({ server, device: id, sign, ...world });
    const signal = AbortSignal.timeout(WAIT_MS);
    await work(store, connect, { now: Date.now, randomBytes, label, server, signal });
    await store.close();
    return stored;
  }

  return {
    name,
    enter: (beginning, lost = []) => enterAs(name(beginning), place(), [...lost]),
    async groupOf(people, options) {
      const [first, ...others] = people;
      const wanted = name('group');
      const opened = await first!.chat.openGroup(wanted, options);
      if (opened.kind !== 'created') throw new Error(opened.kind);
      const { group } = opened;
      const invited = await first!.chat.invite(
        group,
        others.map((other) => other.name),
      );
      const failed = invited.find(({ kind }) => kind !== 'done');
      if (failed !== undefined) throw new Error(`not invited: ${JSON.stringify(failed)}`);
      for (const other of others) await other.isMember(group);
      return group;
    },
    async linkTo(actor, devices) {
      const { account } = (await actor.chat.status()).me;
      let added: Promise<Done> | undefined;
      const onOffer = (code: string): void => {
        added = actor.chat.link(code);
      };
      const stored = await prepare(`second of ${actor.name}`, (store, connect, options) =>
        devices.link(store, connect, { ...options, account, onOffer }),
      );
      const outcome = await added;
      if (outcome?.kind !== 'done') throw new Error(outcome?.reason);
      return enterAs(actor.name, stored, []);
    },
    async recover(userName, code, devices) {
      const stored = await prepare('recovered', (store, connect, options) =>
        devices.recover(store, connect, { ...options, code }),
      );
      return enterAs(userName, stored, []);
    },
    async [Symbol.asyncDispose]() {
      const all = [...present];
      present.clear();
      await Promise.all(all.map((actor) => actor.stop()));
    },
  };
}

/** Everything a group's history has, however many pages. */
async function wholeHistory(chat: ChatClient, group: GroupId): Promise<readonly HistoryLine[]> {
  const lines: HistoryLine[] = [];
  for (let after: Cursor = START_CURSOR; ; ) {
    const more = await chat.history(after, { limit: PAGE_LINES, group });
    lines.push(...more);
    const last = more.at(-1)?.cursor;
    if (more.length < PAGE_LINES || last === undefined) return lines;
    after = last;
  }
}

/** Whether everything that is said of it is so, member by member. */
function has(value: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return value === wanted;
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(wanted).every(([key, each]) => has((value as Record<string, unknown>)[key], each));
}

/** A connection that loses answers: the server did what it was asked, and nobody here hears of it. */
function losing(api: ServerApi, lost: (keyof ServerApi)[]): ServerApi {
  return new Proxy(api, {
    get(target, key: keyof ServerApi) {
      const method = target[key] as (...args: readonly unknown[]) => unknown;
      if (key === 'syncStream' || key === 'close') return method;
      return async (...args: readonly unknown[]) => {
        const answer = await method(...args);
        const next = lost.indexOf(key);
        if (next === -1) return answer;
        lost.splice(next, 1);
        throw new TransportError('unreachable', 'the answer was lost');
      };
    },
  });
}
