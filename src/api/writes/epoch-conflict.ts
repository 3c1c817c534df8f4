import type { DeviceView, GroupView, ReadModel } from '../../projections/read-model.ts';
import { toBase64Url } from '../../wire/bytes.ts';
import { decodeCbor } from '../../wire/cbor.ts';
import { decodeEntry, isGroupEntry } from '../../wire/entry.ts';
import { ProblemError } from '../../wire/problems.ts';
import { madeInEpoch } from './check-commit.ts';
import { opaqueMadeInEpoch } from './check-opaque.ts';
import { FUTURE_EPOCH } from './judged-on-newest.ts';

/** How much of the group's log travels with a conflict: enough to rebase on, small enough for an error. */
const CONFLICT_PAGE = { maxEntries: 256, maxBytes: 512 * 1024 } as const;
const FIRST_ENTRY = { maxEntries: 1, maxBytes: 1 } as const;

/**
 * `epoch-conflict` with the group's epoch and what the caller may read from `epoch` on, so that it rebases without
 * another request.
 */
export function epochConflict(
  readModel: ReadModel,
  group: GroupView,
  caller: Pick<DeviceView, 'id'>,
  epoch: number,
): ProblemError {
  return new ProblemError('epoch-conflict', `the group is in epoch ${group.epoch}, not in ${epoch}`, {
    members: {
      currentEpoch: group.epoch,
      ...(epoch > group.epoch ? { reason: FUTURE_EPOCH } : {}),
      ...entriesSince(readModel, group, caller, epoch),
    },
  });
}

/**
 * A handshake message has to be made in the group's epoch.
 *
 * @throws ProblemError `epoch-conflict`; `invalid-commit` for what no opaque group takes
 */
export function expectOwnEpoch(
  readModel: ReadModel,
  group: GroupView,
  caller: Pick<DeviceView, 'id'>,
  wanted: 'commit' | 'proposal',
  handshake: Uint8Array,
): void {
  const epoch = group.opaque ? opaqueMadeInEpoch(handshake, group, wanted) : madeInEpoch(handshake, group);
  if (epoch !== group.epoch) throw epochConflict(readModel, group, caller, epoch);
}

function entriesSince(readModel: ReadModel, group: GroupView, caller: Pick<DeviceView, 'id'>, epoch: number) {
  const {
    entries: [first],
    more,
  } = readModel.entriesFromEpoch(group.id, epoch, FIRST_ENTRY);
  if (first === undefined) return { entries: [], more };
  const entry = decodeEntry(first);
  const after = isGroupEntry(entry) ? entry.position - 1 : 0;
  // by way of the caller's own view: an epoch from before it joined shows it nothing (D11)
  const page = readModel.groupLogPage(group.id, caller.id, after, CONFLICT_PAGE);
  if (page.kind !== 'page') return { entries: [], more: false };
  return { entries: page.framed.map((framed) => toBase64Url(unframe(framed))), more: !page.upToDate };
}

/** The bytes inside a CBOR byte string. */
export function unframe(framed: Uint8Array): Uint8Array {
  const bytes = decodeCbor(framed);
  if (!(bytes instanceof Uint8Array)) throw new SyntaxError('an entry that is not framed as a byte string');
  return bytes;
}
