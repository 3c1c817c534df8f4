import type {
  ChatClient,
  ChatEvent,
  Connection,
  GroupStatus,
  HistoryContent,
  HistoryLine,
  OpenOutcome,
  Person,
  PersonOutcome,
  Verified,
} from '../../src/client/chat-client.ts';
import { CURSOR_BLOCK_BYTES, cursorFromBlock } from '../../src/wire/cursor.ts';
import { type AccountId, type Cursor, type DeviceId, type GroupId, START_CURSOR } from '../../src/wire/ids.ts';
import { foldName } from '../../src/wire/names.ts';

/** A time in the middle of a day everywhere on earth, so that no test depends on the machine's zone. */
export const FAKE_NOW = Date.UTC(2026, 10, 22, 12, 0, 0);

export function fakePerson(name: string): Person {
  return {
    account: name.padEnd(32, 'a') as AccountId,
    device: name.padEnd(32, 'b') as DeviceId,
    name,
  };
}

interface FakeGroup {
  status: GroupStatus;
  members: string[];
  administrators: string[];
}

/** A {@link ChatClient} in memory, with the hands that a server and other people would have. */
export interface FakeChatClient extends ChatClient {
  readonly control: FakeControl;
}

interface FakeControl {
  /** What was called that changes something, in order, as `name(arguments)`. */
  readonly calls: readonly string[];
  readonly closed: boolean;
  addGroup(name: string, members: readonly string[], administrators?: readonly string[]): GroupId;
  /** A line arrives: stored, counted as unread, announced. */
  receive(group: GroupId, content: HistoryContent, time?: number): HistoryLine;
  message(group: GroupId, from: string, text: string, time?: number): HistoryLine;
  /** The group exists on the server without me; `invite` brings me in. */
  existsWithout(name: string, administrators: readonly string[]): void;
  invite(name: string, by: string): GroupId;
  setConnection(connection: Connection): void;
  /** While false (or offline), sent messages wait. */
  setAccepting(accepting: boolean): void;
  emit(event: ChatEvent): void;
  setState(group: GroupId, state: GroupStatus['state'], reason?: string): void;
  /** How often the history was read, to see that nothing polls. */
  readonly historyReads: number;
}

export interface FakeOptions {
  readonly me: string;
  readonly knownUsers?: readonly string[];
  readonly recoveryCode?: string;
}

