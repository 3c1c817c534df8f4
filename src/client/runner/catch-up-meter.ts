import { type GroupId, groupIdOf } from '../../wire/ids.ts';
import type { Page } from '../../wire/page.ts';
import type { CatchUpProgress } from '../chat-client.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';

/** A catch-up that is over before this is not worth a word. */
const PROGRESS_AFTER_MS = 1000;

/** How far a catch-up has come. */
export interface CatchUpMeter {
  /** A connection begins to read on. */
  begin(): void;
  /** After `done` entries, those of this page among them; `undefined` while it is no longer than a moment. */
  measure(page: Page, done: number): Promise<CatchUpProgress | undefined>;
}

/** The server is asked once a catch-up and group how much there is of it, and only when it takes long. */
export function createCatchUpMeter(world: {
  readonly api: Pick<ServerApi, 'endOf'>;
  readonly state: Pick<ChatState, 'groups'>;
  readonly now: () => number;
}): CatchUpMeter {
  const { api, state, now } = world;
  let started = 0;
  const first = new Map<GroupId, number>();
  const ends = new Map<GroupId, number | undefined>();

  /** The group that most of the page is about. */
  const mainGroup = (page: Page): GroupId | undefined => {
    const rest = page.heads.map(({ group, position }) => {
      const id = groupIdOf(group);
      return { id, entries: position - (first.get(id) ?? 0) };
    });
    return rest.sort((a, b) => b.entries - a.entries)[0]?.id;
  };
  const endOf = async (id: GroupId): Promise<number | undefined> => {
    if (!ends.has(id)) {
      // without an answer there is a number less to show, and nothing else
      ends.set(id, await api.endOf(id).catch(() => undefined));
    }
    return ends.get(id);
  };

  return {
    begin: () => {
      started = now();
      first.clear();
      ends.clear();
      for (const [id, { position }] of state.groups) first.set(id, position);
    },
    measure: async (page, done) => {
      if (now() - started < PROGRESS_AFTER_MS) return undefined;
      const id = mainGroup(page);
      const group = id === undefined ? undefined : state.groups.get(id);
      if (id === undefined || group === undefined) return { done };
      if (!first.has(id)) first.set(id, group.position);
      const end = await endOf(id);
      const begun = first.get(id) ?? 0;
      if (end === undefined || end <= begun) return { done };
      return { done, group: { name: group.name, done: Math.max(0, group.position - begun), of: end - begun } };
    },
  };
}
