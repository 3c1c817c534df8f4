import { GROUP_ID_MAX_BYTES, GROUP_ID_MIN_BYTES } from './ids.ts';

/**
 * What each kind of entry must look like before anybody reads a member of it: a server, or whoever speaks in its place,
 * may send anything. One guard a kind; members that a kind does not name are let through, for later versions.
 */

type Guard = (value: unknown) => boolean;
type Members = Readonly<Record<string, Guard>>;

/** The last instant that a `Date` can show. */
const TIME_MAX_MS = 8_640_000_000_000_000;
const ID_MAX_CHARACTERS = 128;
const NAME_MAX_CHARACTERS = 256;
const HASH_BYTES = 32;

const isBytes: Guard = (value) => value instanceof Uint8Array;
const isHash: Guard = (value) => value instanceof Uint8Array && value.length === HASH_BYTES;
const isCount: Guard = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isPosition: Guard = (value) => Number.isSafeInteger(value) && (value as number) >= 1;
const isTime: Guard = (value) => isCount(value) && (value as number) <= TIME_MAX_MS;
const isFlag: Guard = (value) => typeof value === 'boolean';
const isId: Guard = (value) => typeof value === 'string' && value.length > 0 && value.length <= ID_MAX_CHARACTERS;
const isName: Guard = (value) => typeof value === 'string' && value.length <= NAME_MAX_CHARACTERS;

/** Whether bytes can be an MLS `group_id` here; the same as what `groupIdOf` takes. */
export function isGroupIdBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array && value.length >= GROUP_ID_MIN_BYTES && value.length <= GROUP_ID_MAX_BYTES;
}

const exactly =
  (...values: readonly unknown[]): Guard =>
  (value) =>
    values.includes(value);
const optional =
  (guard: Guard): Guard =>
  (value) =>
    value === undefined || guard(value);
const listOf =
  (guard: Guard): Guard =>
  (value) =>
    Array.isArray(value) && value.every(guard);

function shape(members: Members): Guard {
  const guards = Object.entries(members);
  return (value) => isRecord(value) && guards.every(([name, guard]) => guard(value[name]));
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}

const place = { group: isGroupIdBytes, position: isPosition, id: isId, sender: isId, time: isTime };
const handshake = shape({
  ...place,
  epoch: isCount,
  payload: isBytes,
  roster: optional(shape({ added: listOf(isId), removed: listOf(isId) })),
});
const accountChange = shape({
  account: isId,
  statement: isBytes,
  signature: isBytes,
  countersignature: optional(isBytes),
});
const accountInGroup = shape({ ...place, payload: accountChange });
const accountInInbox = shape({ time: isTime, payload: accountChange });
const isOpaque = optional(exactly('private'));

/** By kind. A new kind gets its guard here; the compiler asks for it. */
export const ENTRY_SHAPES = {
  'group-created': shape({ ...place, payload: shape({ name: optional(isName), handshakes: isOpaque }) }),
  commit: handshake,
  proposal: handshake,
  message: shape({ ...place, epoch: isCount, payload: isBytes }),
  report: shape({
    ...place,
    payload: shape({
      epoch: isCount,
      position: isPosition,
      commit: isBytes,
      reason: isId,
      code: isName,
      reporter: isId,
      committer: shape({ account: isId, device: isId }),
    }),
  }),
  welcome: shape({
    time: isTime,
    sender: isId,
    payload: shape({
      group: isGroupIdBytes,
      name: optional(isName),
      handshakes: isOpaque,
      position: isPosition,
      head: isHash,
      epoch: isCount,
      inviter: isId,
      welcome: isBytes,
    }),
  }),
  account: (value: unknown) => (isRecord(value) && 'position' in value ? accountInGroup(value) : accountInInbox(value)),
  'key-packages-low': shape({ time: isTime, payload: shape({ available: isCount, lastResortUsed: isFlag }) }),
} as const satisfies Readonly<Record<string, Guard>>;
