import { Chalk } from 'chalk';
import { neutralise } from '../client/terminal/neutralise.ts';
import { colourLevel } from '../client/terminal/palette.ts';
import type { PrintedLine } from './histories.ts';

/** Tells what happens, in plain words, to whoever watches. */
export interface Narrator {
  scene(text: string): void;
  tell(text: string): void;
  /** A line of the conversation as one person reads it. */
  reads(name: string, line: PrintedLine): void;
  good(text: string): void;
  bad(text: string): void;
}

const COLOURS = ['cyan', 'green', 'magenta', 'yellow'] as const;
const NAME_COLUMNS = 7;

export function createNarrator(
  output: { write(text: string): unknown; readonly isTTY?: boolean | undefined },
  env: NodeJS.ProcessEnv,
): Narrator {
  const chalk = new Chalk({ level: colourLevel(env, output.isTTY === true, 1) });
  const names: string[] = [];
  const row = (text: string) => void output.write(`${text}\n`);
  const coloured = (name: string) => {
    if (!names.includes(name)) names.push(name);
    return chalk[COLOURS[names.indexOf(name) % COLOURS.length] ?? 'cyan'](name.padEnd(NAME_COLUMNS));
  };
  return {
    scene: (text) => row(`\n${chalk.bold(text)}`),
    tell: (text) => row(`  ${text}`),
    reads: (name, line) => row(`  ${coloured(name)} ${chalk.dim('│')} ${chalk.dim('#tea')} ${described(line)}`),
    good: (text) => row(`  ${chalk.green('✓')} ${text}`),
    bad: (text) => row(`  ${chalk.red('✗')} ${text}`),
  };
}

function described(line: PrintedLine): string {
  const who = neutralise(line.sender?.name ?? line.by?.name ?? '');
  const list = (people: PrintedLine['added'] = []) => people.map((person) => neutralise(person.name)).join(', ');
  switch (line.kind) {
    case 'message':
      return `<${who}> ${neutralise(line.text ?? '')}`;
    case 'created':
      return `[${who} created the group]`;
    case 'joined':
      return `[joined, invited by ${who}]`;
    case 'membership':
      if (line.added?.length) return `[${who} added ${list(line.added)}]`;
      return line.removed?.length ? `[${who} removed ${list(line.removed)}]` : `[${who} renewed the keys]`;
    default:
      return `[${neutralise(line.kind)}] ${neutralise(line.text ?? '')}`;
  }
}
