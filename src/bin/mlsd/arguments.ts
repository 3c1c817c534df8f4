import yargs, { type Argv } from 'yargs';
import { nearest, unknownOption } from '../unknown-option.ts';
import { COMMANDS, TOOL_SETTINGS, type ToolCommand } from './commands.ts';
import { OPTION_NAMES, OPTIONS, type OptionName, type OptionSpec, variableOf } from './options.ts';
import { wordsOfFlags } from './words-of-flags.ts';

/** The settings on the command line, and the config file it names. */
interface Given {
  readonly flags: Readonly<Record<string, unknown>>;
  readonly configFile?: string;
}

export type ParsedArguments =
  | ({ readonly kind: 'serve' } & Given)
  | ({ readonly kind: 'tool'; readonly command: ToolCommand } & Given)
  /** Help or version: to standard output, exit 0. */
  | { readonly kind: 'text'; readonly text: string }
  /** To standard error, exit 2. */
  | { readonly kind: 'usage'; readonly reason: string };

const HELP_MAX_COLUMNS = 110;
const EPILOGUE =
  'Every setting can also be given in the environment (the name in brackets) or in the config file. A flag beats the environment, the environment beats the file.';
const LOG_COMMAND = 'log ';

/** What the command line says; nothing is judged but its form. Neither prints nor exits. */
export async function parseArguments(
  argv: readonly string[],
  about: { readonly version: string; readonly columns: number | undefined },
): Promise<ParsedArguments> {
  let text = '';
  let failure: string | undefined;
  const parser = yargs()
    .scriptName('mlsd')
    .usage('$0 <command>\n\nThe delivery service: stores and orders what members of encrypted groups send.')
    .command('serve', 'run the server', (serve) => {
      serve.usage('$0 serve [options]\n\nRuns the server until it gets SIGTERM or SIGINT.');
      return withSettings(serve, OPTION_NAMES);
    });
  for (const spec of COMMANDS) if (!spec.usage.startsWith(LOG_COMMAND)) addTool(parser, spec);
  parser
    .command('log', 'look at the events of the log: tail, show', (log) => {
      for (const spec of COMMANDS) {
        if (spec.usage.startsWith(LOG_COMMAND)) addTool(log, spec);
      }
      return log.demandCommand(1, 1, 'say which: mlsd log tail, or mlsd log show SEQUENCE');
    })
    .demandCommand(1, 'say what to do: mlsd serve, or another command of mlsd --help')
    .strict()
    .version(about.version)
    .help()
    .alias('help', 'h')
    .wrap(Math.min(about.columns ?? HELP_MAX_COLUMNS, HELP_MAX_COLUMNS))
    .parserConfiguration({ 'camel-case-expansion': false, 'duplicate-arguments-array': true, 'greedy-arrays': false })
    .exitProcess(false)
    .fail((message, error) => {
      failure = message ?? error?.message ?? 'the command line cannot be read';
    });
  const parse = async (words: readonly string[]) =>
    await parser.parse([...words], {}, (_error, _argv, output) => {
      text = output;
    });
  const parsed = await parse(argv);
  if (failure !== undefined) {
    const reason = failure;
    const words = parsed._.map(String);
    await parse([...words, '--help']);
    return { kind: 'usage', reason: unknownOption(argv, text) ?? unknownCommand(words) ?? inOurWords(reason) };
  }
  if (text !== '') return { kind: 'text', text };
  const flags = wordsOfFlags(argv, parsed);
  if ('problem' in flags) return { kind: 'usage', reason: flags.problem };
  const given = { ...(parsed as Readonly<Record<string, unknown>>), ...flags.texts };
  const end = argv.indexOf('--');
  return understand(given, argv.includes('-'), end === -1 ? [] : argv.slice(end + 1));
}

