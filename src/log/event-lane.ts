import { equalBytes } from '../wire/bytes.ts';
import type { LogEvent } from './events.ts';
import { type Lane, laneSubject, nameLane, subjectLane } from './subjects.ts';

/** Whether an event stands where events like it belong; any shard of the application lane will do. */
export function isOnItsLane(event: LogEvent, subject: string): boolean {
  const lane = subjectLane(subject);
  if (lane === undefined) return false;
  if (event.type === 'messages-sent' || event.type === 'messages-compacted') return lane.kind === 'application';
  if (event.type === 'proposal-received' || event.type === 'commit-reported' || event.type === 'group-compacted') {
    return lane.kind === 'group-proposal' && equalBytes(lane.group, event.group);
  }
  return subject === laneSubject(comparedLaneOf(event));
}

function comparedLaneOf(
  event: Exclude<
    LogEvent,
    { type: 'messages-sent' | 'messages-compacted' | 'proposal-received' | 'commit-reported' | 'group-compacted' }
  >,
): Lane {
  switch (event.type) {
    case 'account-registered':
      return nameLane('account', event.name);
    case 'account-changed':
      return event.name === undefined ? { kind: 'account', account: event.owner } : nameLane('account', event.name);
    case 'key-packages-published':
      return { kind: 'account', account: event.account };
    case 'key-packages-claimed':
      return { kind: 'account', account: event.owner };
    case 'group-created':
    case 'opaque-group-created':
      return event.name === undefined ? { kind: 'group-commit', group: event.group } : nameLane('group', event.name);
    case 'commit-accepted':
    case 'opaque-commit-accepted':
      return { kind: 'group-commit', group: event.group };
    case 'log-started':
      return { kind: 'log' };
    default:
      return event satisfies never;
  }
}
