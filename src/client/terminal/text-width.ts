/**
 * How wide text stands on a terminal. Cut and counted by grapheme clusters, so that an emoji of five code points is
 * one thing to the cursor, as it is to the person.
 */

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Scripts and symbols that terminals draw two cells wide (Unicode UAX #11, classes W and F, in whole blocks). */
const WIDE =
  /[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}|\ufe0f/u;
const INVISIBLE = /^[\p{M}\p{Cf}\p{Cc}]+$/u;
const ASCII = /^[\x20-\x7e]*$/;
const ASCII_ROWS = /^[\n\x20-\x7e]*$/;
const HIGH_SURROGATE_AT_END = /[\ud800-\udbff]$/;
/** Code units segmented at once: the segmenter's time grows with the square of what it is given. */
const WINDOW = 256;

/** The grapheme clusters of a text, in order. Takes time in proportion to its length. */
export function graphemesOf(text: string): string[] {
  if (ASCII_ROWS.test(text)) return [...text];
  const clusters: string[] = [];
  let from = 0;
  let size = WINDOW;
  while (from < text.length) {
    const piece = text.slice(from, from + size);
    const whole = from + size >= text.length;
    // half a character joins nothing, so that what stands before it would seem to be a cluster already
    const found = clustersIn(whole ? piece : piece.replace(HIGH_SURROGATE_AT_END, ''));
    // the last one may go on behind the window; where it fills the window, a larger one is needed
    if (!whole) found.pop();
    size = found.length === 0 ? size * 2 : WINDOW;
    for (const cluster of found) {
      clusters.push(cluster);
      from += cluster.length;
    }
  }
  return clusters;
}

function clustersIn(text: string): string[] {
  return Array.from(segmenter.segment(text), (part) => part.segment);
}

/** Cells that one grapheme cluster takes: 0, 1 or 2. */
export function graphemeWidth(grapheme: string): number {
  if (grapheme.length === 1 && ASCII.test(grapheme)) return 1;
  if (INVISIBLE.test(grapheme)) return 0;
  return WIDE.test(grapheme) ? 2 : 1;
}

/** Cells that a text without control characters takes on one row. */
export function textWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  return graphemesOf(text).reduce((sum, grapheme) => sum + graphemeWidth(grapheme), 0);
}

/** The longest beginning that fits into `cells`; a cut is shown by `…`. */
export function truncate(text: string, cells: number): string {
  if (textWidth(text) <= cells) return text;
  let width = 0;
  let kept = '';
  for (const grapheme of graphemesOf(text)) {
    width += graphemeWidth(grapheme);
    if (width > cells - 1) break;
    kept += grapheme;
  }
  return `${kept}…`;
}
