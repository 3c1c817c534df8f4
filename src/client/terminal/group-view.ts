import { type Cursor, type GroupId, START_CURSOR } from '../../wire/ids.ts';
import type { ChatClient, GroupStatus, HistoryLine } from '../chat-client.ts';
import { neutralise } from './neutralise.ts';
import { createTail, type Tail } from './tail.ts';
import { splitUnread } from './unread.ts';
import type { Unsent } from './unsent.ts';

/** Lines shown when a group with much unread is entered; what is older is in the history. */
const UNREAD_LINES_MAX = 200;

interface GroupViewOptions {
  readonly client: ChatClient;
  readonly view: {
    /** `read`: they were shown before, and stand there for what is talked about. */
    lines(lines: readonly HistoryLine[], read?: 'read'): void;
    say(rows: readonly string[]): void;
    warn(text: string): void;
    changed(): void;
  };
  readonly unsent: Unsent;
  /** Lines read before that are shown when a group is entered. */
  readonly contextLines: number;
  readonly failed: (error: unknown) => void;
}

interface Entering {
  /** The group has just been made or joined, so that all of it is news. */
  readonly fresh: boolean;
  /** Shows what came after this cursor, instead of the newest lines. */
  readonly since: Cursor | undefined;
}

/** The one group whose lines are shown: what is unread when it is entered, then whatever the store gets. */
export interface GroupView {
  group(): GroupId | undefined;
  /** Leaves the group before, shows this one. @throws what the store throws, `unknown-cursor` among it */
  enter(group: GroupStatus, entering: Entering): Promise<void>;
  /** Shows what the store has and was not shown yet. */
  pull(): Promise<void>;
  /** Names of the members, as far as they are known already. */
  members(): readonly string[];
  /** Names of everybody met in any group that was shown. */
  people(): readonly string[];
  stop(): void;
}

export function createGroupView({ client, view, unsent, contextLines, failed }: GroupViewOptions): GroupView {
  const people = new Set<string>();
  let current: GroupId | undefined;
  let members: readonly string[] = [];
  let tail: Tail | undefined;

  const show = (group: GroupId, lines: readonly HistoryLine[], read?: 'read') => {
    if (lines.length === 0 || group !== current) return;
    for (const line of lines) {
      if (line.kind === 'message') people.add(line.sender.name);
      if (line.kind === 'message' && line.own) unsent.settled(line.id);
    }
    view.lines(lines, read);
    view.changed();
    const changed = lines.some((line) => line.kind === 'membership' || line.kind === 'joined');
    if (changed) void learnMembers(group).catch(failed);
    void client.markRead(group).catch(failed);
  };

  const learnMembers = async (group: GroupId) => {
    const found = await client.members(group);
    if (group !== current) return;
    members = found.map((member) => member.name);
    for (const name of members) people.add(name);
  };

  /** Shows the newest lines, or none when a cursor says where to begin; gives the cursor to read on from. */
  const showNewest = async ({ group, unread }: GroupStatus, { fresh, since }: Entering): Promise<Cursor> => {
    const wanted = fresh ? UNREAD_LINES_MAX : Math.min(UNREAD_LINES_MAX, unread + contextLines);
    // Unsent lines stand last and have no cursor; one line more, so that there is one to read on from.
    const newest = await client.recent(group, wanted + (await client.status()).unsent + 1);
    for (const line of newest) {
      if (line.kind === 'message' && line.cursor === undefined) unsent.restore(line);
    }
    if (since !== undefined) return since;
    const lines = newest.filter((line) => line.cursor !== undefined);
    const parts = fresh ? { read: [], unread: lines } : splitUnread(lines, unread);
    show(group, contextLines > 0 ? parts.read.slice(-contextLines) : [], 'read');
    if (unread > UNREAD_LINES_MAX) view.say([`${unread} messages are unread; the newest follow`]);
    else if (contextLines > 0 && parts.unread.length > 0 && parts.read.length > 0) view.say(['── unread ──']);
    show(group, parts.unread);
    return lines.at(-1)?.cursor ?? START_CURSOR;
  };

  return {
    group: () => current,
    enter: async (status, entering) => {
      const { group } = status;
      tail?.stop();
      tail = undefined;
      current = group;
      members = [];
      const after = await showNewest(status, entering);
      // Another group may have been entered meanwhile.
      if (group !== current) return;
      tail = createTail({ client, group, after, show: (lines) => show(group, lines) });
      await tail.pull();
      if (status.state === 'parked') {
        const reason = neutralise(status.parkedReason ?? 'an entry failed');
        view.warn(`#${neutralise(status.name)} is stopped: ${reason}; /rejoin`);
      }
      await learnMembers(group);
      view.changed();
    },
    pull: async () => tail?.pull(),
    members: () => members,
    people: () => [...people],
    stop: () => tail?.stop(),
  };
}
