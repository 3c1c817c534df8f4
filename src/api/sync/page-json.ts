import type { FramedPage } from '../../projections/read-model.ts';
import { cursorFromBlock } from '../../wire/cursor.ts';
import { decodeEntry } from '../../wire/entry.ts';
import { toJsonValue } from '../../wire/json.ts';
import { unframe } from '../writes/epoch-conflict.ts';

/** A page for people and scripts: entries as objects, each with the cursor just after it. */
export function pageToJson({ framed, cursors, cursor, upToDate, heads, gaps }: FramedPage) {
  const entries = framed.map((entry, index) => ({
    ...(toJsonValue(decodeEntry(unframe(entry))) as Record<string, unknown>),
    cursor: cursorFromBlock(cursors, index),
  }));
  return {
    entries,
    cursor,
    upToDate,
    heads: toJsonValue(heads),
    ...(gaps === undefined ? {} : { gaps: toJsonValue(gaps) }),
  };
}
