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

/** The grapheme clusters of a text, in order. */
export function graphemesOf(text: string): string[] {
  if (ASCII.test(text)) return [...text];
  return Array.from(segmenter.segment(text), (part) => part.segment);
}

/** Cells that one grapheme cluster takes: 0, 1 or 2. */
export function graphemeWidth(grapheme: string): number {
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
