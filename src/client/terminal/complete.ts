import { foldName } from '../../wire/names.ts';
import { COMMAND_NAMES, COMMANDS, type CommandSpec } from './command-table.ts';
import { CONFIRMATION, POLICIES, PRIVATE_FLAG } from './parse-input.ts';

export interface Completable {
  /** Names of people known from any group. */
  readonly people: readonly string[];
  /** Members of the current group. */
  readonly members: readonly string[];
  readonly groups: readonly string[];
  /** What names each other device of the own account. */
  readonly devices: readonly string[];
}

export interface Completion {
  /** Where the completed word begins. */
  readonly from: number;
  /** What stands there now; as far as it is certain, with a space when it is the only one. */
  readonly text: string;
  /** All that would fit, when there are several. */
  readonly candidates: readonly string[];
}

const NOTHING: readonly string[] = [];

/** Completes the word before the cursor: commands, then what the command takes; in a message, members' names. */
export function complete(beforeCursor: string, known: Completable): Completion | undefined {
  const word = /\S*$/.exec(beforeCursor)?.[0] ?? '';
  const from = beforeCursor.length - word.length;
  const words = wordsFor(beforeCursor, from, word, known);
  const fitting = [...new Set(words)].filter((each) => foldName(each).startsWith(foldName(word))).sort();
  const [only] = fitting;
  if (only === undefined) return undefined;
  if (fitting.length === 1) return { from, text: `${only} `, candidates: NOTHING };
  const common = fitting.reduce(commonStart);
  return { from, text: common.length > word.length ? common : word, candidates: fitting };
}

function wordsFor(line: string, from: number, word: string, known: Completable): readonly string[] {
  if (!line.startsWith('/') || line.startsWith('//')) return word === '' ? NOTHING : known.members;
  if (from === 0) return COMMAND_NAMES.map((name) => `/${name}`);
  const command = (line.slice(1).split(/\s/, 1)[0] ?? '').toLowerCase();
  const spec: CommandSpec | undefined = Object.hasOwn(COMMANDS, command)
    ? COMMANDS[command as keyof typeof COMMANDS]
    : undefined;
  const taken = line.slice(0, from).split(/\s+/);
  switch (spec?.args) {
    case 'people':
      return known.people.filter((name) => !known.members.includes(name) && !taken.includes(name));
    case 'members':
      return known.members.filter((name) => !taken.includes(name));
    case 'group':
      return taken.length > 2 ? NOTHING : known.groups;
    case 'policy':
      if (taken.length === 2) return Object.keys(POLICIES);
      return taken.length === 3 ? (POLICIES[taken[1] ?? ''] ?? NOTHING) : NOTHING;
    case 'verify':
      if (taken.length === 2) return known.people;
      return taken.length === 3 ? [CONFIRMATION] : NOTHING;
    case 'body':
      return word === '' ? NOTHING : known.members;
    case 'switch':
      return taken.length === 2 ? ['on', 'off'] : NOTHING;
    case 'device':
      return taken.length === 2 ? known.devices : NOTHING;
    case 'command':
      return taken.length === 2 ? COMMAND_NAMES : NOTHING;
    case 'creation':
      return taken.length === 3 ? [PRIVATE_FLAG] : NOTHING;
    default:
      return NOTHING;
  }
}

function commonStart(left: string, right: string): string {
  let length = 0;
  while (length < left.length && foldName(left[length] ?? '') === foldName(right[length] ?? '')) length += 1;
  return left.slice(0, length);
}
