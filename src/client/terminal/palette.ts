import { Chalk, type ColorSupportLevel } from 'chalk';

/** How things look. Every function takes text that is harmless already and adds colour, or nothing where there is none. */
export interface Palette {
  /** The same account has the same colour everywhere, for everybody. */
  person(account: string, text: string): string;
  group(text: string): string;
  faint(text: string): string;
  warning(text: string): string;
}

const PERSON_COLOURS = [
  'cyan',
  'green',
  'yellow',
  'magenta',
  'blue',
  'cyanBright',
  'greenBright',
  'yellowBright',
  'magentaBright',
  'blueBright',
] as const;

/** `level` 0: no escape sequence at all. */
export function createPalette(level: ColorSupportLevel): Palette {
  const chalk = new Chalk({ level });
  return {
    person: (account, text) => chalk[PERSON_COLOURS[spread(account)] ?? 'cyan'](text),
    group: (text) => chalk.dim(text),
    faint: (text) => chalk.dim(text),
    warning: (text) => chalk.yellow(text),
  };
}

/** Whether to colour: https://no-color.org first, then FORCE_COLOR, then whether somebody is looking. */
export function colourLevel(
  env: Readonly<Record<string, string | undefined>>,
  isTty: boolean,
  supported: ColorSupportLevel,
): ColorSupportLevel {
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return 0;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined && forced !== '0' && forced !== 'false') return supported === 0 ? 1 : supported;
  if (forced !== undefined || !isTty || env['TERM'] === 'dumb') return 0;
  return supported;
}

function spread(account: string): number {
  let hash = 2166136261;
  for (let i = 0; i < account.length; i += 1) hash = Math.imul(hash ^ account.charCodeAt(i), 16777619);
  return (hash >>> 0) % PERSON_COLOURS.length;
}
