import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';

/** Where its sender stood in the group's chain when a message was encrypted: what the receiver's own chain must agree with. */
export interface SeenHead {
  readonly position: number;
  readonly head: Uint8Array;
}

const HEAD_BYTES = 32;

/**
 * Authenticated data of everything we send: the id under which the server places it. So a server cannot give one
 * sender's bytes another id, and receivers can tell the ids apart from what was signed.
 *
 * @param voided generations of this epoch that will never come, see generations.ts
 * @param seen the last head that the sender knows, see witness.ts
 */
export function encodeBinding(id: string, voided: readonly number[] = [], seen?: SeenHead): Uint8Array {
  return encodeCbor({
    id,
    ...(voided.length === 0 ? {} : { voided }),
    ...(seen === undefined ? {} : { seen: [seen.position, seen.head] }),
  });
}

/** What authenticated data says, as far as it says it: that of other clients may be anything. */
export interface Binding {
  /** Absent in data that names none; `null` when it is no id. */
  readonly id?: unknown;
  /** Generations that the sender says it gave up. */
  readonly voided: readonly number[];
  readonly seen?: SeenHead;
}

export function decodeBinding(authenticatedData: Uint8Array): Binding {
  if (authenticatedData.length === 0) return { voided: [] };
  const { id, voided, seen } = decodeMap(authenticatedData) ?? {};
  return { id: id ?? null, voided: numbersIn(voided), ...seenIn(seen) };
}

/** Whether the authenticated data names this id; data of other clients, which name none, pass. */
export function isBoundTo({ id: bound }: Binding, id: string): boolean {
  return bound === undefined || bound === id;
}

function numbersIn(value: unknown): readonly number[] {
  return Array.isArray(value) ? value.filter((given): given is number => Number.isSafeInteger(given)) : [];
}

function seenIn(value: unknown): { readonly seen?: SeenHead } {
  if (!Array.isArray(value)) return {};
  const [position, head] = value as readonly unknown[];
  if (!Number.isSafeInteger(position) || (position as number) < 1) return {};
  if (!(head instanceof Uint8Array) || head.length !== HEAD_BYTES) return {};
  return { seen: { position: position as number, head } };
}

function decodeMap(bytes: Uint8Array): Record<string, unknown> | undefined {
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch {
    return undefined; // other clients may put anything there
  }
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
    ? (value as Record<string, unknown>)
    : undefined;
}
