import type { Palette } from './palette.ts';
import { graphemesOf, graphemeWidth, textWidth, truncate } from './text-width.ts';

/** What of a terminal the screen writes to; `process.stdout` is one. */
export interface TerminalOutput {
  write(text: string): unknown;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

/** The part at the bottom that is drawn again whenever something changes. All texts are harmless already. */
export interface Footer {
  /** Rows above the prompt: what waits to be sent, what is unread. Each is cut to the width. */
  readonly notes: readonly string[];
  readonly prompt: string;
  readonly text: string;
  /** Index into `text`. */
  readonly cursor: number;
}

export interface Screen {
  readonly columns: number;
  /**
   * Puts rows above the footer, where they are never touched again, and draws the footer, in one write: nobody sees a
   * message both as waiting and as sent; what is there already is not written again. Rows must fit the width, or else the
   * terminal breaks them.
   */
  draw(footer: Footer, rows?: readonly string[]): void;
  /** The terminal has another size: draws the footer anew at its place. */
  resized(): void;
  /** Ctrl-L: an empty screen with only the footer. */
  clear(): void;
  /** Takes the footer away and leaves the cursor where the next program begins to write. */
  close(): void;
}

const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;
const COLUMNS_MIN = 8;
/** How much of the screen a long text may take while it is typed: the talk stays in sight. */
const TEXT_SHARE = 0.6;
const TEXT_ROWS_MIN = 3;

interface Laid {
  readonly rows: readonly string[];
  readonly cursorRow: number;
  readonly cursorColumn: number;
}

/** A scrolling screen with a footer, on nothing but "up", "column" and "erase below": history stays in the terminal's own scroll-back. */
export function createScreen(output: TerminalOutput, palette: Palette): Screen {
  let footer: Footer = { notes: [], prompt: '', text: '', cursor: 0 };
  let drawn: Laid = { rows: [''], cursorRow: 0, cursorColumn: 0 };
  const columns = () => Math.max(COLUMNS_MIN, output.columns ?? DEFAULT_COLUMNS);

  const erase = () => `\r${up(drawn.cursorRow)}\u001b[J`;
  const laid = () => layOut(footer, columns(), Math.max(2, (output.rows ?? DEFAULT_ROWS) - 1), palette);
  const paint = (before: string, next = laid()) => {
    drawn = next;
    const back = up(drawn.rows.length - 1 - drawn.cursorRow);
    output.write(`${before}${drawn.rows.join('\r\n')}\r${back}${right(drawn.cursorColumn)}`);
  };

  return {
    get columns() {
      return columns();
    },
    draw: (next, rows = []) => {
      footer = next;
      const laidOut = laid();
      if (rows.length === 0 && isSame(laidOut, drawn)) return;
      paint(`${erase()}${rows.map((row) => `${row}\r\n`).join('')}`, laidOut);
    },
    resized: () => {
      // Terminals that reflow have broken our rows at the new width; the cursor stands that much deeper.
      drawn = { ...drawn, cursorRow: reflowedCursorRow(drawn, columns()) };
      paint(erase());
    },
    clear: () => paint('\u001b[H\u001b[2J'),
    close: () => {
      output.write(erase());
      drawn = { rows: [''], cursorRow: 0, cursorColumn: 0 };
    },
  };
}

function isSame(left: Laid, right: Laid): boolean {
  return (
    left.cursorRow === right.cursorRow &&
    left.cursorColumn === right.cursorColumn &&
    left.rows.length === right.rows.length &&
    left.rows.every((row, index) => row === right.rows[index])
  );
}

/** Footer → rows that fit the width (so that the terminal never breaks one by itself) and the cursor's place among them. */
export function layOut(footer: Footer, columns: number, rowsMax: number, palette: Palette): Laid {
  // The last cell stays free: a cursor behind a full row is on this row in some terminals and on the next in others.
  const room = columns - 1;
  const rows: string[] = [];
  let row = '';
  let width = 0;
  let cursorRow = 0;
  let cursorColumn = 0;
  const input = footer.prompt + footer.text;
  const target = footer.prompt.length + footer.cursor;
  let index = 0;
  for (const grapheme of [...graphemesOf(input), '']) {
    const cells = grapheme === '' ? 0 : graphemeWidth(grapheme);
    if (width + cells > room) {
      rows.push(row);
      row = '';
      width = 0;
    }
    if (index === target) {
      cursorRow = rows.length;
      cursorColumn = width;
    }
    index += grapheme.length;
    if (grapheme === '\n') {
      rows.push(row);
      row = '  ';
      width = 2;
    } else {
      row += grapheme;
      width += cells;
    }
  }
  rows.push(row);
  // A cursor in a full row's free last cell would be column `room`: that cell exists.
  const window = windowAround(rows, cursorRow, Math.max(TEXT_ROWS_MIN, Math.floor(rowsMax * TEXT_SHARE)), palette);
  const notes = footer.notes
    .slice(0, Math.max(0, rowsMax - window.rows.length))
    .map((note) => palette.faint(truncate(note, room)));
  return {
    rows: [...notes, ...window.rows],
    cursorRow: notes.length + cursorRow - window.start,
    cursorColumn,
  };
}

/** A text taller than its share of the screen is shown around the cursor, between marks of how much is hidden. */
function windowAround(
  rows: readonly string[],
  cursorRow: number,
  max: number,
  palette: Palette,
): { rows: string[]; start: number } {
  const start = Math.max(0, Math.min(cursorRow - Math.floor(max / 2), rows.length - max));
  const shown = rows.slice(start, start + max);
  const below = rows.length - start - shown.length;
  const mark = (count: number) => palette.faint(`  … ${count}`);
  // the row of the cursor is never a mark
  if (start > 0 && cursorRow > start) shown[0] = mark(start + 1);
  if (below > 0 && cursorRow < start + shown.length - 1) shown[shown.length - 1] = mark(below + 1);
  return { rows: shown, start };
}

function reflowedCursorRow(drawn: Laid, columns: number): number {
  const rowsOf = (row: string) => Math.max(1, Math.ceil(textWidth(withoutColour(row)) / columns));
  const above = drawn.rows.slice(0, drawn.cursorRow).reduce((sum, row) => sum + rowsOf(row), 0);
  return above + Math.floor(drawn.cursorColumn / columns);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colour sequences begin with one
const COLOUR = /\u001b\[[0-9;]*m/g;

function withoutColour(row: string): string {
  return row.replace(COLOUR, '');
}

function up(rows: number): string {
  return rows > 0 ? `\u001b[${rows}A` : '';
}

function right(columns: number): string {
  return columns > 0 ? `\u001b[${columns}C` : '';
}