/** The command that is none, with the one that may have been meant; `undefined` when there is one of this name, or none was named. */
function unknownCommand([name, second]: readonly string[]): string | undefined {
  const commands = COMMANDS.map(({ usage }) => usage.split(/ [<[]/, 1)[0]!);
  const known = ['serve', ...new Set(commands.map((command) => command.split(' ', 1)[0]!))];
  if (name === undefined) return undefined;
  const isLog = name === LOG_COMMAND.trim() && second !== undefined;
  const given = isLog ? `${name} ${second}` : name;
  const candidates = isLog ? commands : known;
  if (candidates.includes(given)) return undefined;
  const near = nearest(given, candidates);
  return `there is no command ${given}${near === undefined ? '' : `; did you mean mlsd ${near}?`}`;
}

/** What the parser says of a command line, as this program says it. */
function inOurWords(reason: string): string {
  return reason
    .replace(/^Not enough arguments following: (?=\w{2})/, 'there has to be a value after --')
    .replace(/^Not enough arguments following: /, 'there has to be a value after -')
    .replace(/^Unknown argument: /, 'one word too many: ')
    .replace(/^Unknown arguments: /, 'too many words: ')
    .replace(/^Missing required argument: (\w+)$/, (_all, name: string) => `${name.toUpperCase()} is missing`);
}

/** `hasDash`: of a `-` that stands for a file yargs gives the empty text. `afterDashes`: what stands after `--`, which no command takes. */
function understand(
  parsed: Readonly<Record<string, unknown>>,
  hasDash: boolean,
  afterDashes: readonly string[],
): ParsedArguments {
  const { _: words, $0: _script, 'config-file': configFile, ...flags } = parsed;
  if (configFile === '') return { kind: 'usage', reason: '--config-file: has to be a path, not ""' };
  const repeated = Object.entries({ ...flags, 'config-file': configFile }).find(
    ([name, value]) => Array.isArray(value) && (OPTIONS as Record<string, OptionSpec>)[name]?.type !== 'list',
  );
  if (repeated !== undefined) return { kind: 'usage', reason: `--${repeated[0]} is given twice` };
  const settings = Object.fromEntries(Object.entries(flags).filter(([name]) => Object.hasOwn(OPTIONS, name)));
  const given: Given = { flags: settings, ...(typeof configFile === 'string' ? { configFile } : {}) };
  const name = (words as readonly unknown[]).join(' ');
  const spec = COMMANDS.find(
    ({ usage }) => usage === name || usage.startsWith(`${name} [`) || usage.startsWith(`${name} <`),
  );
  if (afterDashes.length > 0) {
    return { kind: 'usage', reason: `too many words: ${afterDashes.join(', ')}` };
  }
  if (spec === undefined) return { kind: 'serve', ...given };
  const read = spec.read({ ...flags, ...(flags['file'] === '' && hasDash ? { file: '-' } : {}) });
  return 'problem' in read
    ? { kind: 'usage', reason: read.problem }
    : { kind: 'tool', command: read.command, ...given };
}

function addTool(parser: Argv, { usage, about, more, options }: (typeof COMMANDS)[number]): void {
  const inner = usage.startsWith(LOG_COMMAND) ? usage.slice(LOG_COMMAND.length) : usage;
  parser.command(inner, about, (tool) => {
    tool.usage(`$0 ${usage} [options]\n\n${more}`);
    return withSettings(options(tool), TOOL_SETTINGS);
  });
}

function withSettings(command: Argv, names: readonly OptionName[]): Argv {
  for (const name of names) command.option(name, optionOf(name, OPTIONS[name]));
  command.option('config-file', {
    string: true,
    requiresArg: true,
    describe: `FILE: JSON object with these settings by their names [${variableOf('config-file')}]`,
    group: 'Settings:',
  });
  return command.epilogue(EPILOGUE);
}

/** Numbers stay texts here: what is wrong with them is said by the configuration, in the same words for all sources. */
function optionOf(name: OptionName, spec: OptionSpec) {
  const fallback = spec.fallback === undefined ? '' : `, default ${spec.fallback}`;
  const value = spec.placeholder === undefined ? '' : `${spec.placeholder}: `;
  const describe = `${value}${spec.about} [${variableOf(name)}${fallback}]`;
  const group = `${spec.group}:`;
  if (spec.type === 'boolean') return { boolean: true as const, describe, group };
  return { string: true as const, array: spec.type === 'list', requiresArg: true, describe, group };
}
