import type { EditAction } from './editor.ts';

/** A key as `node:readline` decodes it. */
export interface Key {
  readonly name?: string | undefined;
  readonly sequence?: string | undefined;
  readonly ctrl?: boolean | undefined;
  readonly meta?: boolean | undefined;
}

export type KeyMeaning =
  | { readonly kind: 'edit'; readonly action: EditAction }
  | {
      readonly kind:
        | 'enter'
        | 'complete'
        | 'interrupt'
        | 'end-of-input'
        | 'redraw'
        | 'suspend'
        | 'paste-start'
        | 'paste-end'
        | 'none';
    };

const PASTE_START = '\u001b[200~';
const PASTE_END = '\u001b[201~';

type PlainEdit = Exclude<EditAction['kind'], 'insert' | 'replace'>;

const EDITS: Readonly<Record<string, PlainEdit>> = {
  backspace: 'backspace',
  'ctrl+h': 'backspace',
  delete: 'delete',
  left: 'left',
  right: 'right',
  'ctrl+b': 'left',
  'ctrl+f': 'right',
  'ctrl+left': 'word-left',
  'ctrl+right': 'word-right',
  'meta+b': 'word-left',
  'meta+f': 'word-right',
  'meta+left': 'word-left',
  'meta+right': 'word-right',
  home: 'home',
  'ctrl+a': 'home',
  end: 'end',
  'ctrl+e': 'end',
  'ctrl+u': 'cut-to-start',
  'ctrl+k': 'cut-to-end',
  'ctrl+w': 'cut-word',
  'meta+backspace': 'cut-word',
  'ctrl+y': 'yank',
  up: 'older',
  down: 'newer',
  'ctrl+p': 'older',
  'ctrl+n': 'newer',
};

/** What a key means while nothing is being pasted. `empty`: the line is empty, so that Ctrl-D ends the input. */
export function meaningOf(text: string | undefined, key: Key, empty: boolean): KeyMeaning {
  if (key.sequence === PASTE_START) return { kind: 'paste-start' };
  if (key.sequence === PASTE_END) return { kind: 'paste-end' };
  const chord = `${key.ctrl === true ? 'ctrl+' : ''}${key.meta === true ? 'meta+' : ''}${key.name ?? ''}`;
  switch (chord) {
    case 'return':
    case 'enter':
      return { kind: 'enter' };
    // Alt-Enter: a line break inside the message.
    case 'meta+return':
    case 'meta+enter':
      return { kind: 'edit', action: { kind: 'insert', text: '\n' } };
    case 'tab':
      return { kind: 'complete' };
    case 'ctrl+c':
      return { kind: 'interrupt' };
    case 'ctrl+d':
      return empty ? { kind: 'end-of-input' } : { kind: 'edit', action: { kind: 'delete' } };
    case 'ctrl+l':
      return { kind: 'redraw' };
    case 'ctrl+z':
      return { kind: 'suspend' };
  }
  const action = EDITS[chord];
  if (action !== undefined) return { kind: 'edit', action: { kind: action } };
  const typed = text !== undefined && key.ctrl !== true && key.meta !== true && !text.startsWith('\u001b');
  return typed ? { kind: 'edit', action: { kind: 'insert', text } } : { kind: 'none' };
}
