import { emitKeypressEvents } from 'node:readline';
import { type Key, type KeyMeaning, meaningOf } from './keys.ts';

/** What of a terminal the keyboard reads; `process.stdin` is one. */
export type TerminalInput = NodeJS.ReadableStream & { setRawMode?: (raw: boolean) => unknown };

export interface Keyboard {
  /** Gives the terminal its own mode back while another program has the screen, and takes it again. */
  pause(): void;
  resume(): void;
  close(): void;
}

const BRACKETED_PASTE_ON = '\u001b[?2004h';
export const BRACKETED_PASTE_OFF = '\u001b[?2004l';

/**
 * Keys as meanings. A bracketed paste arrives as one insertion, whatever it contains, so that it can neither run a
 * command nor send half of itself.
 *
 * @param isEmpty whether the line is empty (Ctrl-D then ends the input)
 */
export function listenToKeys(
  input: TerminalInput,
  output: { write(text: string): unknown },
  isEmpty: () => boolean,
  onMeaning: (meaning: KeyMeaning) => void,
): Keyboard {
  let pasted: string[] | undefined;
  const onKey = (text: string | undefined, key: Key) => {
    const meaning = meaningOf(text, key, isEmpty());
    if (meaning.kind === 'paste-start') pasted = [];
    else if (meaning.kind === 'paste-end') {
      const whole = pasted?.join('') ?? '';
      pasted = undefined;
      onMeaning({ kind: 'edit', action: { kind: 'insert', text: whole } });
    } else if (pasted !== undefined) pasted.push(text ?? key.sequence ?? '');
    else onMeaning(meaning);
  };
  const onEnd = () => onMeaning({ kind: 'end-of-input' });

  const take = () => {
    input.setRawMode?.(true);
    output.write(BRACKETED_PASTE_ON);
    input.resume();
  };
  const release = () => {
    output.write(BRACKETED_PASTE_OFF);
    input.setRawMode?.(false);
    input.pause();
  };

  emitKeypressEvents(input);
  input.on('keypress', onKey);
  input.on('end', onEnd);
  take();
  return {
    pause: release,
    resume: take,
    close: () => {
      input.off('keypress', onKey);
      input.off('end', onEnd);
      release();
    },
  };
}
