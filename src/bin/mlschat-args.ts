import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import yargs, { type Argv } from 'yargs';
import { DAY_MS, ROTATION, type RotationPolicy } from '../client/engine/rotation.ts';
import { NOTIFY_WAYS, type Notify } from '../client/terminal/mention.ts';
import type { Task } from '../client/terminal/run-task.ts';
import { blockFromCursor } from '../wire/cursor.ts';
import { type AccountId, type Cursor, isShortId, START_CURSOR } from '../wire/ids.ts';
import { checkName } from '../wire/names.ts';
import { isTask, TAIL_LINES, taskOf } from './mlschat-tasks.ts';

const DEFAULT_SERVER = 'http://localhost:4000';
const HELP_COLUMNS_MAX = 110;
const COMPLETION = 'completion';
/** Of `send`, whose words are one list. */
const MANY_WORDS = { 'duplicate-arguments-array': true, 'parse-numbers': false };

/** How the store is opened, where it is encrypted. */
export interface SecretSettings {
  /** The store of a new folder is to be encrypted. */
  readonly encrypt?: true;
  /** Absolute path of what stands for the passphrase. */
  readonly keyFile?: string;
}

export interface DeviceSettings extends SecretSettings {
  /** Origin of the server, without a slash at the end. */
  readonly server: string;
  /** Absolute path of the new device's own folder. */
  readonly config: string;
}

export interface ChatSettings extends SecretSettings {
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
  readonly notify: Notify;
  /** When keys are renewed by themselves; what is not said is as always. */
  readonly rotation: RotationPolicy;
  /** One thing to be done instead of a chat. */
  readonly task?: Task;
}

export type ParsedArguments =
  | { readonly kind: 'run'; readonly settings: ChatSettings }
  /** A device that is to be part of an account which is there already; `account` of `link` alone. */
  | ({ readonly kind: 'link'; readonly account: AccountId } & DeviceSettings)
  | ({ readonly kind: 'recover' } & DeviceSettings)
  | ({ readonly kind: 'audit'; readonly config: string; readonly json: boolean } & SecretSettings)
  | ({ readonly kind: 'encrypt'; readonly config: string } & SecretSettings)
  /** `newKeyFile`: what is to stand for the passphrase from then on. */
  | ({ readonly kind: 'passwd'; readonly config: string; readonly newKeyFile?: string } & SecretSettings)
  /** Asked for and printed to standard output: help or version. */
  | { readonly kind: 'text'; readonly text: string }
  /** A sentence that names the argument and what is wrong with it. */
  | { readonly kind: 'usage'; readonly reason: string };

export interface ArgumentsContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
  readonly columns?: number | undefined;
}

