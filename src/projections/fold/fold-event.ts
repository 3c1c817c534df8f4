import type { LogEvent, LogEventType } from '../../log/events.ts';
import { pastEpochsOf } from '../../log/past-epochs.ts';
import { nameLane } from '../../log/subjects.ts';
import { toBase64Url } from '../../wire/bytes.ts';
import { GROUP_ID_MAX_BYTES, isClientId, isShortId, type Sha256 } from '../../wire/ids.ts';
import { ProjectionError } from '../errors.ts';
import { foldAccountChanged, foldAccountRegistered } from './accounts.ts';
import { HEAD_BYTES } from './chain.ts';
import { isClientIdText } from './client-id-order.ts';
import { foldCommitAccepted } from './commits.ts';
import { foldGroupCompacted } from './compaction.ts';
import type { Draft } from './draft.ts';
import { foldGroupCreated } from './groups.ts';
import type { Handshakes } from './handshakes.ts';
import { foldKeyPackagesClaimed, foldKeyPackagesPublished } from './key-packages.ts';
import { foldMessages } from './messages.ts';
import { foldOpaqueCommitAccepted, foldOpaqueGroupCreated } from './opaque.ts';
import type { Place, Result } from './place.ts';
import { foldProposalReceived } from './proposals.ts';
import { foldCommitReported } from './reports.ts';
import { laneId, lanes, requests } from './rows.ts';

/** What a fold needs besides the events. All nodes of a domain have to agree on it. */
export interface FoldRules {
  readonly handshakes: Handshakes;
  readonly sha256: Sha256;
}

/**
 * Folds one event into a draft: no clock, no chance, no I/O; the same events in the same order give the same rows.
 *
 * @throws ProjectionError `unknown-event`, `invalid-event`: halt, what the draft holds of this event is void
 */
export function foldEvent(draft: Draft, event: LogEvent, sequence: number, rules: FoldRules): void {
  const place: Place = { sequence, index: 0 };
  switch (event.type) {
    case 'messages-sent':
    case 'messages-compacted':
      checkBatches(event);
      foldMessages(draft, event, place);
      break;
    case 'group-compacted':
      checkGroup(event.group);
      foldGroupCompacted(draft, event);
      break;
    case 'log-started':
      draft.incarnation = event.incarnation;
      draft.pastEpochs ??= pastEpochsOf(event);
      break;
    case 'account-registered':
    case 'account-changed':
    case 'key-packages-published':
    case 'key-packages-claimed':
    case 'group-created':
    case 'commit-accepted':
    case 'proposal-received':
    case 'opaque-group-created':
    case 'opaque-commit-accepted':
    case 'commit-reported':
      checkRequested(event);
      foldRequested(draft, event, place, rules);
      break;
    default:
      throw unknownEvent(event);
  }
}

type Requested = Exclude<LogEvent, { type: Messages['type'] | 'group-compacted' | 'log-started' }>;
type Messages = Extract<LogEvent, { type: 'messages-sent' | 'messages-compacted' }>;

/** An event that was folded before under the same id changes nothing but its lane (D16). */
function foldRequested(draft: Draft, event: Requested, place: Place, rules: FoldRules): void {
  const lane = comparedLane(event);
  if (lane !== undefined) draft.put(lanes, lane, place.sequence);
  if (draft.get(requests, event.id) !== undefined) return;
  const result = resultOf(draft, event, place, rules);
  draft.put(requests, event.id, { digest: event.requestDigest, time: event.time, result });
}

function resultOf(draft: Draft, event: Requested, place: Place, rules: FoldRules): Result {
  switch (event.type) {
    case 'account-registered':
      return foldAccountRegistered(draft, event, rules.sha256);
    case 'account-changed':
      return foldAccountChanged(draft, event, place, rules.sha256);
    case 'key-packages-published':
      return foldKeyPackagesPublished(draft, event);
    case 'key-packages-claimed':
      return foldKeyPackagesClaimed(draft, event, place);
    case 'group-created':
      return foldGroupCreated(draft, event, place, rules.handshakes);
    case 'commit-accepted':
      return foldCommitAccepted(draft, event, place, rules.handshakes);
    case 'proposal-received':
      return foldProposalReceived(draft, event, place, rules);
    case 'opaque-group-created':
      return foldOpaqueGroupCreated(draft, event, place, rules.handshakes);
    case 'opaque-commit-accepted':
      return foldOpaqueCommitAccepted(draft, event, place, rules.handshakes);
    case 'commit-reported':
      return foldCommitReported(draft, event, place);
    default:
      return event satisfies never;
  }
}

/** The lane that the next event like this one is compared on; proposals are not compared. */
function comparedLane(event: Requested): string | undefined {
  switch (event.type) {
    case 'account-registered':
      return laneId('name', nameLane('account', event.name).hash);
    case 'account-changed':
      if (event.name !== undefined) return laneId('name', nameLane('account', event.name).hash);
      return laneId('account', event.owner);
    case 'key-packages-published':
      return laneId('account', event.account);
    case 'key-packages-claimed':
      return laneId('account', event.owner);
    case 'group-created':
    case 'opaque-group-created':
      if (event.name !== undefined) return laneId('name', nameLane('group', event.name).hash);
      return laneId('group-commit', toBase64Url(event.group));
    case 'commit-accepted':
    case 'opaque-commit-accepted':
      return laneId('group-commit', toBase64Url(event.group));
    case 'proposal-received':
    case 'commit-reported':
      return undefined;
    default:
      return event satisfies never;
  }
}

function checkRequested(event: Requested): void {
  check(isShortId(event.account) && isShortId(event.device), 'an account or device id');
  check(isClientId(event.requestId), 'a request id');
  if ('owner' in event) check(isShortId(event.owner), 'an account id');
  if ('group' in event) checkGroup(event.group);
}

function checkBatches(event: Messages): void {
  for (const { group, device, messages } of event.batches) {
    checkGroup(group);
    check(isShortId(device), 'a device id');
    for (const [id, , message, entry] of messages) {
      check(isClientIdText(id), 'a message id');
      if (message === null) check(entry?.length === HEAD_BYTES, 'the hash of an entry');
    }
  }
}

function checkGroup(group: Uint8Array): void {
  check(group.length > 0 && group.length <= GROUP_ID_MAX_BYTES, 'a group id');
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new ProjectionError('invalid-event', `an event holds ${what} in a form that no server writes`);
}

function unknownEvent(event: never): ProjectionError {
  const { type } = event as { readonly type: LogEventType };
  return new ProjectionError(
    'unknown-event',
    `the log holds an event ${JSON.stringify(type)} that this version cannot fold`,
  );
}
