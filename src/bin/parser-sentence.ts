const MISSING = /^Not enough non-option arguments/;
const NO_VALUE = /^Not enough arguments following: (\S+)$/;
const TOO_MANY = /^Unknown (?:argument|command)s?: (.+)$/;
const NONE_OF = /^Invalid values:\s+Argument: (\S+), Given: (.+), Choices: (.+)$/;
const OPTIONS_END = '--';

/**
 * What the parser of arguments has against a command line, as a sentence for people. One that is not known is given as it is.
 *
 * @param command the first word, where it is a command
 */
export function parserSentence(failure: string, command: string | number | undefined): string {
  if (MISSING.test(failure)) {
    if (command === 'link') return 'link needs the id of your account; /link on your other device shows it';
    return 'a group and a user name are needed';
  }
  const [, option] = NO_VALUE.exec(failure) ?? [];
  if (option !== undefined) return `${option.length === 1 ? '-' : '--'}${option} needs a value`;
  const [, words] = TOO_MANY.exec(failure) ?? [];
  if (words !== undefined) return `"${words.replaceAll(', ', ' ')}" is too much`;
  const [, name, given, choices] = NONE_OF.exec(failure) ?? [];
  if (name !== undefined) return `--${name} ${given} is none of ${choices?.replaceAll('"', '')}`;
  return failure;
}

/** Of options that are on or off, the first that was given another value, as a sentence; the parser would take it for off. */
export function misreadSwitch(argv: readonly string[], switches: readonly string[]): string | undefined {
  const end = argv.indexOf(OPTIONS_END);
  for (const word of end === -1 ? argv : argv.slice(0, end)) {
    const [, name = '', value] = /^--(?:no-)?([\w-]+)=(.*)$/s.exec(word) ?? [];
    if (!switches.includes(name) || value === 'true' || value === 'false') continue;
    return `--${name} is on or off: --${name} or --no-${name}, without "${value}"`;
  }
  return undefined;
}
