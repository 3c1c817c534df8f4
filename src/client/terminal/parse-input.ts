import { checkName } from '../../wire/names.ts';
import { COMMANDS, type CommandName } from './command-table.ts';

/** What can be said about a group, and the values of it. */
export const POLICIES: Readonly<Record<string, readonly string[]>> = {
  invite: ['admins', 'members'],
  join: ['invite', 'open'],
};

const POLICY_TEXT = Object.entries(POLICIES)
  .map(([policy, values]) => `${policy} ${values.join('|')}`)
  .join(' or ');

/** Says that a safety number was compared. */
export const CONFIRMATION = 'yes';

/** What commands need that take something else than names. */
const NEEDED: Readonly<Partial<Record<CommandName, string>>> = {
  send: 'a file',
  save: 'the number that stands beside a file',
  export: 'a file',
  pack: 'a file',
  unpack: 'a file and its code',
  revoke: 'a device',
};

/** Makes a group opaque. */
export const PRIVATE_FLAG = '--private';

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
  if (COMMANDS[name].args === 'body')
    return checkBody(
      name,
      line
        .trim()
        .slice(word.length + 1)
        .trim(),
    );
  return checkArguments(name, args);
}

/** A text as it was typed, its spaces included. */
function checkBody(name: CommandName, text: string): Input {
  if (text !== '') return { kind: 'command', name, args: [text] };
  return { kind: 'mistake', reason: `/${name} needs a text; use it like this: ${COMMANDS[name].usage}` };
}

function checkArguments(name: CommandName, args: readonly string[]): Input {
  const { usage, args: wanted } = COMMANDS[name];
  const mistake = (reason: string): Input => ({ kind: 'mistake', reason: `${reason}; use it like this: ${usage}` });
  if (wanted === 'none') return args.length === 0 ? { kind: 'command', name, args } : mistake(`/${name} stands alone`);
  if (wanted === 'policy') {
    const [policy = '', value = ''] = args;
    const isPolicy = args.length === 2 && (POLICIES[policy]?.includes(value) ?? false);
    return isPolicy ? { kind: 'command', name, args } : mistake(`/${name} takes ${POLICY_TEXT}`);
  }
  if (wanted === 'creation') return checkCreation(name, args, mistake);
  if (wanted === 'switch') {
    const isSwitch = args.length === 1 && (args[0] === 'on' || args[0] === 'off');
    return isSwitch ? { kind: 'command', name, args } : mistake(`/${name} takes on or off`);
  }
  if (wanted === 'any' || (wanted === 'command' && args.length <= 1)) return { kind: 'command', name, args };
  if (wanted === 'verify') {
    const [who = '', confirmed] = args;
    const check = checkName(who.replace(/^@/, ''));
    if (args.length === 0 || args.length > 2 || (confirmed !== undefined && confirmed !== CONFIRMATION))
      return mistake(`/${name} takes one name, and "${CONFIRMATION}" when you have compared the number`);
    if (!check.ok) return mistake(`"${who}" cannot be a name: ${check.reason}`);
    return { kind: 'command', name, args: confirmed === undefined ? [check.name] : [check.name, confirmed] };
  }
  if (wanted === 'text' || wanted === 'device') {
    const needed = NEEDED[name];
    if (args.length === 0 && needed !== undefined) return mistake(`/${name} needs ${needed}`);
    return { kind: 'command', name, args };
  }
  if (wanted === 'command') return mistake(`/${name} takes one command`);
  if (args.length === 0) return mistake(`/${name} needs a name`);
  if ((wanted === 'group' || wanted === 'name') && args.length > 1) return mistake(`/${name} takes one name`);
  const names: string[] = [];
  for (const typed of args) {
    const check = checkName(wanted === 'group' ? typed : typed.replace(/^@/, ''));
    if (!check.ok) return mistake(`"${typed}" cannot be a name: ${check.reason}`);
    if (!names.includes(check.name)) names.push(check.name);
  }
  return { kind: 'command', name, args: names };
}

/** A name, and perhaps what kind of group it shall be. */
function checkCreation(name: CommandName, args: readonly string[], mistake: (reason: string) => Input): Input {
  const flags = args.filter((arg) => arg.startsWith('--'));
  const names = args.filter((arg) => !arg.startsWith('--'));
  const unknown = flags.find((flag) => flag !== PRIVATE_FLAG);
  if (unknown !== undefined) return mistake(`/${name} does not know ${unknown}`);
  if (names.length !== 1) return mistake(`/${name} takes one name`);
  const check = checkName(names[0]!);
  if (!check.ok) return mistake(`"${names[0]}" cannot be a name: ${check.reason}`);
  return { kind: 'command', name, args: flags.length === 0 ? [check.name] : [check.name, PRIVATE_FLAG] };
}

function isCommandName(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}
