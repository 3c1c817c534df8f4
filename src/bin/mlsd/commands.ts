import type { Argv } from 'yargs';
import type { OptionName } from './options.ts';

/** A command of `mlsd` beside `serve`, with what it was asked to do. */
export type ToolCommand =
  | { readonly name: 'verify'; readonly file?: string }
  | { readonly name: 'rebuild' }
  | { readonly name: 'export'; readonly file: string; readonly group?: string }
  | { readonly name: 'import'; readonly file: string; readonly nothingLost: boolean }
  | { readonly name: 'backup'; readonly folder: string; readonly withSecret: boolean }
  | { readonly name: 'restore'; readonly folder: string; readonly nothingLost: boolean }
  | { readonly name: 'compact'; readonly olderThanDays?: number; readonly keep?: number; readonly dryRun: boolean }
  | { readonly name: 'doctor' }
  | { readonly name: 'log tail'; readonly lines: number; readonly follow: boolean; readonly json: boolean }
  | { readonly name: 'log show'; readonly sequence: number; readonly json: boolean };

/** What was written behind the command, or the reason why it makes no sense. */
export type ReadCommand = { readonly command: ToolCommand } | { readonly problem: string };

interface CommandSpec {
  /** As yargs takes it: `export <file>`. */
  readonly usage: string;
  readonly about: string;
  readonly more: string;
  readonly options: (argv: Argv) => Argv;
  readonly read: (given: Readonly<Record<string, unknown>>) => ReadCommand;
}

/** Settings of the server that its tools need as well. */
export const TOOL_SETTINGS: readonly OptionName[] = [
  'data',
  'secret-file',
  'domain',
  'nats',
  'nats-credentials',
  'nats-token-file',
  'nats-server',
];

const NOTHING_LOST = {
  boolean: true,
  describe:
    'nothing was accepted after the copy was made: go on as before, with all cursors; otherwise every client resyncs',
  group: 'Options:',
} as const;
const JSON_LINES = { boolean: true, describe: 'one JSON object a line', group: 'Options:' } as const;
const TAIL_LINES = 20;
const TAIL_LINES_MAX = 1_000_000;
const DAYS_MAX = 36_500;

