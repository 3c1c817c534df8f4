import { type Completable, type Completion, complete } from './complete.ts';
import { completeFile, pathBefore } from './complete-file.ts';
import { type Editor, EMPTY_EDITOR, edit, enter } from './editor.ts';
import type { KeyMeaning } from './keys.ts';

export interface LineInputOptions {
  readonly known: () => Completable;
  /** A line was entered; the editor is empty again. */
  entered(line: string): void;
  leave(): void;
  clear(): void;
  suspend(): void;
  /** The line is different. */
  changed(): void;
  /** What would fit where Tab was pressed, when it is not certain. */
  fitting(words: readonly string[]): void;
  failed(error: unknown): void;
}

/** The line at the prompt: keys edit it, complete it, enter it. */
export interface LineInput {
  editor(): Editor;
  onMeaning(meaning: KeyMeaning): void;
  /** A text that could not be sent is in the line again, unless something else is; then the arrow key brings it back. */
  giveBack(line: string): void;
}

export function createLineInput(options: LineInputOptions): LineInput {
  let editor: Editor = EMPTY_EDITOR;

  const change = (next: Editor) => {
    editor = next;
    options.changed();
  };

  const completed = (found: Completion | undefined) => {
    if (found === undefined) return;
    const before = editor.text;
    change(edit(editor, { kind: 'replace', from: found.from, text: found.text }));
    if (editor.text === before && found.candidates.length > 0) options.fitting(found.candidates);
  };

  const onComplete = () => {
    const typed = editor;
    const line = typed.text.slice(0, typed.cursor);
    const path = pathBefore(line);
    if (path === undefined) return completed(complete(line, options.known()));
    // whoever types on meanwhile has decided otherwise
    completeFile(path).then(
      (found) => (editor === typed ? completed(found) : undefined),
      (error: unknown) => options.failed(error),
    );
  };

  return {
    editor: () => editor,
    giveBack: (line) => {
      if (editor.text === '') change(edit(editor, { kind: 'insert', text: line }));
    },
    onMeaning: (meaning) => {
      switch (meaning.kind) {
        case 'edit':
          return change(edit(editor, meaning.action));
        case 'enter': {
          const { text } = editor;
          change(enter(editor));
          return options.entered(text);
        }
        case 'complete':
          return onComplete();
        case 'interrupt':
          // as in a shell: the line goes first, and the arrow key brings it back
          return editor.text === '' ? options.leave() : change(enter(editor));
        case 'end-of-input':
          return options.leave();
        case 'redraw':
          return options.clear();
        case 'suspend':
          return options.suspend();
        case 'paste-start':
        case 'paste-end':
        case 'none':
          return;
        default:
          return meaning satisfies never;
      }
    },
  };
}
