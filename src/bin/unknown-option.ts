/** As they stand in a help text: `  -n, --lines` and `  --json`. */
const HELP_OPTION = /^ +(?:-(\w), )?--([\w-]+)/gm;
const GIVEN_OPTION = /^--?([a-z][\w-]*)/i;
const OPTIONS_END = '--';
const NEGATED = /^no-/;
/** So many slips make another word of a short or long one. */
const SLIPS_MAX = 2;
const LETTERS_A_SLIP = 3;

/**
 * The first option of a command line that a help text does not list, as a sentence, with the one that may have been meant;
 * `undefined` when it lists all of them. For a command line that was refused: the value of an option may look like an option.
 */
export function unknownOption(argv: readonly string[], help: string): string | undefined {
  const known = [...help.matchAll(HELP_OPTION)].flatMap(([, short, long]) => [short ?? [], long ?? []].flat());
  const end = argv.indexOf(OPTIONS_END);
  for (const word of end === -1 ? argv : argv.slice(0, end)) {
    const given = GIVEN_OPTION.exec(word)?.[1];
    if (given === undefined) continue;
    // the parser takes --keyFile for --key-file
    const name = given.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    if (known.includes(name) || known.includes(name.replace(NEGATED, ''))) continue;
    const near = nearest(name, [...known, ...known.map((each) => `no-${each}`)]);
    const written = word.slice(0, word.indexOf(given) + given.length);
    return `there is no option ${written}${near === undefined ? '' : `; did you mean --${near}?`}`;
  }
  return undefined;
}

/** The word that a slip or two made this one of; `undefined` when none is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let fewest = Math.min(SLIPS_MAX, Math.floor(word.length / LETTERS_A_SLIP)) + 1;
  for (const each of known) {
    const slips = slipsBetween(word, each);
    if (slips >= fewest) continue;
    fewest = slips;
    best = each;
  }
  return best;
}

/** Letters put in, left out, mistaken, or swapped with their neighbour (optimal string alignment). */
function slipsBetween(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_none, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const isSame = a[i - 1] === b[j - 1];
      let slips = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (isSame ? 0 : 1));
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (isSwapped) slips = Math.min(slips, before[j - 2]! + 1);
      row.push(slips);
    }
    [before, last] = [last, row];
  }
  return last[b.length]!;
}
