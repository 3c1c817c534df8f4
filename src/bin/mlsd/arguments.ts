import yargs from 'yargs';
import { OPTION_NAMES, OPTIONS, type OptionSpec, variableOf } from './options.ts';

export type ParsedArguments =
  | { readonly kind: 'serve'; readonly flags: Readonly<Record<string, unknown>>; readonly configFile?: string }
  /** Help or version: to standard output, exit 0. */
  | { readonly kind: 'text'; readonly text: string }
  /** To standard error, exit 2. */
  | { readonly kind: 'usage'; readonly reason: string };

const HELP_MAX_COLUMNS = 110;

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
      for (const name of OPTION_NAMES) serve.option(name, optionOf(name, OPTIONS[name]));
      serve.option('config-file', {
        string: true,
        requiresArg: true,
        describe: `JSON object with these settings by their names [${variableOf('config-file')}]`,
        group: 'Settings:',
      });
      return serve.epilogue(
        'Every setting can also be given in the environment (the name in brackets) or in the config file. A flag beats the environment, the environment beats the file.',
      );
    })
    .demandCommand(1, 1, 'say what to do: mlsd serve', 'one command at a time')
    .strict()
    .version(about.version)
    .help()
    .wrap(Math.min(about.columns ?? HELP_MAX_COLUMNS, HELP_MAX_COLUMNS))
    .parserConfiguration({ 'camel-case-expansion': false, 'duplicate-arguments-array': true, 'greedy-arrays': false })
    .exitProcess(false)
    .fail((message, error) => {
      failure = message ?? error?.message ?? 'the command line cannot be read';
    });
  const parsed = await parser.parse([...argv], {}, (_error, _argv, output) => {
    text = output;
  });
  if (failure !== undefined) return { kind: 'usage', reason: failure };
  if (text !== '') return { kind: 'text', text };
  const { _: _command, $0: _script, 'config-file': configFile, ...flags } = parsed as Record<string, unknown>;
  const repeated = Object.entries({ ...flags, 'config-file': configFile }).find(
    ([name, value]) => Array.isArray(value) && (OPTIONS as Record<string, OptionSpec>)[name]?.type !== 'list',
  );
  if (repeated !== undefined) return { kind: 'usage', reason: `--${repeated[0]} is given twice` };
  return { kind: 'serve', flags, ...(typeof configFile === 'string' ? { configFile } : {}) };
}

/** Numbers stay texts here: what is wrong with them is said by the configuration, in the same words for all sources. */
function optionOf(name: (typeof OPTION_NAMES)[number], spec: OptionSpec) {
  const fallback = spec.fallback === undefined ? '' : `, default ${spec.fallback}`;
  const describe = `${spec.about} [${variableOf(name)}${fallback}]`;
  const group = `${spec.group}:`;
  if (spec.type === 'boolean') return { boolean: true as const, describe, group };
  return { string: true as const, array: spec.type === 'list', requiresArg: true, describe, group };
}
