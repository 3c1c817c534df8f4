/** A line as `mlschat --json` prints it; only what is compared. */
export interface PrintedLine {
  readonly cursor: string;
  /** Warnings may have none. */
  readonly position?: number;
  readonly kind: string;
  readonly text?: string;
  readonly sender?: { readonly name: string };
  readonly by?: { readonly name: string };
  readonly added?: readonly { readonly name: string }[];
  readonly removed?: readonly { readonly name: string }[];
}

export interface History {
  readonly name: string;
  readonly lines: readonly PrintedLine[];
}

/** @throws when the row is no line of `mlschat --json` */
export function parsePrintedLine(row: string): PrintedLine {
  const value: unknown = JSON.parse(row);
  const isLine = typeof value === 'object' && value !== null && 'cursor' in value && 'kind' in value;
  if (!isLine) throw new Error(`not a line of mlschat --json: ${row}`);
  return value as PrintedLine;
}

/**
 * What is wrong with the histories of several members of one group, as sentences; none when all is well: each message
 * that was sent is there once, positions only grow, nobody misses what another one has after both had joined, and where two have
 * the same position they have the same line.
 *
 * @param sent every text that was sent, in the order of the log
 */
export function differences(histories: readonly History[], sent: readonly string[]): string[] {
  return [
    ...histories.flatMap((history) => faultsOf(history, sent)),
    ...histories.flatMap((left, index) => histories.slice(index + 1).flatMap((right) => faultsBetween(left, right))),
  ];
}

function faultsOf({ name, lines }: History, sent: readonly string[]): string[] {
  const faults: string[] = [];
  const positions = lines.flatMap(({ position }) => (position === undefined ? [] : [position]));
  positions.forEach((position, index) => {
    const before = positions[index - 1] ?? 0;
    if (position <= before) faults.push(`${name} has position ${position} after ${before}`);
  });
  if (new Set(lines.map((line) => line.cursor)).size !== lines.length) faults.push(`${name} has a cursor twice`);
  const texts = messages(lines).map((line) => line.text ?? '');
  const expected = sent.slice(sent.length - texts.length);
  if (texts.join('\n') !== expected.join('\n')) {
    const at = texts.findIndex((text, index) => text !== expected[index]);
    faults.push(`${name} reads "${texts[at]}" where "${expected[at] ?? ''}" was said`);
  }
  if (lines.some((line) => line.kind === 'warning')) faults.push(`${name} was warned of something`);
  return faults;
}

function faultsBetween(left: History, right: History): string[] {
  const start = Math.max(firstCommon(left), firstCommon(right));
  const of = (history: History) =>
    history.lines.flatMap((line) =>
      line.position !== undefined && line.position > start ? [[line.position, essence(line)] as const] : [],
    );
  const rights = new Map(of(right));
  const lefts = new Map(of(left));
  const positions = [...new Set([...lefts.keys(), ...rights.keys()])].sort((a, b) => a - b);
  return positions
    .filter((position) => lefts.get(position) !== rights.get(position))
    .map((position) => {
      const told = (history: History, lines: Map<number, string>) =>
        `${history.name} has ${lines.get(position) ?? 'nothing'}`;
      return `at position ${position} ${told(left, lefts)}, ${told(right, rights)}`;
    });
}

/** The position a member joined at: what it sees of that entry itself is its own (joined, created). */
function firstCommon({ lines }: History): number {
  return lines[0]?.position ?? 0;
}

function messages(lines: readonly PrintedLine[]): PrintedLine[] {
  return lines.filter((line) => line.kind === 'message');
}

function essence(line: PrintedLine): string {
  const names = (people: readonly { readonly name: string }[] = []) => people.map((person) => person.name).join(',');
  const { kind, sender, by, text, added, removed } = line;
  return [kind, sender?.name ?? by?.name, text, names(added), names(removed)].join('|');
}
