import { asYesOrNo, OPTIONS } from './options.ts';

/** Settings as the text after their `=`, for the configuration to judge; of other flags the value. */
export type FlagWords =
  | { readonly texts: Readonly<Record<string, string | boolean>> }
  /** One sentence that names the flag. */
  | { readonly problem: string };

const FLAG = /^--(no-)?([a-z][a-z-]*)(?:=(.*))?$/s;
/** Of these the parser's own reading stands, where it is the one that was meant. */
const READ_ALREADY = /^(--(help|version)|-([a-z]))=(.*)$/s;
const OPTIONS_END = '--';

/**
 * What stands after the `=` of flags that need none: the parser takes every such text but `true` for no, so that
 * `--dry-run=yes` would remove what it was only to count.
 *
 * @param parsed the command line as the parser took it, where a flag without a value is a boolean
 */
export function wordsOfFlags(argv: readonly string[], parsed: Readonly<Record<string, unknown>>): FlagWords {
  const texts: Record<string, string | boolean> = {};
  const seen = new Set<string>();
  const end = argv.indexOf(OPTIONS_END);
  for (const word of end === -1 ? argv : argv.slice(0, end)) {
    const [, flag, long, letter = '', said = ''] = READ_ALREADY.exec(word) ?? [];
    if (flag !== undefined) {
      const taken = parsed[long ?? letter];
      if (typeof taken === 'boolean' && asYesOrNo(said) !== taken) return { problem: misread(flag, said) };
      continue;
    }
    const [, , name = '', text] = FLAG.exec(word) ?? [];
    if (typeof parsed[name] !== 'boolean') continue;
    if (seen.has(name)) return { problem: `--${name} is given twice` };
    seen.add(name);
    if (text === undefined) continue;
    const value = Object.hasOwn(OPTIONS, name) ? text : asYesOrNo(text);
    if (value === undefined) return { problem: misread(`--${name}`, text) };
    texts[name] = value;
  }
  return { texts };
}

function misread(flag: string, text: string): string {
  return `${flag}: has to be true or false, not ${JSON.stringify(text)}`;
}
