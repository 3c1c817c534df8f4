import { keys } from './keys.ts';

/** Where a line is: among those that came to this device, by number, or among those taken over, by position in their group. */
export type LinePlace = { readonly ordinal: number } | { readonly older: number };

const OLDER = 'p';

/** As it stands in a row that names a line. */
export function placeText(place: LinePlace): string {
  return 'ordinal' in place ? String(place.ordinal) : `${OLDER}${place.older}`;
}

/** The place that {@link placeText} wrote. */
export function parsePlace(text: string): LinePlace {
  return text.startsWith(OLDER) ? { older: Number(text.slice(OLDER.length)) } : { ordinal: Number(text) };
}

/** The key of the line that stands there. */
export function rowAt(group: Uint8Array, place: LinePlace): Uint8Array {
  return 'ordinal' in place ? keys.line(place.ordinal) : keys.older(group, place.older);
}
