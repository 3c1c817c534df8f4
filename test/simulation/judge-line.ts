import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import type { AccountLedger } from './account-ledger.ts';
import type { Branch } from './branches.ts';
import { isAsSent } from './changed-messages.ts';
import { isDenialOf } from './denials.ts';
import { isHead } from './group-truth.ts';
import { isLeftUnseen, wasAlone } from './left-alone.ts';
import { followsGap, isLostOwn, tellsGap } from './missed.ts';
import type { Sayings } from './sayings.ts';
import type { Violation } from './violation.ts';

/** A text that somebody's program took, when its group stood at this position, and at this head, for it. */
export interface Typed {
  readonly text: string;
  readonly group: GroupId;
  readonly position: number;
  readonly head?: Uint8Array;
}

interface Known {
  readonly accounts: AccountLedger;
  readonly sayings: Sayings;
  /** Whether the device left the group by itself. */
  readonly hasLeft: (device: DeviceId, group: GroupId) => boolean;
  readonly typed: (device: DeviceId) => readonly Typed[];
}

/** What a receipt is called where texts wait: nobody typed it, and nobody wants to hear of it. */
const RECEIPT = ': that messages came';

/** How a line that somebody is shown differs from what is true in a branch of the log. */
export function judgeLine(
  { groups, firstKept, texts, places }: Branch,
  known: Known,
  who: string,
  device: DeviceId,
  line: HistoryLine,
): readonly Violation[] {
  const { accounts, sayings, hasLeft, typed } = known;
  const position = line.position ?? 0;
  const group = groups.get(line.group);
  const truth = group?.entries[position - 1]?.entry;
  if (group !== undefined && isLeftUnseen(line, group, device)) {
    if (wasAlone(group, device, position, accounts.isRevoked)) return [];
    return [{ rule: 'who left is out', text: `${who} left ${line.group} at ${position}, and others are there` }];
  }
  if (line.kind === 'warning') {
    // whoever was taken out is told what did not get through; nobody else is refused
    const wasTakenOut = group?.memberships.get(device)?.some(({ to }) => to !== undefined);
    const isOut = wasTakenOut === true || hasLeft(device, line.group);
    const isOfReceipt = line.text.endsWith(RECEIPT);
    // what was typed after it had read of its last removal does not end with one; of a history that was lost no place says when that was
    const hadReadOf = ({ position: at, head }: Typed, end: number): boolean =>
      end <= at && (head === undefined || isHead(group, at, head));
    const ends = group?.memberships.get(device)?.flatMap(({ to }) => to ?? []) ?? [];
    const isEnded = typed(device).some((said) => isDenialOf(line, said) && ends.some((end) => !hadReadOf(said, end)));
    const isUnsent = isEnded || hasLeft(device, line.group) || accounts.isRevoked(device);
    if (line.text.startsWith('Not sent (') && !isOfReceipt && isUnsent) return [];
    // what was asked for without an answer may be among what is gone, or be what a revoked device will not read
    const isBlind = (isOut && firstKept.has(line.group)) || accounts.isRevoked(device);
    if (line.text.startsWith('Not known whether sent: ') && !isOfReceipt && isBlind) return [];
    if (firstKept.has(line.group) && (tellsGap(line) || followsGap(line))) return [];
    const isOfBefore = truth?.kind === 'message' && group?.hasKeys(device, position, truth.epoch) !== true;
    if (isOfBefore && line.text.startsWith('A message could not be read')) return [];
    return [{ rule: 'no unexplained warning', text: `${who} at ${position} of ${line.group}: ${line.text}` }];
  }
  if (line.kind !== 'message') return [];
  if (line.position === undefined && isLostOwn(group, device, line, firstKept.get(line.group))) return [];
  if (truth?.kind !== 'message' || truth.sender !== line.sender.device) {
    return [{ rule: 'delivered exactly once', text: `${who} shows a message at ${position} that is none` }];
  }
  const found: Violation[] = [];
  const say = (rule: Violation['rule'], text: string): void => void found.push({ rule, text });
  const said = sayings.of(truth.sender, truth.id);
  const names = [line.messageId === said?.messageId, line.replaces === said?.replaces];
  if (said === undefined || names.includes(false) || line.inReplyTo !== said.inReplyTo) {
    say('changes read alike', `${who} takes ${position} of ${line.group} for another message`);
  }
  // what was changed since is looked at in the end
  if (!isAsSent(line)) return found;
  if (said !== undefined && line.text !== said.text) {
    say('delivered exactly once', `${who} reads "${line.text}" where "${said.text}" was sent`);
  }
  const before = texts.get(`${line.group}/${position}`);
  if (before !== undefined && before !== line.text) {
    say('delivered exactly once', `${who} reads something else at ${line.group}/${position}`);
  }
  const elsewhere = places.get(line.text);
  if (elsewhere !== undefined && (elsewhere.group !== line.group || elsewhere.position !== position)) {
    const text = `"${line.text}" stands at ${elsewhere.position} and at ${position} of ${line.group}`;
    say('delivered exactly once', text);
  }
  return found;
}