/** The commands in the order of the help. */
export const COMMANDS: readonly CommandSpec[] = [
  {
    usage: 'verify [file]',
    about: 'hold log, tables, heads and epochs against each other',
    more: 'Replays the whole log, and compares every stored row and every head with what comes out. Changes nothing; the server may run. With FILE (or - for standard input) checks an export by itself. Exits 1 with the first difference.',
    options: (argv) =>
      argv.positional('file', { type: 'string', describe: 'an export to check instead of the server' }),
    read: ({ file }) => ({ command: { name: 'verify', ...(typeof file === 'string' ? { file } : {}) } }),
  },
  {
    usage: 'rebuild',
    about: 'make the tables anew from the log',
    more: 'Folds the log into new tables beside the old ones, then swaps them. Interrupted, it goes on where it was. While the server runs the new tables are only prepared: stop the server and run it again, little is left to do then.',
    options: (argv) => argv,
    read: () => ({ command: { name: 'rebuild' } }),
  },
  {
    usage: 'backup <folder>',
    about: 'copy log and tables; the server may run',
    more: 'FOLDER is made, or has to be empty. The secret of the domain is in it only with --with-secret; without it, keep a copy elsewhere.',
    options: (argv) =>
      argv
        .positional('folder', { type: 'string', describe: 'where the backup goes' })
        .option('with-secret', { boolean: true, describe: 'the secret of the domain too', group: 'Options:' }),
    read: ({ folder, 'with-secret': secret }) => ({
      command: { name: 'backup', folder: String(folder), withSecret: secret === true },
    }),
  },
  {
    usage: 'restore <folder>',
    about: 'make an empty data folder into the server of a backup',
    more: 'Unless you say --nothing-lost the log goes on as a new incarnation: what was accepted after the backup is gone, and every client resyncs instead of mixing two histories.',
    options: (argv) =>
      argv
        .positional('folder', { type: 'string', describe: 'a backup made by mlsd backup' })
        .option('nothing-lost', NOTHING_LOST),
    read: ({ folder, 'nothing-lost': nothingLost }) => ({
      command: { name: 'restore', folder: String(folder), nothingLost: nothingLost === true },
    }),
  },
  {
    usage: 'export <file>',
    about: 'write the log, or one group, with heads, to a file',
    more: 'FILE is - for standard output. docs/EXPORT-FORMAT.md describes it. The server may run.',
    options: (argv) =>
      argv.positional('file', { type: 'string', describe: 'the file to write' }).option('group', {
        string: true,
        requiresArg: true,
        describe: 'only the entries of the group with this id or name',
        group: 'Options:',
      }),
    read: ({ file, group }) => ({
      command: { name: 'export', file: String(file), ...(typeof group === 'string' ? { group } : {}) },
    }),
  },
  {
    usage: 'import <file>',
    about: 'make a log out of an export, in a data folder without one',
    more: 'FILE is - for standard input. Tables are made when the server starts. Unless you say --nothing-lost the log goes on as a new incarnation, and every client resyncs.',
    options: (argv) =>
      argv
        .positional('file', { type: 'string', describe: 'an export of a whole log' })
        .option('nothing-lost', NOTHING_LOST),
    read: ({ file, 'nothing-lost': nothingLost }) => ({
      command: { name: 'import', file: String(file), nothingLost: nothingLost === true },
    }),
  },
  {
    usage: 'compact',
    about: 'end what is served of old entries, and remove them',
    more: 'Entries of a group that are older than DAYS, and not among its newest N, are no longer served; with one of the two options, that one decides. The newest entry always stays. While the server runs they go from the tables; stop the server and run it again, and the messages go from the log too, which is written anew beside the old one: that takes the room of a second log, and rows and heads are compared before the swap. Devices that were away longer join again by themselves, and say what they missed.',
    options: (argv) =>
      argv
        .option('older-than', {
          string: true,
          requiresArg: true,
          describe: 'days after which entries may go',
          group: 'Options:',
        })
        .option('keep', {
          string: true,
          requiresArg: true,
          describe: 'how many of the newest entries of a group stay',
          group: 'Options:',
        })
        .option('dry-run', { boolean: true, describe: 'only say what would go', group: 'Options:' }),
    read: ({ 'older-than': older, keep, 'dry-run': dryRun }) => {
      if (older === undefined && keep === undefined) return { problem: 'compact needs --older-than, --keep, or both' };
      const olderThanDays = older === undefined ? undefined : asNumber(older, DAYS_MAX);
      const kept = keep === undefined ? undefined : asNumber(keep, Number.MAX_SAFE_INTEGER);
      if (older !== undefined && olderThanDays === undefined) {
        return { problem: `--older-than: has to be a whole number of days up to ${DAYS_MAX}` };
      }
      if (keep !== undefined && (kept === undefined || kept === 0)) {
        return { problem: '--keep: has to be a whole number from 1 on' };
      }
      return {
        command: {
          name: 'compact',
          dryRun: dryRun === true,
          ...(olderThanDays === undefined ? {} : { olderThanDays }),
          ...(kept === undefined ? {} : { keep: kept }),
        },
      };
    },
  },
  {
    usage: 'doctor',
    about: 'look at NATS, disk, clock, limits and files, with advice',
    more: 'The server may run, and should: then its own limits are looked at. Exits 1 when something is bad.',
    options: (argv) => argv,
    read: () => ({ command: { name: 'doctor' } }),
  },
  {
    usage: 'log tail',
    about: 'the last events of the log, a line each',
    more: 'Ids, sizes and times; never what is in an event. The server may run.',
    options: (argv) =>
      argv
        .option('lines', {
          alias: 'n',
          string: true,
          requiresArg: true,
          describe: `how many (default ${TAIL_LINES})`,
          group: 'Options:',
        })
        .option('follow', {
          alias: 'f',
          boolean: true,
          describe: 'go on with what comes, until Ctrl-C',
          group: 'Options:',
        })
        .option('json', JSON_LINES),
    read: ({ lines, follow, json }) => {
      const wanted = lines === undefined ? TAIL_LINES : asNumber(lines, TAIL_LINES_MAX);
      if (wanted === undefined) return { problem: `--lines: has to be a whole number up to ${TAIL_LINES_MAX}` };
      return { command: { name: 'log tail', lines: wanted, follow: follow === true, json: json === true } };
    },
  },
  {
    usage: 'log show <sequence>',
    about: 'one event of the log, with whole ids',
    more: 'Ids, sizes and times; never what is in the event. The server may run.',
    options: (argv) =>
      argv.positional('sequence', { type: 'string', describe: 'number of the event' }).option('json', JSON_LINES),
    read: ({ sequence, json }) => {
      const wanted = asNumber(sequence, Number.MAX_SAFE_INTEGER);
      if (wanted === undefined || wanted === 0)
        return { problem: 'the sequence of an event is a whole number from 1 on' };
      return { command: { name: 'log show', sequence: wanted, json: json === true } };
    },
  },
];

function asNumber(value: unknown, max: number): number | undefined {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
  return number === undefined || number > max ? undefined : number;
}
