/**
 * Text from other people, made harmless before it touches a terminal: it can neither move the cursor, nor change
 * colours or the window title, nor turn the reading direction, nor begin a line that looks like somebody else's.
 */

const FIRST_CONTROL_PICTURE = 0x2400;
const DELETE_PICTURE = '\u2421';
const REPLACEMENT = '\ufffd';
/** Marks stacked on one letter beyond this many climb into the rows above and below. */
const STACKED_MARKS_MAX = 4;
const TAB_CELLS = '    ';

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this file is about
const C0 = /[\u0000-\u001f\u007f]/g;
/** C1 controls (some terminals obey them), bidirectional overrides and isolates, lone surrogates, invisible tags. */
const HARMFUL = /[\u0080-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;
const STACKED_MARKS = new RegExp(`(\\p{M}{${STACKED_MARKS_MAX}})\\p{M}+`, 'gu');
// biome-ignore lint/suspicious/noControlCharactersInRegex: vertical tab and form feed break lines on terminals
const LINE_BREAKS = /\r\n|[\n\r\u0085\u2028\u2029\u000b\u000c]/;

/** One row of harmless text: controls become their pictures (`␛`), everything else that deceives becomes `�`. */
export function neutralise(text: string): string {
  return text
    .replaceAll('\t', TAB_CELLS)
    .replace(C0, (character) => {
      const code = character.charCodeAt(0);
      return code === 0x7f ? DELETE_PICTURE : String.fromCharCode(FIRST_CONTROL_PICTURE + code);
    })
    .replace(HARMFUL, REPLACEMENT)
    .replace(STACKED_MARKS, '$1');
}

/** The rows of a text that may have several, each harmless. Empty rows at the end are dropped; there is at least one. */
export function neutraliseRows(text: string): string[] {
  const rows = text.split(LINE_BREAKS).map(neutralise);
  while (rows.length > 1 && rows.at(-1)?.trim() === '') rows.pop();
  return rows;
}
