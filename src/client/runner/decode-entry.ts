import { decodeCbor } from '../../wire/cbor.ts';
import { decodeEntry, decodeEntryShared, type Entry, isEntryKind, isGroupEntry } from '../../wire/entry.ts';
import { isGroupIdBytes } from '../../wire/entry-shapes.ts';
import { TransportError } from '../transport/server-api.ts';

/** Of a kind that a server made up. */
const KIND_SHOWN_CHARACTERS = 40;

/** What says that it is of a group, and cannot be read. */
export interface UnreadableEntry {
  /** Why, for people. */
  readonly unreadable: string;
  readonly group: Uint8Array;
  readonly position?: number;
}

/**
 * `undefined`: something about this device that this version does not know, and may pass over. What says that it is of a
 * group concerns that group alone.
 *
 * @throws TransportError `malformed` for what cannot be an entry, nor be passed over
 */
export function decodeServed(bytes: Uint8Array): Entry | UnreadableEntry | undefined {
  try {
    const entry = decodeEntryShared(bytes);
    // of these the engine keeps nothing but what it made of them; of others it keeps parts, and a page is large
    return isRead(entry) ? entry : decodeEntry(bytes);
  } catch (cause) {
    let value: unknown;
    try {
      value = decodeCbor(bytes);
    } catch {
      throw new TransportError('malformed', 'the server sent an entry that cannot be read', cause);
    }
    const { kind, group, position } = Object(value) as { kind?: unknown; group?: unknown; position?: unknown };
    if (isGroupIdBytes(group)) {
      const unreadable =
        typeof kind === 'string' && !isEntryKind(kind)
          ? `An entry of the kind "${kind.slice(0, KIND_SHOWN_CHARACTERS)}" is not known to this version`
          : 'The server sent an entry of this group that cannot be read';
      return { unreadable, group, ...(typeof position === 'number' ? { position } : {}) };
    }
    if (typeof kind === 'string' && !isEntryKind(kind)) return undefined;
    throw new TransportError('malformed', 'the server sent something that is no entry', cause);
  }
}

/** The group that an entry is about, also one for this device alone. */
export function groupOfEntry(entry: Entry | UnreadableEntry): Uint8Array | undefined {
  if ('unreadable' in entry || isGroupEntry(entry)) return entry.group;
  return entry.kind === 'welcome' ? entry.payload.group : undefined;
}

function isRead({ kind }: Entry): boolean {
  return kind === 'message' || kind === 'commit' || kind === 'proposal';
}
