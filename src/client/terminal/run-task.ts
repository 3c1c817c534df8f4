import { type Cursor, type GroupId, START_CURSOR } from '../../wire/ids.ts';
import { foldName } from '../../wire/names.ts';
import type { ChatClient, GroupStatus, HistoryLine } from '../chat-client.ts';
import { recoveryRows } from './account-rows.ts';
import { MESSAGE_MAX_LENGTH } from './editor.ts';
import { explain, isUnreachable } from './explain.ts';
import { exportHistory, historyRows, wantsJson } from './export-history.ts';
import { flushOutbox, unsentReason } from './flush.ts';
import { formatLine } from './format-line.ts';
import { joinRows } from './join-rows.ts';
import { lineToJson } from './line-json.ts';
import { neutralise } from './neutralise.ts';
import type { Palette } from './palette.ts';
import { EXIT, type ExitCode } from './pipe.ts';
import { createTail } from './tail.ts';

/** How long reading what is new may take before the local history has to do. */
const CATCH_UP_MS = 30_000;

/** One thing to be done, by a script mostly. None of them makes a group, runs a command, or marks anything as read. */
export type Task =
  /** `text` as it is, also when it looks like a command; without it the whole input. */
  | { readonly kind: 'send'; readonly text: string | undefined }
  | { readonly kind: 'tail'; readonly lines: number; readonly follow: boolean }
  /** Without a file to standard output. */
  | { readonly kind: 'export'; readonly file: string | undefined };

export interface TaskOptions {
  readonly client: ChatClient;
  readonly group: string;
  readonly task: Task;
  /** One JSON object a line on `out`. */
  readonly json: boolean;
  /** Everything on standard input. */
  readonly readInput: () => Promise<string>;
  readonly out: (row: string) => void;
  readonly err: (row: string) => void;
  readonly palette: Palette;
  readonly signal: AbortSignal;
}

/** Does it and resolves with the exit code; the client is not closed. @throws what the client throws */
export async function runTask(options: TaskOptions): Promise<ExitCode> {
  const { client, task, err } = options;
  const code = await client.takeRecoveryCode();
  if (code !== undefined) {
    for (const row of recoveryRows(code)) err(row);
    await client.recoveryCodeShown();
  }
  const group = await findGroup(options);
  if (group === undefined) return EXIT.error;
  switch (task.kind) {
    case 'send':
      return send(options, group, task.text ?? (await options.readInput()));
    case 'tail':
      return tail(options, group, task);
    case 'export':
      return exportAll(options, group, task.file);
    default:
      return task satisfies never;
  }
}

/** The group on this device, else by an invitation that waits; `undefined` when it was said why there is none. */
async function findGroup({ client, group, err }: TaskOptions): Promise<GroupStatus | undefined> {
  const byName = async () => (await client.groups()).find((each) => foldName(each.name) === foldName(group));
  const here = await byName();
  if (here !== undefined) return here;
  const outcome = await client.joinGroup(group);
  if ('group' in outcome) return byName();
  for (const row of joinRows(group, outcome, 'ended')) err(row);
  return undefined;
}

async function send(options: TaskOptions, group: GroupStatus, typed: string): Promise<ExitCode> {
  const { client, err, signal } = options;
  const text = typed.replace(/\r\n/g, '\n').replace(/\n+$/, '');
  if (text.trim() === '') {
    err('an empty message is not sent');
    return EXIT.usage;
  }
  if (text.length > MESSAGE_MAX_LENGTH) {
    err(`not sent: a message has at most ${MESSAGE_MAX_LENGTH} characters, this one has ${text.length}`);
    return EXIT.error;
  }
  let refused: string | undefined;
  const unsubscribe = client.subscribe((event) => {
    if (event.type === 'sent' && event.refused !== undefined) refused = event.refused;
  });
  try {
    await client.send(group.group, text);
    const unsent = await flushOutbox(client, signal);
    if (unsent > 0) err(await unsentReason(client, unsent));
    if (refused !== undefined) err(`not sent: ${neutralise(refused)}`);
    return unsent > 0 ? EXIT.unsent : refused === undefined ? EXIT.done : EXIT.error;
  } finally {
    unsubscribe();
  }
}

/** Reads what is new; when the server is away, says so, and what is here has to do. */
async function catchUp({ client, err }: TaskOptions): Promise<ExitCode> {
  try {
    await client.caughtUp(CATCH_UP_MS);
    return EXIT.done;
  } catch (error) {
    if (!isUnreachable(error)) throw error;
    err(explain(error));
    return EXIT.error;
  }
}

async function tail(options: TaskOptions, group: GroupStatus, task: Task & { kind: 'tail' }): Promise<ExitCode> {
  const { client, json, out, palette, signal } = options;
  const code = await catchUp(options);
  const me = (await client.status()).me.account;
  const show = (lines: readonly HistoryLine[]) => {
    for (const line of lines) (json ? [lineToJson(line)] : formatLine(line, { palette, me })).forEach(out);
  };
  const after = await showNewest(client, group.group, task.lines, show);
  if (!task.follow || signal.aborted) return code;
  const reading = createTail({ client, group: group.group, after, show });
  let fail: (error: unknown) => void = () => {};
  const ended = new Promise<void>((resolve, reject) => {
    fail = reject;
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  const unsubscribe = client.subscribe((event) => {
    if (event.type === 'line' && event.line.group === group.group) reading.pull().catch(fail);
  });
  try {
    await reading.pull(); // what came between the two
    await ended;
    return EXIT.done;
  } finally {
    reading.stop();
    unsubscribe();
  }
}

/** Shows the newest lines and gives the cursor to read on from. */
async function showNewest(
  client: ChatClient,
  group: GroupId,
  count: number,
  show: (lines: readonly HistoryLine[]) => void,
): Promise<Cursor> {
  // unsent lines stand last and have no cursor; one line is needed to read on from
  const { unsent } = await client.status();
  const newest = (await client.recent(group, Math.max(1, count) + unsent)).filter((line) => line.cursor !== undefined);
  if (count > 0) show(newest.slice(-count));
  return newest.at(-1)?.cursor ?? START_CURSOR;
}

async function exportAll(options: TaskOptions, group: GroupStatus, file: string | undefined): Promise<ExitCode> {
  const { client, json, out, err } = options;
  // without a server the local history is exported, and said to be that
  const code = await catchUp(options);
  if (file !== undefined) {
    const { rows, path } = await exportHistory(client, group.group, file, json || wantsJson(file));
    err(`${rows} rows of #${neutralise(group.name)} are in ${neutralise(path)}`);
    return code;
  }
  for await (const page of historyRows(client, group.group, json)) page.forEach(out);
  return code;
}
