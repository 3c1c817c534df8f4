import type { GroupId } from '../../wire/ids.ts';
import { NO_MARKS } from '../engine/marks.ts';
import type { Group, LineDraft, OutboxItem } from '../engine/types.ts';

/** Shown while the group is not joined again. */
const REASON = 'its keys were damaged, and mlschat repair took them out';

/** What is left of a group whose keys cannot be trusted. */
export interface GroupRemains {
  readonly id: GroupId;
  readonly bytes: Uint8Array;
  readonly name: string;
  /** Where it was last known to be read to. */
  readonly position: number;
  /** Its record, if it is there; older or damaged ones are not. */
  readonly record?: Group;
  /** Unsent texts that can be read, oldest first. */
  readonly outbox: readonly OutboxItem[];
  /** They are all, and as they were written last. */
  readonly isOutboxProven: boolean;
}

/**
 * A group whose keys may be older than those that were last used: a key or a number used twice would give messages away. So
 * nothing of them stays; the group waits to be joined again, as by `/rejoin`. Of its texts only those go out later that were
 * certainly never encrypted; of the others nobody knows here whether they were sent, and the person is told what they said.
 */
export function beginAnew(
  remains: GroupRemains,
  time: number,
): { readonly group: Group; readonly lines: readonly LineDraft[] } {
  const { id, bytes, name, position, record, outbox, isOutboxProven } = remains;
  const isUnused = (item: OutboxItem): boolean => isOutboxProven && item.sealed === undefined;
  const kept = outbox.filter(isUnused);
  const warn = (text: string): LineDraft => ({ kind: 'warning', text, time });
  const told = outbox.filter((item) => !isUnused(item) && item.text !== '');
  const unsaid = (record?.uploads ?? []).map(({ attachment }) => warn(`Not sent: the file ${attachment.name}`));
  const group: Group = {
    ...{ id, bytes, name, position, generations: new Map(), outbox: kept },
    phase: record?.phase === 'removed' ? 'removed' : 'parked',
    parkedReason: REASON,
    intentions: record?.phase === 'removed' ? [] : [rejoin(time)],
    unread: record?.unread ?? 0,
    ...(record?.muted === undefined ? {} : { muted: record.muted }),
    ...(record?.topic === undefined ? {} : { topic: record.topic }),
    ...(record?.marks === undefined ? {} : { marks: NO_MARKS }),
    ...(record?.revoked === undefined ? {} : { revoked: record.revoked }),
    ...(record?.handshakes === undefined ? {} : { handshakes: record.handshakes }),
    // what was found against the server stays; what it only promised cannot be compared any more
    ...(record?.evidence === undefined ? {} : { evidence: { ...record.evidence, promised: [] } }),
  };
  const begun =
    group.phase === 'removed'
      ? []
      : [
          warn(
            'The keys of this group were damaged; this device joins it again. What was sent meanwhile cannot be read.',
          ),
        ];
  return { group, lines: [...begun, ...told.map(({ accepted, text }) => warn(fate(accepted, text))), ...unsaid] };
}

function rejoin(time: number): Group['intentions'][number] {
  return { kind: 'rejoin', id: `repair-${time}`, attempts: 0, refusals: 0, settled: [] };
}

function fate(accepted: boolean, text: string): string {
  return accepted ? `Sent: ${text}` : `Not known whether sent: ${text}`;
}
