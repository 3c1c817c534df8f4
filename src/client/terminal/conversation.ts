import type { Cursor, GroupId } from '../../wire/ids.ts';
import { foldName } from '../../wire/names.ts';
import type {
  CatchUpProgress,
  ChatClient,
  ChatEvent,
  Connection,
  GroupStatus,
  HistoryLine,
  SendAs,
} from '../chat-client.ts';
import { deviceNames } from './account-rows.ts';
import type { Completable } from './complete.ts';
import { MESSAGE_MAX_LENGTH } from './editor.ts';
import { explain, isUnreachable, offlineText } from './explain.ts';
import { footerNotes } from './footer-notes.ts';
import { createGroupView } from './group-view.ts';
import { joinRows, notInvitedRows } from './join-rows.ts';
import { neutralise } from './neutralise.ts';
import { createUnsent, type Unsent } from './unsent.ts';

interface ConversationView {
  /** `read`: they were shown before, and stand there for what is talked about. */
  lines(lines: readonly HistoryLine[], read?: 'read'): void;
  /** Rows the program says itself. Harmless already. */
  say(rows: readonly string[]): void;
  /** What it says about its own state: connection, invitations that are missing. */
  aside(rows: readonly string[]): void;
  warn(text: string): void;
  /** Something in the footer is different. */
  changed(): void;
  /** Somebody wrote, live or while catching up; `name` is the own name as it is now. */
  arrived?(line: HistoryLine, name: string, muted: boolean): void;
}

export interface ConversationOptions {
  readonly client: ChatClient;
  readonly wanted: string;
  readonly userName: string;
  /** Shows history after this cursor in the first group, instead of the newest lines. */
  readonly since?: Cursor | undefined;
  /** Lines read before that are shown when a group is entered. */
  readonly contextLines: number;
  /** Whether one waits for an invitation that is missing; by default so. */
  readonly waits?: boolean | undefined;
  /** Said after `Connected to group`; `undefined`: nothing is said at all. */
  readonly greeting: readonly string[] | undefined;
  readonly view: ConversationView;
}

type Opening = 'entered' | 'not-invited' | 'unreachable';

/** What a person at a terminal is in: one current group whose lines are shown, and news of all others. */
export interface Conversation {
  /** Enters the wanted group when it can be entered; says what is missing, and enters later by itself, when not. */
  open(): Promise<Opening>;
  /** To be called with every event of the client. */
  onEvent(event: ChatEvent): void;
  current(): GroupStatus | undefined;
  switchTo(group: GroupStatus): Promise<void>;
  /** Shows what the store has of the current group and was not shown yet. */
  pull(): Promise<void>;
  /** Sends to the group that was current when it was called. `false`: it was said why not, and the text is nowhere. */
  send(text: string, how?: SendAs): Promise<boolean>;
  prompt(): string;
  /** Footer rows: unsent messages, unread groups, state of the connection. */
  notes(): string[];
  known(): Completable;
  online(): boolean;
  /** The server did not answer, and has not since. */
  away(): boolean;
  stop(): void;
}