const EPILOGUE = `Environment: MLSCHAT_SERVER, MLSCHAT_CONFIG and MLSCHAT_NOTIFY stand for the flags; NO_COLOR turns colours off.
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
      named,
    )
    .command(
      'link <account>',
      'Make this a further device of your account; /link on another one says how.',
      (command) =>
        command.positional('account', { type: 'string', describe: 'id of your account', demandOption: true }),
    )
    .command('send <group> <username> [text..]', 'Send one message, TEXT or else standard input, and end.', (command) =>
      named(command.parserConfiguration(MANY_WORDS)).positional('text', {
        type: 'string',
        array: true,
        describe: 'the message',
      }),
    )
    .command('tail <group> <username>', 'Print the newest lines; with --follow also what comes.', (command) =>
      named(command).option('lines', {
        alias: 'n',
        type: 'string',
        requiresArg: true,
        describe: `how many lines (${TAIL_LINES})`,
      }),
    )
    .command('export <group> <username> [file]', 'Write the whole history, as text or with --json.', (command) =>
      named(command).positional('file', { type: 'string', describe: 'a new file; else standard output' }),
    )
    .command('recover', 'Get your account back by its recovery code, read from standard input.')
    .command('audit', 'Compare what the server signed with what it showed; ends with 1 when they differ.')
    .command('encrypt', 'Encrypt the folder of a client that is there, under a passphrase or --key-file.')
    .command('passwd', 'Change the passphrase of an encrypted folder.', (command) =>
      command.option('new-key-file', {
        type: 'string',
        requiresArg: true,
        describe: 'file that is to stand for the passphrase',
      }),
    )
    .option('encrypt', {
      type: 'boolean',
      default: false,
      describe: 'first start: encrypt the folder, under a passphrase',
    })
    .option('key-file', {
      type: 'string',
      requiresArg: true,
      describe: 'file that stands for the passphrase; a new folder is encrypted under it',
    })
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
    .option('notify', {
      choices: NOTIFY_WAYS,
      requiresArg: true,
      describe: 'how the terminal calls when somebody writes your name',
      default: env['MLSCHAT_NOTIFY'] || 'off',
    })
    .option('rotate-after-messages', {
      type: 'string',
      requiresArg: true,
      describe: `renew your keys after so many messages (${ROTATION.afterMessages}); 0: never`,
    })
    .option('rotate-after-days', {
      type: 'string',
      requiresArg: true,
      describe: `renew your keys after so many days (${ROTATION.afterMs / DAY_MS}); 0: never`,
    })
    .completion(COMPLETION, 'Print a script that completes this command in your shell.')
    .example('mlschat tea alice', 'chat')
    .example('mlschat send tea alice the kettle is on', 'one message; a group of the name "send" is "#send"')
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
  if (argv.length === 1 && argv[0] === COMPLETION) return { kind: 'text', text: await completionScript() };
  const parsed = await parser.parseAsync([...argv], {}, (_error, _argv, output) => {
    text = output;
  });
  if (failure !== undefined) return usage(sentenceOf(failure));
  if (text !== '') return { kind: 'text', text };
  const [command] = parsed._;
  if (command === 'audit') {
    if (String(parsed.config) === '') return usage('--config needs a folder');
    return { kind: 'audit', config: resolve(String(parsed.config)), json: parsed.json, ...secretSettings(parsed) };
  }
  if (command === 'encrypt' || command === 'passwd') {
    if (String(parsed.config) === '') return usage('--config needs a folder');
    const folder = { config: resolve(String(parsed.config)), ...secretSettings(parsed) };
    if (command === 'encrypt') return { kind: command, ...folder };
    const newKeyFile = parsed['new-key-file'];
    return { kind: command, ...folder, ...(typeof newKeyFile === 'string' ? { newKeyFile: resolve(newKeyFile) } : {}) };
  }
  if (command === 'link' || command === 'recover') {
    return checkDevice(
      command,
      { server: String(parsed.server), config: String(parsed.config), ...secretSettings(parsed) },
      String(parsed['account']),
    );
  }
  const task = isTask(command) ? taskOf(command, parsed) : undefined;
  if (typeof task === 'string') return usage(task);
  const rotation = rotationOf(parsed['rotate-after-messages'], parsed['rotate-after-days']);
  if (typeof rotation === 'string') return usage(rotation);
  return checkSettings({
    secret: secretSettings(parsed),
    notify: parsed.notify as Notify,
    rotation,
    task,
    server: lastOf(parsed.server),
    config: lastOf(parsed.config),
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
  readonly notify: Notify;
  readonly rotation: RotationPolicy;
  readonly task: Task | undefined;
  readonly secret: SecretSettings;
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
      notify: typed.notify,
      rotation: typed.rotation,
      ...typed.secret,
      ...(typed.task === undefined ? {} : { task: typed.task }),
    },
  };
}

/** Of a parser that has no command without a name, which would take this one for a group. */
async function completionScript(): Promise<string> {
  let script = '';
  const parser = yargs().scriptName('mlschat').completion(COMPLETION).exitProcess(false);
  await parser.parseAsync([COMPLETION], {}, (_error, _argv, output) => {
    script = output;
  });
  return script;
}

/** A flag that is given again counts as it was given last. */
function lastOf(typed: unknown): string {
  return String(Array.isArray(typed) ? typed.at(-1) : typed);
}

/** The names that every chat begins with. */
function named<Options>(command: Argv<Options>) {
  return command
    .positional('group', { type: 'string', describe: 'name of the group, with or without #', demandOption: true })
    .positional('username', {
      type: 'string',
      describe: 'your name, registered at the first start',
      demandOption: true,
    });
}

function rotationOf(messages: string | undefined, days: string | undefined): RotationPolicy | string {
  const afterMessages = messages === undefined ? ROTATION.afterMessages : Number(messages);
  const afterMs = days === undefined ? ROTATION.afterMs : Number(days) * DAY_MS;
  if (!Number.isSafeInteger(afterMessages) || afterMessages < 0) {
    return `--rotate-after-messages "${messages}" is no number of messages`;
  }
  if (!Number.isFinite(afterMs) || afterMs < 0) return `--rotate-after-days "${days}" is no number of days`;
  const never = Number.POSITIVE_INFINITY;
  return { afterMessages: afterMessages || never, afterMs: afterMs || never };
}

function checkDevice(kind: 'link' | 'recover', typed: DeviceSettings, account: string): ParsedArguments {
  const server = serverOrigin(typed.server);
  if (server === undefined) return usage(`--server "${typed.server}" is not an address like ${DEFAULT_SERVER}`);
  if (typed.config === '') return usage('--config needs a folder');
  const settings = { ...typed, server, config: resolve(typed.config) };
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

function secretSettings(parsed: { readonly encrypt: boolean; readonly keyFile?: string | undefined }): SecretSettings {
  const { encrypt, keyFile } = parsed;
  return { ...(encrypt ? { encrypt } : {}), ...(keyFile === undefined ? {} : { keyFile: resolve(keyFile) }) };
}

function usage(reason: string): ParsedArguments {
  return { kind: 'usage', reason };
}

function sentenceOf(failure: string): string {
  if (failure.startsWith('Not enough non-option arguments')) return 'a group and a user name are needed';
  return failure;
}
