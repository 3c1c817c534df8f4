import { graphemesOf, graphemeWidth, textWidth } from './text-width.ts';

/** What every row of a line but the first begins with, so that no text can pose as the beginning of another line. */
const CONTINUATION = '  ';
/** Below this width wrapping by words makes things worse. */
const WRAP_MIN_COLUMNS = 12;

/**
 * Breaks rows so that none is wider than `columns` cells, at spaces where there are some, else inside a word. Every row but
 * the first is indented by {@link CONTINUATION}. `undefined` columns: nothing is broken (pipes).
 */
export function wrapRows(rows: readonly string[], columns: number | undefined): string[] {
  const wrapped = rows.flatMap((row, index) => {
    const room = Math.max(columns ?? Number.POSITIVE_INFINITY, WRAP_MIN_COLUMNS);
    return index === 0 ? wrapRow(row, room, room - CONTINUATION.length) : wrapRow(row, room - 2, room - 2);
  });
  return wrapped.map((row, index) => (index === 0 ? row : CONTINUATION + row));
}

function wrapRow(row: string, firstRoom: number, laterRoom: number): string[] {
  if (textWidth(row) <= firstRoom) return [row];
  const out: string[] = [];
  let current = '';
  let width = 0;
  let lastSpace = -1;
  for (const grapheme of graphemesOf(row)) {
    const room = out.length === 0 ? firstRoom : laterRoom;
    const cells = graphemeWidth(grapheme);
    if (width + cells > room) {
      const breakAt = lastSpace > room / 3 ? lastSpace : current.length;
      out.push(current.slice(0, breakAt).trimEnd());
      current = current.slice(breakAt).trimStart();
      width = textWidth(current);
      lastSpace = -1;
    }
    if (grapheme === ' ' && current === '' && out.length > 0) continue;
    current += grapheme;
    width += cells;
    if (grapheme === ' ') lastSpace = current.length;
  }
  if (current !== '' || out.length === 0) out.push(current);
  return out;
}
