import { open, rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Cursor, type GroupId, START_CURSOR } from '../../wire/ids.ts';
import type { ChatClient, HistoryLine } from '../chat-client.ts';
import { errorCode } from './explain.ts';
import { formatLine } from './format-line.ts';
import { lineToJson } from './line-json.ts';
import { fileProblem, typedPath } from './local-path.ts';
import { createPalette } from './palette.ts';

/** Lines read from the store at once. */
const EXPORT_PAGE_LINES = 1000;
/** Messages are nobody else's business. */
const FILE_MODE = 0o600;
const JSON_FILE = /\.(jsonl|ndjson|json)$/i;

/** Whether a file of this name gets JSON lines instead of text. */
export function wantsJson(file: string): boolean {
  return JSON_FILE.test(file);
}

/** A group's whole history as rows, oldest first, a page of the store at a time. Text is harmless and begins with the time. */
export async function* historyRows(
  client: Pick<ChatClient, 'history' | 'status'>,
  group: GroupId,
  json: boolean,
): AsyncGenerator<readonly string[]> {
  const { account } = (await client.status()).me;
  const style = { palette: createPalette(0), me: account };
  const textOf = (line: HistoryLine): readonly string[] => {
    const [first = '', ...rest] = formatLine(line, style);
    return [`${new Date(line.time).toISOString()} ${first}`, ...rest];
  };
  let after: Cursor = START_CURSOR;
  for (;;) {
    const lines = await client.history(after, { group, limit: EXPORT_PAGE_LINES });
    yield lines.flatMap((line) => (json ? [lineToJson(line)] : textOf(line)));
    const last = lines.at(-1)?.cursor;
    if (last === undefined || lines.length < EXPORT_PAGE_LINES) return;
    after = last;
  }
}

/**
 * Writes a group's history to a new file that only its owner may read. A file that is
 * there already is left alone, and one that could not be written whole is removed.
 *
 * @returns rows written and the path
 * @throws Error that the file cannot be made or written
 */
export async function exportHistory(
  client: Pick<ChatClient, 'history' | 'status'>,
  group: GroupId,
  file: string,
  json: boolean,
): Promise<{ readonly rows: number; readonly path: string }> {
  const path = resolve(typedPath(file));
  const out = await open(path, 'wx', FILE_MODE).catch((error: unknown) => {
    if (errorCode(error) === 'EEXIST') throw new Error(`${path} is there already; name a new file`, { cause: error });
    throw new Error(`${path} cannot be made: ${fileProblem(error)}`, { cause: error });
  });
  let rows = 0;
  try {
    for await (const page of historyRows(client, group, json)) {
      rows += page.length;
      if (page.length > 0) await out.write(`${page.join('\n')}\n`);
    }
    await out.sync();
  } catch (error) {
    await out.close();
    await rm(path, { force: true });
    throw error;
  }
  await out.close();
  return { rows, path };
}
