import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import yargs, { type Argv } from 'yargs';
import { DAY_MS, ROTATION } from '../client/engine/rotation.ts';
import { NOTIFY_WAYS, type Notify } from '../client/terminal/mention.ts';
import {
  checkDevice,
  checkSettings,
  DEFAULT_SERVER,
  lastOf,
  type ParsedArguments,
  rotationOf,
  secretSettings,
  usage,
} from './mlschat-settings.ts';
import { isTask, TAIL_LINES, taskOf } from './mlschat-tasks.ts';
import { misreadSwitch, parserSentence } from './parser-sentence.ts';
import { unknownOption } from './unknown-option.ts';

export type { ChatSettings, DeviceSettings, ParsedArguments, SecretSettings } from './mlschat-settings.ts';

const HELP_COLUMNS_MAX = 110;
const COMPLETION = 'completion';
/** What a shell asks when Tab is pressed; the words typed so far follow. */
const COMPLETING = '--get-yargs-completions';
/** Options that are on or off. */
const SWITCHES = ['follow', 'json', 'encrypt', 'long', 'yes'];
/** Of `send`, whose words are one list. */
const MANY_WORDS = { 'duplicate-arguments-array': true, 'parse-numbers': false };

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
        command
          .positional('account', { type: 'string', describe: 'id of your account', demandOption: true })
          .option('long', {
            type: 'boolean',
            default: false,
            describe: 'a code that holds everything: nothing waits on the server',
          }),
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
    .command('repair', 'Recover what can be recovered of a damaged folder; keeps what was there.', (command) =>
      command.option('yes', { type: 'boolean', default: false, describe: 'do not ask before the store is replaced' }),
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
    .completion(COMPLETION, 'Print a script that completes this command in your shell.', offered)
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
  const misread = misreadSwitch(argv, SWITCHES);
  if (misread !== undefined) return usage(misread);
  const parse = (words: readonly string[]) =>
    parser.parseAsync([...words], {}, (_error, _argv, output) => {
      text = output;
    });
  const parsed = await parse(argv);
  // whatever is typed so far, Tab never does it
  if (argv[0] === COMPLETING) return { kind: 'text', text };
  if (failure !== undefined) {
    const sentence = parserSentence(failure, parsed._[0]);
    await parse([...parsed._.slice(0, 1).map(String), '--help']);
    return usage(unknownOption(argv, text) ?? sentence);
  }
  if (text !== '') return { kind: 'text', text };
  const [command] = parsed._;
  if (command === 'audit') {
    if (String(parsed.config) === '') return usage('--config needs a folder');
    return { kind: 'audit', config: resolve(String(parsed.config)), json: parsed.json, ...secretSettings(parsed) };
  }
  if (command === 'repair') {
    if (String(parsed.config) === '') return usage('--config needs a folder');
    const config = resolve(String(parsed.config));
    return { kind: 'repair', config, yes: parsed['yes'] === true, ...secretSettings(parsed) };
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
      parsed['long'] === true,
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

/** Of a parser that has no command without a name, which would take this one for a group. */
async function completionScript(): Promise<string> {
  let script = '';
  const parser = yargs().scriptName('mlschat').completion(COMPLETION).exitProcess(false);
  await parser.parseAsync([COMPLETION], {}, (_error, _argv, output) => {
    script = output;
  });
  return script;
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

/** What fits, but for the mark of the command that has no name; and what turns a switch off that is on by itself. */
function offered(
  _current: string,
  _typed: unknown,
  fitting: (done: (error: Error | null, words: string[] | undefined) => void) => void,
  done: (words: string[]) => void,
): void {
  fitting((_error, words = []) => {
    const named = words.filter((word) => !word.startsWith('$0'));
    done(named.flatMap((word) => (word === '--follow' ? [word, '--no-follow'] : [word])));
  });
}
