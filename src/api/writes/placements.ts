import type { ReadModel } from '../../projections/read-model.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { decodeEntry } from '../../wire/entry.ts';
import type { ClientId, DeviceId, GroupId, Position } from '../../wire/ids.ts';

/** A message as its sender names it. */
export interface SentById {
  readonly id: ClientId;
  readonly message: Uint8Array;
}

/** Where the fold put a message; `conflict`: there stand other bytes under its id. */
export type Placement =
  | { readonly kind: 'placed'; readonly position: Position }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'absent' };

/**
 * Whether some of these may have been placed before. Messages of one request are placed together, so asking for the
 * first and the last tells a repeated request from a new one; a stray one between them is dropped by the fold.
 */
export function mayBeRepeated(
  readModel: ReadModel,
  group: GroupId,
  device: DeviceId,
  sent: readonly SentById[],
): boolean {
  const ends = sent.length > 1 ? [sent[0]!, sent.at(-1)!] : sent;
  return ends.some(({ id }) => readModel.messagePosition(group, device, id) !== undefined);
}

/** The placement of each message, in the order of the request. */
export function placementsOf(
  readModel: ReadModel,
  group: GroupId,
  device: DeviceId,
  sent: readonly SentById[],
): readonly Placement[] {
  const place = ({ id, message }: SentById): Placement => {
    const position = readModel.messagePosition(group, device, id);
    if (position === undefined) return { kind: 'absent' };
    return isAt(readModel, group, position, { device, id, message })
      ? { kind: 'placed', position }
      : { kind: 'conflict' };
  };
  const first = readModel.messagePosition(group, device, sent[0]!.id);
  const last = readModel.messagePosition(group, device, sent.at(-1)!.id);
  if (first === undefined || last === undefined || last - first !== sent.length - 1) return sent.map(place);
  // a request of its own stands in one row: reading the entries is all that is left to do
  const row = sent.map(({ id, message }, i): Placement | undefined => {
    const position = (first + i) as Position;
    return isAt(readModel, group, position, { device, id, message }) ? { kind: 'placed', position } : undefined;
  });
  return row.map((placement, i) => placement ?? place(sent[i]!));
}

/**
 * Whether the entry at the position is this device's, and holds just these bytes under this id (D15, D16). Of one that is not kept any
 * more only the id is known: whoever comes that late with it is told where its message stood.
 */
function isAt(
  readModel: ReadModel,
  group: GroupId,
  position: Position,
  { device, id, message }: SentById & { readonly device: DeviceId },
): boolean {
  const stored = readModel.entryAt(group, position);
  if (stored === undefined) return position < (readModel.group(group)?.logStart ?? 1);
  const entry = decodeEntry(stored.bytes);
  return entry.kind === 'message' && entry.sender === device && entry.id === id && equalBytes(entry.payload, message);
}
