import { PassThrough } from 'node:stream';

/**
 * A terminal without a window: what is written is interpreted as xterm would, so that a test can look at the screen a
 * person would see. Knows just the sequences the chat writes; anything else fails the test that wrote it.
 */
export interface FakeTerminal {
  readonly input: PassThrough & { setRawMode(raw: boolean): void };
  readonly output: FakeOutput;
  readonly raw: boolean;
  readonly bracketedPaste: boolean;
  /** Everything that was ever written. */
  readonly written: string;
  /** Scroll-back and screen, without colour; empty rows at the end dropped. */
  screen(): string[];
  type(text: string): void;
  paste(text: string): void;
  resize(columns: number, rows: number): void;
  cursor(): { readonly row: number; readonly column: number };
}

interface FakeOutput {
  columns: number;
  rows: number;
  write(text: string): boolean;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const SEQUENCE = /\u001b\[(\??[0-9;]*)([A-Za-z])|\r|\n|[^\u001b\r\n]/gu;

export function createFakeTerminal(columns = 80, rows = 24): FakeTerminal {
  const cells: string[][] = [[]];
  const resizeListeners = new Set<() => void>();
  let row = 0;
  let column = 0;
  let raw = false;
  let bracketedPaste = false;
  let written = '';

  const rowAt = (index: number): string[] => {
    while (cells.length <= index) cells.push([]);
    return cells[index] ?? [];
  };
  const put = (character: string) => {
    if (column >= output.columns) {
      row += 1;
      column = 0;
    }
    const line = rowAt(row);
    while (line.length < column) line.push(' ');
    line[column] = character;
    column += 1;
  };
  const sequence = (parameters: string, final: string) => {
    const count = Number(parameters === '' ? 1 : parameters);
    if (final === 'm') return;
    if (final === 'A') row = Math.max(topRow(), row - count);
    else if (final === 'C') column = Math.min(output.columns - 1, column + count);
    else if (final === 'H') [row, column] = [topRow(), 0];
    else if (final === 'J' && parameters === '2') cells.length = topRow();
    else if (final === 'J') {
      rowAt(row).length = Math.min(rowAt(row).length, column);
      cells.length = row + 1;
    } else if (parameters === '?2004') bracketedPaste = final === 'h';
    else throw new Error(`the fake terminal doesn't know ESC [ ${parameters} ${final}`);
  };
  const topRow = () => Math.max(0, cells.length - output.rows);

  const output: FakeOutput = {
    columns,
    rows,
    write: (text) => {
      written += text;
      let consumed = 0;
      for (const match of text.matchAll(SEQUENCE)) {
        consumed += match[0].length;
        if (match[2] !== undefined) sequence(match[1] ?? '', match[2]);
        else if (match[0] === '\r') column = 0;
        else if (match[0] === '\n') {
          row += 1;
          rowAt(row);
        } else if (match[0] !== '\u0007') put(match[0]);
      }
      if (consumed !== text.length) throw new Error(`unknown escape sequence in ${JSON.stringify(text)}`);
      return true;
    },
    on: (_event, listener) => resizeListeners.add(listener),
    off: (_event, listener) => resizeListeners.delete(listener),
  };
  const input = Object.assign(new PassThrough(), {
    setRawMode: (next: boolean) => {
      raw = next;
    },
  });
  return {
    input,
    output,
    get raw() {
      return raw;
    },
    get bracketedPaste() {
      return bracketedPaste;
    },
    get written() {
      return written;
    },
    screen: () => {
      const text = cells.map((line) =>
        Array.from(line, (character) => character ?? ' ')
          .join('')
          .trimEnd(),
      );
      while (text.at(-1) === '') text.pop();
      return text;
    },
    type: (text) => void input.write(text),
    paste: (text) => void input.write(`\u001b[200~${text}\u001b[201~`),
    resize: (nextColumns, nextRows) => {
      output.columns = nextColumns;
      output.rows = nextRows;
      for (const listener of [...resizeListeners]) listener();
    },
    cursor: () => ({ row, column }),
  };
}
