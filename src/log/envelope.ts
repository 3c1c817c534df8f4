import { decodeCbor, decodeCborShared, encodeCbor } from '../wire/cbor.ts';
import { LogError } from './errors.ts';
import type { LogEvent, LogEventType } from './events.ts';

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
const isBytes: Check = (value) => value instanceof Uint8Array;
const isFlag: Check = (value) => typeof value === 'boolean';
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const record =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || isBytes(value)) return false;
    for (const name in fields) if (!fields[name]!((value as Record<string, unknown>)[name])) return false;
    return true;
  };

const base = { id: isText, time: isNumber };
const requested = { ...base, account: isText, device: isText, requestId: isText, requestDigest: isBytes };
const keyPackages = listOf(record({ ref: isBytes, keyPackage: isBytes, lastResort: isFlag, notAfter: isNumber }));
const deviceOfAccount = record({ account: isText, device: isText });
const sentMessage: Check = (value) =>
  Array.isArray(value) && value.length === 3 && isText(value[0]) && isNumber(value[1]) && isBytes(value[2]);

const removedMessage: Check = (value) =>
  Array.isArray(value) &&
  value.length === 4 &&
  isText(value[0]) &&
  isNumber(value[1]) &&
  value[2] === null &&
  isBytes(value[3]);
const batchOf = (message: Check): Check =>
  record({ group: isBytes, account: isText, device: isText, time: isNumber, messages: listOf(message) });

/** Every (type, version) that may stand in a log, with what it has to hold. Further members are let through. */
const SHAPES: Readonly<Record<LogEventType, Readonly<Record<number, Check>>>> = {
  'account-registered': {
    1: record({ ...requested, name: isText, statement: isBytes, signature: isBytes, keyPackages }),
  },
  'account-changed': {
    1: record({
      ...requested,
      owner: isText,
      name: optional(isText),
      statement: isBytes,
      signature: isBytes,
      countersignature: optional(isBytes),
      keyPackages,
    }),
  },
  'key-packages-published': { 1: record({ ...requested, keyPackages }) },
  'key-packages-claimed': { 1: record({ ...requested, owner: isText, group: isBytes, refs: listOf(isBytes) }) },
  'group-created': { 1: record({ ...requested, group: isBytes, name: optional(isText), groupInfo: isBytes }) },
  'commit-accepted': {
    1: record({
      ...requested,
      group: isBytes,
      epoch: isNumber,
      commit: isBytes,
      welcome: optional(isBytes),
      groupInfo: isBytes,
    }),
  },
  'proposal-received': { 1: record({ ...requested, group: isBytes, epoch: isNumber, proposal: isBytes }) },
  'opaque-group-created': {
    1: record({ ...requested, group: isBytes, name: optional(isText), groupInfo: optional(isBytes) }),
  },
  'opaque-commit-accepted': {
    1: record({
      ...requested,
      group: isBytes,
      epoch: isNumber,
      commit: isBytes,
      welcome: optional(isBytes),
      groupInfo: optional(isBytes),
      added: listOf(deviceOfAccount),
      removed: listOf(isText),
    }),
  },
  'commit-reported': {
    1: record({
      ...requested,
      group: isBytes,
      epoch: isNumber,
      position: isNumber,
      commit: isBytes,
      committer: deviceOfAccount,
      reason: isText,
      code: isText,
    }),
  },
  'messages-sent': {
    1: record({ ...base, batches: listOf(batchOf(sentMessage)) }),
  },
  'messages-compacted': {
    1: record({ ...base, batches: listOf(batchOf((value) => sentMessage(value) || removedMessage(value))) }),
  },
  'group-compacted': { 1: record({ ...base, group: isBytes, logStart: isNumber, head: isBytes }) },
  'log-started': { 1: record({ ...base, incarnation: isText, domain: isText, pastEpochs: optional(isNumber) }) },
};

/** Every (type, version) this program can read: each has a golden fixture that must decode for ever. */
export function knownEvents(): readonly { readonly type: LogEventType; readonly v: number }[] {
  return Object.entries(SHAPES).flatMap(([type, versions]) =>
    Object.keys(versions).map((v) => ({ type: type as LogEventType, v: Number(v) })),
  );
}

/** The bytes that stand in the log: deterministic CBOR (RFC 8949 §4.2). Equal events have equal bytes. */
export function encodeEvent(event: LogEvent): Uint8Array {
  return encodeCbor(event);
}

/**
 * Reads an event of the log. MLS bytes inside are exactly as they were received; messages share memory with `bytes`.
 *
 * @throws LogError `invalid-event` when the bytes are no event, `unknown-event` when its type or version is not known:
 *   a reader that skipped it would come to other tables than its neighbours, so it halts.
 */
export function decodeEvent(bytes: Uint8Array): LogEvent {
  let value: unknown;
  try {
    value = decodeCborShared(bytes);
    // The many messages are copied into entries at once; what is in other events may be kept, so it gets memory of its own.
    if (typeOf(value) !== 'messages-sent') value = decodeCbor(bytes);
  } catch (cause) {
    throw new LogError('invalid-event', 'an event in the log is not CBOR', { cause });
  }
  if (typeof value !== 'object' || value === null) {
    throw new LogError('invalid-event', 'an event in the log is not a map');
  }
  const { type, v } = value as { type?: unknown; v?: unknown };
  if (typeof type !== 'string' || typeof v !== 'number') {
    throw new LogError('invalid-event', 'an event in the log has no type or no version');
  }
  const versions = Object.hasOwn(SHAPES, type) ? SHAPES[type as LogEventType] : undefined;
  const check = versions !== undefined && Object.hasOwn(versions, v) ? versions[v] : undefined;
  if (check === undefined) {
    throw new LogError('unknown-event', `the log holds an event ${JSON.stringify(type)} of version ${v}`);
  }
  if (!check(value)) throw new LogError('invalid-event', `a ${type} event in the log lacks what it has to hold`);
  return value as LogEvent;
}

function typeOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
}
