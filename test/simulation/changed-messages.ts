import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import type { Sayings } from './sayings.ts';

type MessageLine = HistoryLine & { readonly kind: 'message' };

/** A message and what its sender made of it since, as far as one device has them; in the order of the log. */
interface Chain {
  original?: MessageLine;
  readonly changes: { readonly line: MessageLine; readonly deletes: boolean }[];
}

/** Whether a line still says what its message was sent with. */
export function isAsSent({ text, edited, deleted, replaces }: MessageLine): boolean {
  return edited !== true && deleted !== true && (replaces === undefined || text !== '');
}

/**
 * Lines of one device that do not say what they must: a message that was changed says what the newest change of those that came to
 * this device says, one that was taken back says nothing any more; and so do the lines that tell of an earlier change. A message
 * whose change did not come says what it was sent with.
 *
 * @returns a sentence for each
 */
export function misread(lines: readonly HistoryLine[], group: GroupId, sayings: Sayings): readonly string[] {
  const found: string[] = [];
  for (const { original, changes } of chainsIn(lines, group, sayings)) {
    if (changes.length === 0) {
      if (original !== undefined && !isUnchanged(original, sayings)) {
        found.push(`the message at ${original.position} was never changed, and is not as it was sent`);
      }
      continue;
    }
    const isTakenBack = changes.some(({ deletes }) => deletes);
    const last = changes.at(-1)!.line;
    const wanted = isTakenBack ? '' : (sayings.of(last.sender.device, last.id)?.text ?? '');
    const expect = (line: MessageLine, text: string, what: string): void => {
      if (line.text !== text) found.push(`the ${what} at ${line.position} says "${line.text}", not "${text}"`);
    };
    if (original !== undefined) {
      expect(original, wanted, isTakenBack ? 'message taken back' : 'changed message');
      if ((original.deleted === true) !== isTakenBack || (original.edited === true) === isTakenBack) {
        found.push(
          `the message at ${original.position} was ${isTakenBack ? 'taken back' : 'changed'}, and is not said so`,
        );
      }
    }
    for (const { line } of changes) expect(line, line === last ? wanted : '', 'change');
  }
  return found;
}

function chainsIn(lines: readonly HistoryLine[], group: GroupId, sayings: Sayings): readonly Chain[] {
  const chains = new Map<string, Chain>();
  const unplaced = new Set<string>();
  const messages = lines.filter((line): line is MessageLine => line.kind === 'message' && line.group === group);
  for (const line of messages) {
    const id = line.replaces ?? line.messageId;
    if (id === undefined) continue;
    // where an own change stands whose entry is gone is not known
    if (line.position === undefined) unplaced.add(id);
    const chain = chains.get(id) ?? { changes: [] };
    chains.set(id, chain);
    if (line.replaces === undefined) chain.original = line;
    else chain.changes.push({ line, deletes: isDeletion(line, sayings) });
  }
  const placeOf = ({ line: { position = 0 } }: Chain['changes'][number]): number => position;
  for (const { changes } of chains.values()) changes.sort((a, b) => placeOf(a) - placeOf(b));
  return [...chains].flatMap(([id, chain]) => (unplaced.has(id) ? [] : [chain]));
}

function isUnchanged({ sender, id, text, edited, deleted }: MessageLine, sayings: Sayings): boolean {
  return edited !== true && deleted !== true && text === sayings.of(sender.device, id)?.text;
}

function isDeletion({ sender, id }: MessageLine, sayings: Sayings): boolean {
  return sayings.of(sender.device, id)?.deleted === true;
}