export function createFakeChatClient(options: FakeOptions): FakeChatClient {
  const me = fakePerson(options.me);
  let untold = options.recoveryCode;
  const users = new Set([options.me, ...(options.knownUsers ?? [])]);
  const groups = new Map<GroupId, FakeGroup>();
  const lines: HistoryLine[] = [];
  const unsent: HistoryLine[] = [];
  const elsewhere = new Map<string, readonly string[]>();
  const listeners = new Set<(event: ChatEvent) => void>();
  const calls: string[] = [];
  const verified = new Map<string, Verified>();
  let connection: Connection = { state: 'online' };
  let accepting = true;
  let clock = FAKE_NOW;
  let counter = 0;
  let historyReads = 0;
  let closed = false;

  const emit = (event: ChatEvent) => {
    for (const listener of [...listeners]) listener(structuredClone(event));
  };
  const nextCursor = (): Cursor => {
    const block = new Uint8Array(CURSOR_BLOCK_BYTES);
    counter += 1;
    new DataView(block.buffer).setUint32(0, counter * 2654435761);
    return cursorFromBlock(block);
  };
  const groupOf = (id: GroupId): FakeGroup => {
    const group = groups.get(id);
    if (group === undefined) throw coded('unknown-group', 'no such group here');
    return group;
  };
  const update = (id: GroupId, change: Partial<GroupStatus>) => {
    const group = groupOf(id);
    group.status = { ...group.status, ...change };
    emit({ type: 'group', group: group.status });
  };
  const receive = (id: GroupId, content: HistoryContent, time?: number): HistoryLine => {
    const { status } = groupOf(id);
    clock += 1000;
    const position = status.position + 1;
    const base = { cursor: nextCursor(), group: id, groupName: status.name, time: time ?? clock, position };
    const line: HistoryLine = { ...base, ...content };
    lines.push(line);
    emit({ type: 'line', line });
    const counts = (content.kind === 'message' && !content.own) || content.kind === 'joined';
    update(id, { position, unread: status.unread + (counts ? 1 : 0) });
    return line;
  };
  const deliver = () => {
    while (accepting && connection.state === 'online' && unsent.length > 0) {
      const line = unsent.shift();
      if (line?.kind !== 'message') break;
      emit({ type: 'sent', id: line.id });
      const { kind, id, sender, text, own } = line;
      receive(line.group, { kind, id, sender, text, own });
    }
  };
  const addGroup = (name: string, members: readonly string[], administrators = members.slice(0, 1)): GroupId => {
    const id = name.padEnd(22, 'A') as GroupId;
    const known = groups.get(id);
    const status: GroupStatus = {
      ...{ group: id, name, epoch: 1, position: known?.status.position ?? 0, unread: 0 },
      ...{ members: members.length, state: 'member' },
    };
    groups.set(id, { status, members: [...members], administrators: [...administrators] });
    return id;
  };
  const changeMembers = (id: GroupId, added: readonly string[], removed: readonly string[], rotated = false) => {
    const group = groupOf(id);
    group.members = [...group.members.filter((name) => !removed.includes(name)), ...added];
    update(id, { members: group.members.length, epoch: group.status.epoch + 1 });
    const people = { added: added.map(fakePerson), removed: removed.map(fakePerson) };
    receive(id, { kind: 'membership', by: me, ...people, rotated, epoch: group.status.epoch });
  };
  const needServer = () => {
    if (connection.state !== 'online') throw coded('unreachable', 'the server does not answer');
  };

  return {
    control: {
      calls,
      get closed() {
        return closed;
      },
      get historyReads() {
        return historyReads;
      },
      addGroup,
      receive,
      message: (group, from, text, time) => {
        const sender = fakePerson(from);
        counter += 1;
        return receive(group, { kind: 'message', id: `m${counter}`, sender, text, own: false }, time);
      },
      existsWithout: (name, administrators) => void elsewhere.set(foldName(name), administrators),
      invite: (name, by) => {
        elsewhere.delete(foldName(name));
        const id = addGroup(name, [by, options.me], [by]);
        receive(id, { kind: 'joined', by: fakePerson(by), epoch: 1 });
        return id;
      },
      setConnection: (next) => {
        connection = next;
        emit({ type: 'connection', connection });
        deliver();
      },
      setAccepting: (next) => {
        accepting = next;
        deliver();
      },
      emit,
      setState: (group, state, reason) =>
        update(group, { state, ...(reason === undefined ? {} : { parkedReason: reason }) }),
    },
    status: async () => ({
      me,
      server: 'http://localhost:4000',
      connection,
      cursor: lines.at(-1)?.cursor ?? START_CURSOR,
      unsent: unsent.length,
      keyPackages: 101,
      receipts: false,
    }),
    groups: async () => [...groups.values()].map((group) => group.status),
    members: async (id) =>
      groupOf(id).members.map((name) => ({
        name,
        account: fakePerson(name).account,
        devices: [fakePerson(name).device],
        role: groupOf(id).administrators.includes(name) ? 'admin' : 'member',
        me: name === options.me,
        verified: verified.get(name) ?? 'no',
      })),
    openGroup: async (name, wanted): Promise<OpenOutcome> => {
      calls.push(`openGroup(${wanted?.handshakes === undefined ? name : `${name}, ${wanted.handshakes}`})`);
      needServer();
      const found = [...groups.values()].find((group) => foldName(group.status.name) === foldName(name));
      if (found?.status.state === 'member') return { kind: 'member', group: found.status.group };
      const administrators = elsewhere.get(foldName(name));
      if (administrators !== undefined) return { kind: 'not-invited', administrators };
      const group = addGroup(name, [options.me]);
      receive(group, { kind: 'created', by: me });
      return { kind: 'created', group };
    },
    send: async (group, text) => {
      calls.push(`send(${groupOf(group).status.name}, ${JSON.stringify(text)})`);
      counter += 1;
      const id = `own${counter}`;
      clock += 1000;
      const { name } = groupOf(group).status;
      unsent.push({ group, groupName: name, time: clock, kind: 'message', id, sender: me, text, own: true });
      queueMicrotask(deliver);
      return { id };
    },
    sendFile: async (group, { name, mediaType, bytes }) => {
      calls.push(`sendFile(${groupOf(group).status.name}, ${name}, ${mediaType}, ${bytes.length})`);
      counter += 1;
      return { id: `own${counter}` };
    },
    fetchFile: async (_group, position) => ({ kind: 'refused', reason: `there is no file ${position} in this group` }),
    invite: async (group, names) => {
      calls.push(`invite(${names.join(', ')})`);
      needServer();
      const { members } = groupOf(group);
      const outcomes = names.map((name): PersonOutcome => {
        if (!users.has(name)) return { name, kind: 'unknown-user' };
        return { name, kind: members.includes(name) ? 'already' : 'done' };
      });
      const added = outcomes.filter((outcome) => outcome.kind === 'done').map((outcome) => outcome.name);
      if (added.length > 0) changeMembers(group, added, []);
      return outcomes;
    },
    remove: async (group, names) => {
      calls.push(`remove(${names.join(', ')})`);
      needServer();
      const { members } = groupOf(group);
      const outcomes = names.map(
        (name): PersonOutcome => ({ name, kind: members.includes(name) ? 'done' : 'not-member' }),
      );
      const removed = outcomes.filter((outcome) => outcome.kind === 'done').map((outcome) => outcome.name);
      if (removed.length > 0) changeMembers(group, [], removed);
      return outcomes;
    },
    promote: async (_group, names) => {
      calls.push(`promote(${names.join(', ')})`);
      return names.map((name): PersonOutcome => ({ name, kind: 'done' }));
    },
    demote: async (_group, names) => {
      calls.push(`demote(${names.join(', ')})`);
      return names.map((name): PersonOutcome => ({ name, kind: 'done' }));
    },
    setPolicy: async (group, policy) => {
      calls.push(`setPolicy(${policy.invite})`);
      update(group, policy);
      return { kind: 'done' };
    },
    leave: async (group) => {
      calls.push('leave()');
      if (groupOf(group).administrators.includes(options.me)) {
        return { kind: 'refused', reason: 'the last administrator cannot leave' };
      }
      update(group, { state: 'removed' });
      return { kind: 'done' };
    },
    joinGroup: async (name) => {
      calls.push(`joinGroup(${name})`);
      needServer();
      const found = [...groups.values()].find((group) => foldName(group.status.name) === foldName(name));
      if (found?.status.state === 'member') return { kind: 'member', group: found.status.group };
      const administrators = elsewhere.get(foldName(name));
      if (administrators !== undefined) return { kind: 'not-invited', administrators };
      return { kind: 'no-such-group' };
    },
    setReceipts: async (on) => void calls.push(`setReceipts(${on})`),
    setMuted: async (group, muted) => {
      calls.push(`setMuted(${groupOf(group).status.name}, ${muted})`);
      const { muted: _muted, ...status } = groupOf(group).status;
      groupOf(group).status = muted ? { ...status, muted } : status;
      update(group, {});
    },
    safetyNumber: async (name) => {
      if (!users.has(name)) return undefined;
      const number = Array.from({ length: 12 }, (_, index) => String(index).repeat(5).slice(0, 5)).join(' ');
      const { account } = fakePerson(name);
      return { name, account, number, verified: verified.get(name) ?? 'no', me: name === options.me };
    },
    markVerified: async (name) => {
      calls.push(`markVerified(${name})`);
      verified.set(name, 'yes');
      return { kind: 'done' };
    },
    lastHeard: async (group) => {
      const newest = new Map<string, { account: AccountId; position: number; time: number }>();
      for (const line of lines) {
        if (line.group !== group || line.kind !== 'message' || line.position === undefined) continue;
        const { account } = line.sender;
        newest.set(account, { account, position: line.position, time: line.time });
      }
      return [...newest.values()];
    },
    search: async (group, text, limit) => {
      const found = lines.filter(
        (line) => line.group === group && line.kind === 'message' && foldName(line.text).includes(foldName(text)),
      );
      return { lines: found.slice(-limit), stoppedEarly: false };
    },
    rotate: async (group) => {
      calls.push('rotate()');
      needServer();
      changeMembers(group, [], [], true);
      return { kind: 'done' };
    },
    rename: async (name) => {
      calls.push(`rename(${name})`);
      return { kind: 'done' };
    },
    devices: async () => [
      { device: me.device, label: 'laptop', me: true, revoked: false },
      { device: fakePerson('phone').device, label: 'phone', me: false, revoked: false },
    ],
    revoke: async (device) => {
      calls.push(`revoke(${device})`);
      return device === 'phone' ? { kind: 'done' } : { kind: 'refused', reason: `you have no device "${device}"` };
    },
    portableHistory: async () => ({ messages: [] }),
    takeOver: async () => ({ added: 0 }),
    signHistory: async () => ({ account: me.account, device: me.device, signature: new Uint8Array(64) }),
    checkHistory: async () => ({ kind: 'done' }),
    readOffer: async (code) => ({ kind: 'offer', device: fakePerson(code.slice(0, 8)).device, label: 'new device' }),
    link: async (code) => {
      calls.push(`link(${code})`);
      return { kind: 'done' };
    },
    takeRecoveryCode: async () => {
      const code = untold;
      untold = undefined;
      return code;
    },
    recoveryCodeShown: async () => {
      calls.push('recoveryCodeShown()');
    },
    rejoin: async (group) => {
      calls.push('rejoin()');
      update(group, { state: 'member' });
      return { kind: 'done' };
    },
    markRead: async (group) => {
      if (groupOf(group).status.unread > 0) update(group, { unread: 0 });
    },
    history: async (after, { group, limit }) => {
      historyReads += 1;
      const index = lines.findIndex((line) => line.cursor === after);
      if (after !== START_CURSOR && index === -1) {
        throw coded('unknown-cursor', 'this cursor is not known on this device');
      }
      const rest = lines.slice(index + 1);
      return rest.filter((line) => group === undefined || line.group === group).slice(0, limit);
    },
    recent: async (group, limit) => [...lines, ...unsent].filter((line) => line.group === group).slice(-limit),
    caughtUp: async () => needServer(),
    flushed: async () => {
      deliver();
      return unsent.length;
    },
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: async () => {
      closed = true;
    },
  };
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
