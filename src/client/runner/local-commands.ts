import type { AccountId, GroupId } from '../../wire/ids.ts';
import { foldName } from '../../wire/names.ts';
import type { ChatClient, HistoryLine, LastHeard, Person } from '../chat-client.ts';
import { type Group, step } from '../engine/types.ts';
import type { ClientStore } from '../store/client-store.ts';
import { scanRecent } from '../store/history-rows.ts';
import type { ChatState } from './chat-state.ts';
import { groupIn } from './send-command.ts';
import type { Serial } from './serial.ts';

/** Lines that a search looks at, from the newest on; what is older is exported and searched otherwise. */
export const SEARCH_LINES_MAX = 200_000;
/** Lines looked at for when members were last heard of. */
const HEARD_LINES_MAX = 10_000;

/** Commands that concern this device alone: they work without a server. */
export function createLocalCommands(world: {
  readonly store: ClientStore;
  readonly state: ChatState;
  readonly serial: Serial;
}): Pick<ChatClient, 'setMuted' | 'lastHeard' | 'search'> {
  const { store, state, serial } = world;
  const groupOf = (id: GroupId): Group => groupIn(state.groups.get(id));

  return {
    setMuted: (id, muted) =>
      serial.run(async () => {
        const batch = state.begin();
        const { muted: before, ...rest } = groupOf(id);
        if ((before === true) === muted) return;
        batch.take(step(muted ? { ...rest, muted: true } : rest));
        await batch.commit();
      }),
    lastHeard: async (id) => {
      const heard = new Map<AccountId, LastHeard>();
      const look = (line: HistoryLine): void => {
        const { position, time } = line;
        const account = authorOf(line)?.account;
        if (account === undefined || position === undefined || heard.has(account)) return;
        heard.set(account, { account, position, time });
      };
      await scanRecent(store, groupOf(id).bytes, HEARD_LINES_MAX, (line) => {
        look(line);
        return true;
      });
      return [...heard.values()];
    },
    search: async (id, text, limit) => {
      const wanted = foldName(text);
      const found: HistoryLine[] = [];
      const complete = await scanRecent(store, groupOf(id).bytes, SEARCH_LINES_MAX, (line) => {
        if (line.kind === 'message' && foldName(line.text).includes(wanted)) found.push(line);
        return found.length < limit;
      });
      return { lines: found.reverse(), stoppedEarly: !complete && found.length < limit };
    },
  };
}

function authorOf(line: HistoryLine): Person | undefined {
  if (line.kind === 'message') return line.sender;
  return 'by' in line ? line.by : undefined;
}
