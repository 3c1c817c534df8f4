import type { CompactedBatch, MessagesCompacted, MessagesSent } from '../../log/events.ts';
import { EMPTY_HEAD } from '../../wire/entry.ts';
import { DEFAULT_LIMITS } from '../../wire/limits.ts';
import { SUM_BYTES } from '../store/sealed-row.ts';
import { createChain } from './chain.ts';
import { compareClientIds } from './client-id-order.ts';
import type { Draft } from './draft.ts';
import type { GroupState } from './group-state.ts';
import { entryKey } from './keys.ts';
import { messageMiddle, messageRowMaxBytes, writeMessageRow, writeRemovedRow } from './message-encoder.ts';
import { RunBuilder, type Sender } from './message-ids.ts';
import type { Place } from './place.ts';
import { groups } from './rows.ts';
import { useWelcome } from './trees.ts';

/**
 * One event, many messages, of any groups. A message is left out, without a trace, when its device has placed that id
 * in the group before, is not a member now, or made it in an epoch that is too old or yet to come. Whoever sent it sees
 * that from `messagePosition`.
 */
export function foldMessages(draft: Draft, event: MessagesSent | MessagesCompacted, place: Place): void {
  for (const [number, batch] of event.batches.entries()) foldBatch(draft, batch, number, place);
}

function foldBatch(draft: Draft, batch: CompactedBatch, number: number, place: Place): void {
  const state = draft.get(groups, batch.group);
  if (state === undefined || !state.leaves.has(batch.device)) return;
  const sender: Sender = { group: state.no, device: draft.deviceNo(batch.device) };
  const oldest = state.epoch - (draft.pastEpochs ?? DEFAULT_LIMITS.pastEpochs);
  const accepted = batch.messages.filter(([, epoch]) => epoch <= state.epoch && epoch >= oldest);
  if (accepted.length === 0) return;

  const before = draft.head(state.no);
  const writer = createWriter(batch, state, accepted, before?.hash ?? EMPTY_HEAD);
  let position = before?.position ?? 0;
  const last = draft.lastMessageId(sender);
  const later = new RunBuilder();
  for (const message of accepted) {
    const id = message[0];
    const isLater = last === undefined || compareClientIds(last, id) < 0;
    if (isLater ? later.has(id) : draft.messagePosition(sender, id) !== undefined) continue;
    position += 1;
    if (isLater) later.add(id, position);
    else draft.addSingle(sender, { id, position });
    draft.append(entryKey(state.no, position), writer.write(message, position, place), true);
    place.index += 1;
  }
  const run = later.build();
  if (run.length > 0) draft.addRun(sender, run);
  const first = (before?.position ?? 0) + 1;
  if (position < first) return;
  const { sequence, index } = place;
  const hash = writer.head();
  draft.setHead(state, { position, sequence, index: index - 1, hash, group: state.id });
  const isWhole = position - first + 1 === batch.messages.length;
  if (isWhole)
    draft.batches.push({ sequence, index: number, id: batch.messages[0]![0], first, head: hash, epoch: state.epoch });
  useWelcome(draft, state.no, state.epoch, sender.device);
}

/** Writes all rows of a batch into one buffer, each over the head of the one before. */
function createWriter(
  batch: CompactedBatch,
  state: GroupState,
  messages: CompactedBatch['messages'],
  head: Uint8Array,
) {
  const middles = new Map<number, Uint8Array>();
  let size = 0;
  for (const [id, epoch, payload] of messages) {
    let middle = middles.get(epoch);
    if (middle === undefined) {
      middle = messageMiddle(batch.time, epoch, state.id, batch.device);
      middles.set(epoch, middle);
    }
    size += messageRowMaxBytes(middle.length, id.length, payload?.length ?? 0) + SUM_BYTES;
  }
  const rows = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
  const chain = createChain(head);
  let offset = 0;
  return {
    write(message: CompactedBatch['messages'][number], position: number, place: Place): Uint8Array {
      const start = offset;
      const { sequence, index } = place;
      const [id, epoch, payload] = message;
      const middle = middles.get(epoch)!;
      if (payload === null) offset = writeRemovedRow(rows, start, { entry: message[3]!, sequence, index, chain });
      else offset = writeMessageRow(rows, start, { id, middle, payload, position, sequence, index, chain });
      const row = rows.subarray(start, offset);
      offset += SUM_BYTES;
      return row;
    },
    head: () => chain.head(),
  };
}
