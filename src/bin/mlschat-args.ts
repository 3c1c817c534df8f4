import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import yargs from 'yargs';
import { blockFromCursor } from '../wire/cursor.ts';
import { type AccountId, type Cursor, isShortId, START_CURSOR } from '../wire/ids.ts';
import { checkName } from '../wire/names.ts';

const DEFAULT_SERVER = 'http://localhost:4000';
const HELP_COLUMNS_MAX = 110;

export interface DeviceSettings {
  /** Origin of the server, without a slash at the end. */
  readonly server: string;
  /** Absolute path of the new device's own folder. */
  readonly config: string;
}

export interface ChatSettings {
  /** Origin of the server, without a slash at the end. */
  readonly server: string;
  /** Absolute path of the folder that holds keys, history and outbox. */
  readonly config: string;
  readonly group: string;
  readonly userName: string;
  readonly since: Cursor | undefined;
  /** `undefined`: as long as there is input. */
  readonly follow: boolean | undefined;
  readonly json: boolean;
}

export type ParsedArguments =
  | { readonly kind: 'run'; readonly settings: ChatSettings }
  /** A device that is to be part of an account which is there already; `account` of `link` alone. */
  | ({ readonly kind: 'link'; readonly account: AccountId } & DeviceSettings)
  | ({ readonly kind: 'recover' } & DeviceSettings)
  /** Asked for and printed to standard output: help or version. */
  | { readonly kind: 'text'; readonly text: string }
  /** A sentence that names the argument and what is wrong with it. */
  | { readonly kind: 'usage'; readonly reason: string };

export interface ArgumentsContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly columns?: number | undefined;
}

const EPILOGUE = `Environment: MLSCHAT_SERVER and MLSCHAT_CONFIG stand for the flags; NO_COLOR turns colours off.
Exit codes: 0 done, 1 error, 2 wrong use, 3 the server cannot be reached and unsent messages are kept.`;

/** Command line and environment → settings. Flags win over the environment and may stand anywhere. */
export async function parseChatArguments(argv: readonly string[], context: ArgumentsContext): Promise<ParsedArguments> {
  const { env } = context;
  let failure: string | undefined;
  let text = '';
  const parser = yargs()
    .scriptName('mlschat')
    .locale('en')
    .parserConfiguration({ 'duplicate-arguments-array': false, 'parse-numbers': false })
    .command(
      '$0 <group> <username>',
      'Chat in an end-to-end encrypted group; the first one to name a group creates it.',
      (command) =>
        command
          .positional('group', { type: 'string', describe: 'name of the group, with or without #', demandOption: true })
          .positional('username', {
            type: 'string',
            describe: 'your name, registered at the first start',
            demandOption: true,
          }),
    )
    .command(
      'link <account>',
      'Make this a further device of your account; /link on another one says how.',
      (command) =>
        command.positional('account', { type: 'string', describe: 'id of your account', demandOption: true }),
    )
    .command('recover', 'Get your account back by its recovery code, read from standard input.')
    .option('server', {
      type: 'string',
      requiresArg: true,
      describe: 'address of the server',
      default: env['MLSCHAT_SERVER'] || DEFAULT_SERVER,
    })
    .option('config', {
      type: 'string',
      requiresArg: true,
      describe: 'folder of keys, history and outbox; one a client',
      default: env['MLSCHAT_CONFIG'] || join(homedir(), '.mlschat'),
    })
    .option('since-cursor', {
      type: 'string',
      requiresArg: true,
      describe: 'print what came after this cursor ("start": everything) from the local history first',
    })
    .option('follow', {
      type: 'boolean',
      describe: '--no-follow: stop when caught up and everything is sent; --follow: go on after the end of piped input',
    })
    .option('json', { type: 'boolean', default: false, describe: 'print one JSON object a line, for scripts' })
    .example('mlschat tea alice', 'chat')
    .example("printf 'hi\\n' | mlschat tea alice", 'send a line and end when it is sent')
    .example('mlschat --json --no-follow --since-cursor start tea alice', 'the whole history, for a script')
    .epilogue(EPILOGUE)
    .version(context.version)
    .help()
    .strict()
    .wrap(Math.min(HELP_COLUMNS_MAX, context.columns ?? HELP_COLUMNS_MAX))
    .exitProcess(false)
    .fail((message, error) => {
      failure ??= message || error?.message || 'the arguments are not understood';
    });
  const parsed = await parser.parseAsync([...argv], {}, (_error, _argv, output) => {
    text = output;
  });
  if (failure !== undefined) return usage(sentenceOf(failure));
  if (text !== '') return { kind: 'text', text };
  const [command] = parsed._;
  if (command === 'link' || command === 'recover') {
    return checkDevice(
      command,
      { server: String(parsed.server), config: String(parsed.config) },
      String(parsed['account']),
    );
  }
  return checkSettings({
    server: String(parsed.server),
    config: String(parsed.config),
    group: String(parsed['group']),
    userName: String(parsed['username']),
    since: parsed['since-cursor'],
    follow: parsed.follow,
    json: parsed.json,
  });
}

interface Typed {
  readonly server: string;
  readonly config: string;
  readonly group: string;
  readonly userName: string;
  readonly since: string | undefined;
  readonly follow: boolean | undefined;
  readonly json: boolean;
}

function checkSettings(typed: Typed): ParsedArguments {
  const group = checkName(typed.group);
  if (!group.ok) return usage(`the group "${typed.group}" cannot be: ${group.reason}`);
  const userName = checkName(typed.userName);
  if (!userName.ok || typed.userName.startsWith('#')) {
    return usage(`the user name "${typed.userName}" cannot be: ${userName.ok ? 'a name has no "#"' : userName.reason}`);
  }
  const server = serverOrigin(typed.server);
  if (server === undefined) return usage(`--server "${typed.server}" is not an address like ${DEFAULT_SERVER}`);
  if (typed.config === '') return usage('--config needs a folder');
  const { since } = typed;
  if (since !== undefined && since !== START_CURSOR && blockFromCursor(since) === undefined) {
    return usage(`--since-cursor "${since}" is not a cursor; take one that --json printed, or "start"`);
  }
  return {
    kind: 'run',
    settings: {
      server,
      config: resolve(typed.config),
      group: group.name,
      userName: userName.name,
      since: since as Cursor | undefined,
      follow: typed.follow,
      json: typed.json,
    },
  };
}

function checkDevice(
  kind: 'link' | 'recover',
  typed: { readonly server: string; readonly config: string },
  account: string,
): ParsedArguments {
  const server = serverOrigin(typed.server);
  if (server === undefined) return usage(`--server "${typed.server}" is not an address like ${DEFAULT_SERVER}`);
  if (typed.config === '') return usage('--config needs a folder');
  const settings = { server, config: resolve(typed.config) };
  if (kind === 'recover') return { kind, ...settings };
  if (!isShortId(account)) return usage(`"${account}" is no account id; /link on your other device shows yours`);
  return { kind, account: account as AccountId, ...settings };
}

/** Paths, queries and names with passwords are refused: a request's signature covers the origin as typed. */
function serverOrigin(typed: string): string | undefined {
  if (!URL.canParse(typed)) return undefined;
  const url = new URL(typed);
  const plain =
    url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  return plain && (url.protocol === 'http:' || url.protocol === 'https:') ? url.origin : undefined;
}

function usage(reason: string): ParsedArguments {
  return { kind: 'usage', reason };
}

function sentenceOf(failure: string): string {
  if (failure.startsWith('Not enough non-option arguments')) return 'a group and a user name are needed';
  return failure;
}