export function createConversation(options: ConversationOptions): Conversation {
  const { client, view, wanted } = options;
  /** A rename, here or on another device, changes it. */
  let { userName } = options;
  let account: string | undefined;
  let devices: readonly string[] = [];
  const groups = new Map<GroupId, GroupStatus>();
  const unsent: Unsent = createUnsent();
  let connection: Connection = { state: 'connecting' };
  let catchingUp: CatchUpProgress | undefined;
  let opening: Promise<Opening> | undefined;
  let since = options.since;
  let stopped = false;
  /** The wanted group was asked for in vain: when it comes, all of it is news. */
  let awaited = false;

  const current = () => {
    const id = shown.group();
    return id === undefined ? undefined : groups.get(id);
  };
  const failed = (error: unknown) => {
    // A client that is being closed answers nothing more, and nobody looks any more.
    if (!stopped) view.warn(explain(error));
  };
  const { contextLines } = options;
  const shown = createGroupView({ client, view, unsent, contextLines, failed });
  const isWanted = (group: GroupStatus) => foldName(group.name) === foldName(wanted);

  const enter = async (group: GroupStatus, greeting: readonly string[], fresh = false) => {
    groups.set(group.group, group);
    if (greeting.length > 0) view.say(greeting);
    const from = since;
    since = undefined;
    await shown.enter(group, { fresh, since: from });
  };

  const greetingFor = (group: GroupStatus): string[] =>
    options.greeting === undefined ? [] : [`Connected to group: ${neutralise(group.name)}`, ...options.greeting];

  /** `fresh`: the group has just been made or joined, so that all of it is news. */
  const enterFirst = (group: GroupStatus, fresh: boolean) => enter(group, greetingFor(group), fresh);

  const refreshGroups = async () => {
    for (const group of await client.groups()) groups.set(group.group, group);
    return [...groups.values()].find(isWanted);
  };

  const tryOpen = async (): Promise<Opening> => {
    await learnAccount();
    const local = await refreshGroups();
    // A member starts from the local store at once, and catches up behind the prompt.
    if (local !== undefined && local.state !== 'removed') {
      await enterFirst(local, awaited);
      return 'entered';
    }
    const outcome = await client.openGroup(wanted);
    // everybody may come into an open one; who has left it, or was put out, has to say so: /join
    const mayJoin = outcome.kind === 'not-invited' && local === undefined;
    const joined = mayJoin ? await client.joinGroup(wanted) : undefined;
    if (outcome.kind === 'not-invited' && !(joined !== undefined && 'group' in joined)) {
      awaited = true;
      const then = options.waits === false ? 'ended' : 'opens';
      // one that everybody may come into asks for no invitation: it is said what went wrong
      const isOpen = joined?.kind === 'refused';
      view.aside(isOpen ? joinRows(wanted, joined, then) : notInvitedRows(wanted, outcome.administrators, then));
      return 'not-invited';
    }
    const group = await refreshGroups();
    if (group !== undefined && shown.group() === undefined) await enterFirst(group, outcome.kind !== 'member');
    return 'entered';
  };

  const open = async (): Promise<Opening> => {
    if (opening === undefined && shown.group() !== undefined) return 'entered';
    opening ??= tryOpen().finally(() => {
      opening = undefined;
    });
    try {
      return await opening;
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      view.aside([`#${neutralise(wanted)} is not on this device yet, and ${explain(error)}`]);
      return 'unreachable';
    }
  };

  const onConnection = (next: Connection) => {
    const before = connection.state;
    if (next.state === 'connecting') return;
    connection = next;
    if (next.state === 'offline' && before !== 'offline') view.aside([offlineText(next)]);
    if (next.state === 'online' && before === 'offline') {
      view.aside(['online again']);
      void open().catch(failed);
    }
    view.changed();
  };

  const learnAccount = async () => {
    const { me } = await client.status();
    userName = me.name;
    account = me.account;
    devices = deviceNames(await client.devices());
    view.changed();
  };

  const onLine = (line: HistoryLine) => {
    view.arrived?.(line, userName, groups.get(line.group)?.muted === true);
    if (line.kind === 'account') void learnAccount().catch(failed);
    if (line.group === shown.group()) return void shown.pull().catch(failed);
    // who has joined by themselves is shown it there
    const invited = line.kind === 'joined' && line.by.account !== account;
    const important = invited || line.kind === 'removed-me' || line.kind === 'warning';
    const shownSoon = shown.group() === undefined && foldName(line.groupName) === foldName(wanted);
    if (important && !shownSoon) view.lines([line]);
  };

  const onSent = async (id: string) => {
    await shown.pull();
    unsent.settled(id);
    view.changed();
  };

  return {
    open,
    current,
    onEvent: (event) => {
      switch (event.type) {
        case 'line':
          return onLine(event.line);
        case 'sent':
          return void onSent(event.id).catch(failed);
        case 'connection':
          return onConnection(event.connection);
        case 'progress':
          catchingUp = event;
          return view.changed();
        case 'caught-up':
          catchingUp = undefined;
          return view.changed();
        case 'group':
          groups.set(event.group.group, event.group);
          if (shown.group() === undefined && isWanted(event.group) && event.group.state !== 'removed') {
            void open().catch(failed);
          }
          return view.changed();
        default:
          return event satisfies never;
      }
    },
    switchTo: (group) => enter(group, [`Switched to group: ${neutralise(group.name)}`]),
    send: async (text, how) => {
      const refuse = (reason: string) => {
        view.warn(reason);
        return false;
      };
      if (text.length > MESSAGE_MAX_LENGTH) {
        return refuse(`not sent: a message has at most ${MESSAGE_MAX_LENGTH} characters, this one has ${text.length}`);
      }
      const group = current();
      if (group === undefined) {
        return refuse(`not sent: you are in no group yet; #${neutralise(wanted)} opens when somebody has invited you`);
      }
      if (group.state !== 'member') {
        const why = group.state === 'removed' ? 'you are no longer a member' : 'it is stopped here, /rejoin goes on';
        return refuse(`not sent to #${neutralise(group.name)}: ${why}`);
      }
      const message = unsent.add(group.group, text, how);
      view.changed();
      try {
        unsent.stored(message, (await client.send(group.group, text, how)).id);
        view.changed();
        return true;
      } catch (error) {
        unsent.drop(message);
        return refuse(`not sent: ${explain(error)}`);
      }
    },
    prompt: () => {
      const group = current();
      return group === undefined ? `${neutralise(userName)}> ` : `#${neutralise(group.name)} ${neutralise(userName)}> `;
    },
    notes: () => {
      const group = current();
      const waiting = group === undefined ? [] : unsent.inGroup(group.group);
      return footerNotes({ unsent: waiting, current: group, groups, connection, catchingUp, userName });
    },
    known: () => ({
      people: shown.people(),
      members: shown.members(),
      devices,
      groups: [...groups.values()].filter((group) => group.state !== 'removed').map((group) => group.name),
    }),
    pull: () => shown.pull(),
    online: () => connection.state === 'online',
    away: () => connection.state === 'offline',
    stop: () => {
      stopped = true;
      shown.stop();
    },
  };
}
