import { checkName } from '../../wire/names.ts';
import { COMMANDS, type CommandName } from './command-table.ts';

export type Input =
  /** An empty line: nothing is sent. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'message'; readonly text: string }
  | { readonly kind: 'command'; readonly name: CommandName; readonly args: readonly string[] }
  /** Something that cannot be done as typed: a sentence that says how. */
  | { readonly kind: 'mistake'; readonly reason: string };

/**
 * What a line means. Text is a message; `/word` is a command; `//text` is the message `/text`, so that nothing that can be
 * typed cannot be said. What has several rows was pasted: a message, also when it begins with the slash of a path.
 */
export function parseInput(line: string): Input {
  if (line.trim() === '') return { kind: 'nothing' };
  if (line.startsWith('//')) return { kind: 'message', text: line.slice(1) };
  if (!line.startsWith('/') || line.trimEnd().includes('\n')) return { kind: 'message', text: line };
  const [word = '', ...args] = line.slice(1).trim().split(/\s+/);
  const name = word.toLowerCase();
  if (!isCommandName(name)) {
    return {
      kind: 'mistake',
      reason: `unknown command /${word}; /help shows the commands, //${word} sends it as text`,
    };
  }
  return checkArguments(name, args);
}

function checkArguments(name: CommandName, args: readonly string[]): Input {
  const { usage, args: wanted } = COMMANDS[name];
  const mistake = (reason: string): Input => ({ kind: 'mistake', reason: `${reason}; use it like this: ${usage}` });
  if (wanted === 'none') return args.length === 0 ? { kind: 'command', name, args } : mistake(`/${name} takes no name`);
  if (args.length === 0) return mistake(`/${name} needs a name`);
  if (wanted === 'group' && args.length > 1) return mistake(`/${name} takes one name`);
  const names: string[] = [];
  for (const typed of args) {
    const check = checkName(wanted === 'group' ? typed : typed.replace(/^@/, ''));
    if (!check.ok) return mistake(`"${typed}" cannot be a name: ${check.reason}`);
    if (!names.includes(check.name)) names.push(check.name);
  }
  return { kind: 'command', name, args: names };
}

function isCommandName(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}
