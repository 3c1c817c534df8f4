import { foldName } from '../../wire/names.ts';
import type { HistoryLine } from '../chat-client.ts';
import { neutralise } from './neutralise.ts';
import { truncate } from './text-width.ts';

/** How somebody is told that they were called by their name. */
export type Notify = 'bell' | 'osc9' | 'off';
export const NOTIFY_WAYS: readonly Notify[] = ['bell', 'osc9', 'off'];

/** Older than this it was written while nobody was here: no news to call for. */
const FRESH_MS = 2 * 60_000;
/** Between two calls; a name said ten times is one reason to look. */
const GAP_MS = 3_000;
const SHOWN_CELLS = 120;
const BELL = '\u0007';
const PART_OF_A_NAME = /[\p{L}\p{N}_-]/u;

/** Whether a text names this person, as a word of its own, with or without `@`. */
export function mentions(text: string, name: string): boolean {
  const [folded, wanted] = [foldName(text), foldName(name)];
  if (wanted === '') return false;
  for (let at = folded.indexOf(wanted); at >= 0; at = folded.indexOf(wanted, at + 1)) {
    const before = [...folded.slice(0, at)].at(-1) ?? '';
    const after = [...folded.slice(at + wanted.length)][0] ?? '';
    if (!PART_OF_A_NAME.test(before) && !PART_OF_A_NAME.test(after)) return true;
  }
  return false;
}

/** What to write to the terminal so that it calls; harmless whatever the message says. `undefined`: nothing. */
export function createNotifier(
  way: Notify,
  now: () => number,
): (line: HistoryLine, name: string, muted: boolean) => string | undefined {
  let last = Number.NEGATIVE_INFINITY;
  return (line, name, muted) => {
    if (way === 'off' || muted || line.kind !== 'message' || line.own || !mentions(line.text, name)) return undefined;
    const time = now();
    if (time - line.time > FRESH_MS || time - last < GAP_MS) return undefined;
    last = time;
    if (way === 'bell') return BELL;
    const text = truncate(
      `#${neutralise(line.groupName)} ${neutralise(line.sender.name)}: ${neutralise(line.text)}`,
      SHOWN_CELLS,
    );
    return `\u001b]9;${text}${BELL}`;
  };
}
