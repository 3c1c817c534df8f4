import { graphemesOf } from './text-width.ts';

/** The line being typed. A value: every action gives a new one. `cursor` is an index into `text`, between graphemes. */
export interface Editor {
  readonly text: string;
  readonly cursor: number;
  /** What was cut last, for `yank`. */
  readonly cut: string;
  /** Lines entered before, oldest first. */
  readonly history: readonly string[];
  /** Which of them is shown; `history.length`: the line that is being typed. */
  readonly historyIndex: number;
  /** What was typed before the history was looked at. */
  readonly draft: string;
}

export type EditAction =
  | { readonly kind: 'insert'; readonly text: string }
  | { readonly kind: 'replace'; readonly from: number; readonly text: string }
  | {
      readonly kind:
        | 'backspace'
        | 'delete'
        | 'left'
        | 'right'
        | 'word-left'
        | 'word-right'
        | 'home'
        | 'end'
        | 'cut-to-start'
        | 'cut-to-end'
        | 'cut-word'
        | 'yank'
        /** The row above in a text of several, else the line entered before. */
        | 'older'
        | 'newer';
    };

/** Lines of input kept for the arrow keys. */
const INPUT_HISTORY_MAX = 500;
/** Code units a message may have. The editor takes in no more. */
export const MESSAGE_MAX_LENGTH = 64 * 1024;

export const EMPTY_EDITOR: Editor = { text: '', cursor: 0, cut: '', history: [], historyIndex: 0, draft: '' };

// biome-ignore lint/suspicious/noControlCharactersInRegex: pasted text may contain them, the line may not
const NOT_TYPED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Applies one action. Never throws; an action that has nothing to act on changes nothing. */
export function edit(editor: Editor, action: EditAction): Editor {
  const { text, cursor } = editor;
  switch (action.kind) {
    case 'insert': {
      const clean = action.text.replace(/\r\n?/g, '\n').replaceAll('\t', '    ').replace(NOT_TYPED, '');
      return splice(editor, cursor, cursor, clean.slice(0, Math.max(0, MESSAGE_MAX_LENGTH - text.length)));
    }
    case 'replace':
      return splice(editor, Math.min(action.from, cursor), cursor, action.text);
    case 'backspace':
      return splice(editor, before(text, cursor), cursor, '');
    case 'delete':
      return splice(editor, cursor, after(text, cursor), '');
    case 'left':
      return { ...editor, cursor: before(text, cursor) };
    case 'right':
      return { ...editor, cursor: after(text, cursor) };
    case 'word-left':
      return { ...editor, cursor: wordStart(text, cursor) };
    case 'word-right':
      return { ...editor, cursor: cursor + (/^\s*\S*/.exec(text.slice(cursor))?.[0].length ?? 0) };
    case 'home':
      return { ...editor, cursor: rowStart(text, cursor) };
    case 'end':
      return { ...editor, cursor: rowEnd(text, cursor) };
    case 'cut-to-start': {
      const start = rowStart(text, cursor);
      // at the beginning of a row the break before it goes, so that a long paste can be cut away
      return cut(editor, start === cursor ? Math.max(0, cursor - 1) : start, cursor);
    }
    case 'cut-to-end':
      return cut(editor, cursor, rowEnd(text, cursor));
    case 'cut-word':
      return cut(editor, wordStart(text, cursor), cursor);
    case 'yank':
      return splice(editor, cursor, cursor, editor.cut);
    case 'older': {
      const start = rowStart(text, cursor);
      if (start === 0) return recall(editor, editor.historyIndex - 1);
      return { ...editor, cursor: inRow(text, rowStart(text, start - 1), cursor - start) };
    }
    case 'newer': {
      const end = rowEnd(text, cursor);
      if (end === text.length) return recall(editor, editor.historyIndex + 1);
      return { ...editor, cursor: inRow(text, end + 1, cursor - rowStart(text, cursor)) };
    }
    default:
      return action satisfies never;
  }
}

/** The line was entered: it goes to the history (unless it repeats the one before) and the editor is empty again. */
export function enter(editor: Editor): Editor {
  const { text, history } = editor;
  const keep = text.trim() !== '' && history.at(-1) !== text;
  const lines = keep ? [...history, text].slice(-INPUT_HISTORY_MAX) : history;
  return { ...EMPTY_EDITOR, cut: editor.cut, history: lines, historyIndex: lines.length };
}

function splice(editor: Editor, from: number, to: number, insert: string): Editor {
  const { text } = editor;
  return { ...editor, text: text.slice(0, from) + insert + text.slice(to), cursor: from + insert.length };
}

function cut(editor: Editor, from: number, to: number): Editor {
  if (from === to) return editor;
  return { ...splice(editor, from, to, ''), cut: editor.text.slice(from, to) };
}

function recall(editor: Editor, index: number): Editor {
  const { history, historyIndex } = editor;
  if (index < 0 || index > history.length || index === historyIndex) return editor;
  const draft = historyIndex === history.length ? editor.text : editor.draft;
  const text = history[index] ?? draft;
  return { ...editor, text, cursor: text.length, historyIndex: index, draft };
}

function before(text: string, cursor: number): number {
  return cursor - (graphemesOf(text.slice(0, cursor)).at(-1)?.length ?? 0);
}

function after(text: string, cursor: number): number {
  return cursor + (graphemesOf(text.slice(cursor))[0]?.length ?? 0);
}

function wordStart(text: string, cursor: number): number {
  return cursor - (/\S*\s*$/.exec(text.slice(0, cursor))?.[0].length ?? 0);
}

function rowStart(text: string, cursor: number): number {
  return cursor === 0 ? 0 : text.lastIndexOf('\n', cursor - 1) + 1;
}

/** The place so far into the row that begins at `start`, or its end; between two graphemes. */
function inRow(text: string, start: number, offset: number): number {
  const row = text.slice(start, rowEnd(text, start));
  let place = 0;
  for (const grapheme of graphemesOf(row)) {
    if (place + grapheme.length > offset) break;
    place += grapheme.length;
  }
  return start + place;
}

function rowEnd(text: string, cursor: number): number {
  const end = text.indexOf('\n', cursor);
  return end === -1 ? text.length : end;
}
