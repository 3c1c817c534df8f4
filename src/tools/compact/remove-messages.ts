import type { CompactedBatch, MessagesCompacted, MessagesSent } from '../../log/events.ts';
import { encodeEntry } from '../../wire/entry.ts';
import type { DeviceId, Position, Sha256 } from '../../wire/ids.ts';

/** What has to be known of the tables, which stand at the end of the log. */
export interface Placements {
  /** Where the fold placed the message with this id; `undefined` when it left it out. */
  positionOf(group: Uint8Array, device: DeviceId, id: string): number | undefined;
  /** First position of a group that is kept. */
  logStartOf(group: Uint8Array): number;
}

/**
 * The event without the ciphertexts that nobody is served any more: of each the hash of its entry stays, so that the fold comes to
 * the same positions, ids and heads. A message that was never placed goes altogether: the fold leaves it out anyway.
 *
 * @returns `undefined` when nothing in the event can go
 */
export function removeMessages(
  event: MessagesSent | MessagesCompacted,
  placements: Placements,
  sha256: Sha256,
): MessagesCompacted | undefined {
  let removed = 0;
  const batches = event.batches.map((batch): CompactedBatch => {
    const logStart = placements.logStartOf(batch.group);
    if (logStart === 1) return batch;
    const messages = batch.messages.flatMap((message): CompactedBatch['messages'] => {
      const [id, epoch, payload] = message;
      if (payload === null) return [message];
      const position = placements.positionOf(batch.group, batch.device, id);
      if (position !== undefined && position >= logStart) return [message];
      removed += 1;
      if (position === undefined) return [];
      const { group, device: sender, time } = batch;
      const place = { group, position: position as Position, id, sender, time };
      return [[id, epoch, null, sha256(encodeEntry({ kind: 'message', ...place, epoch, payload }))]];
    });
    return { ...batch, messages };
  });
  return removed === 0 ? undefined : { ...event, type: 'messages-compacted', batches };
}
