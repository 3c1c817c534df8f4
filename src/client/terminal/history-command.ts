import type { GroupStatus } from '../chat-client.ts';
import type { CommandContext } from './command-context.ts';
import { neutralise } from './neutralise.ts';

/** Lines shown when no number is given. */
const HISTORY_LINES = 20;
/** Lines shown at most, and found at most. */
const HISTORY_LINES_MAX = 1000;
const FOUND_LINES_MAX = 50;
const NUMBER = /^\d{1,6}$/;

/** `/history [N|TEXT]`: the last lines, or those with a text. @throws what the client throws */
export async function showHistory(
  args: readonly string[],
  current: GroupStatus,
  context: Pick<CommandContext, 'client' | 'say' | 'show'>,
): Promise<void> {
  const text = args.join(' ');
  if (text === '') return showNewest(HISTORY_LINES, current, context);
  if (NUMBER.test(text) && Number(text) > 0) return showNewest(Number(text), current, context);
  return showFound(text, current, context);
}

async function showNewest(
  typed: number,
  current: GroupStatus,
  { client, say, show }: Pick<CommandContext, 'client' | 'say' | 'show'>,
): Promise<void> {
  const wanted = Math.min(typed, HISTORY_LINES_MAX);
  // unsent lines stand last, and above the prompt already
  const { unsent } = await client.status();
  const newest = (await client.recent(current.group, wanted + unsent)).filter((line) => line.cursor !== undefined);
  const lines = newest.slice(-wanted);
  const count = lines.length === 1 ? 'the last line' : `the last ${lines.length} lines`;
  say([`── ${count} of #${neutralise(current.name)} ──`]);
  show(lines);
  say(['── end of the history ──']);
}

async function showFound(
  text: string,
  current: GroupStatus,
  { client, say, show }: Pick<CommandContext, 'client' | 'say' | 'show'>,
): Promise<void> {
  const { lines, stoppedEarly } = await client.search(current.group, text, FOUND_LINES_MAX);
  const count = lines.length === 1 ? '1 line' : `${lines.length === 0 ? 'no' : lines.length} lines`;
  const more = lines.length >= FOUND_LINES_MAX ? ', the newest' : '';
  say([`── ${count} of #${neutralise(current.name)} with "${neutralise(text)}"${more} ──`]);
  show(lines);
  if (stoppedEarly) return say(['── older lines were not searched; /export FILE has them all ──']);
  if (lines.length > 0) say(['── end of the search ──']);
}
