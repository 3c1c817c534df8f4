import { existsSync } from 'node:fs';
import { mkdir, open as openFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { open, type RootDatabase, type Transaction } from 'lmdb';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { ProjectionError } from '../errors.ts';
import type { Write } from '../fold/draft.ts';
import { TABLE } from '../fold/keys.ts';
import { areIntact, hasAllPages, stateIsIntact } from './check-tables.ts';
import { sealRow, sealRowInPlace, sumOfValue } from './sealed-row.ts';

/** What the tables stand on, written in the same transaction as they are. */
export interface CheckpointRow {
  /** Which fold made the tables; another one makes them anew. */
  readonly contract: string;
  readonly incarnation: string;
  readonly sequence: number;
  /** Id of the event at `sequence`: sequences are used again when a log goes back, ids are not. */
  readonly eventId: string;
  /** How many numbers were given out. */
  readonly groups: number;
  readonly devices: number;
  /** Of the log's first event; absent before it. */
  readonly pastEpochs?: number;
}

/**
 * Why tables that were there were thrown away: asked for; the process died while it opened them, which is what a damaged file
 * does (it aborts inside C); they could not be read; a batch was written only in part; another fold made them.
 */
export type DiscardReason = 'asked' | 'interrupted-open' | 'damaged' | 'torn' | 'contract-changed';

/** One LMDB environment. Nobody but this folder touches it. */
export interface Environment {
  readonly db: RootDatabase<Uint8Array, Uint8Array>;
  /** Absent: the tables are empty. */
  readonly checkpoint?: CheckpointRow;
  readonly discarded?: DiscardReason;
  /** Of tables that were thrown away although they could be read, until these here have come as far. */
  readonly formerCheckpoint?: CheckpointRow;
  /** Present: not every row was read at the opening. To be called once they were, and found as they should be. */
  readonly onChecked?: () => Promise<void>;
  close(): Promise<void>;
}

const CHECKPOINT_KEY = Uint8Array.of(TABLE.meta, 1);
const TORN_KEY = Uint8Array.of(TABLE.meta, 2);
const FORMER_KEY = Uint8Array.of(TABLE.meta, 3);
/** There while tables are opened: a process that dies of it leaves it behind. */
const MARKER = 'opening';
/** There while rows of opened tables are still to be read: whoever dies meanwhile has the next start read all of them first. */
const CHECKING = 'checking';
/** In the first page, behind its header, in the byte order of every platform the library is built for. */
const MAGIC = Buffer.from('dec0efbe', 'hex');
const MAGIC_AT = 24;
const FILES = ['data.mdb', 'lock.mdb'];
/** Most the file can grow to. Only address space: nothing is taken before it is written. */
const MAP_BYTES = 2 ** 40;
/** Two pages of 4 KiB: entries of 1 KiB take 1.5 times their size instead of 2.1 times. */
const PAGE_BYTES = 8192;
const OPEN_OPTIONS = {
  encoding: 'binary',
  keyEncoding: 'binary',
  pageSize: PAGE_BYTES,
  mapSize: MAP_BYTES,
  // All writes are explicit batches. The batch of a turn has a promise that nobody can reach: when its commit fails,
  // that rejection ends the process.
  eventTurnBatching: false,
} as const;
/** Flushing what was written takes less, or fails. */
const CLOSE_WAIT_MS = 5_000;

/**
 * Opens the tables in a folder, which is made when it is not there. Tables that cannot be used are thrown away: the log
 * is the truth, they are folded anew. Of usable ones the rows that tell how things stand are read, and all of them when the last
 * process died before it had.
 *
 * @throws ProjectionError `store-failed`
 */
export async function openEnvironment(options: {
  readonly dir: string;
  readonly contract: string;
  readonly fresh?: boolean;
  /** Throws away what this process found to be damaged, or torn, while it had it open. */
  readonly found?: { readonly reason: DiscardReason; readonly checkpoint: CheckpointRow };
}): Promise<Environment> {
  const { dir, contract, found } = options;
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const existed = existsSync(join(dir, FILES[0]!));
  let discarded: DiscardReason | undefined;
  if (found !== undefined) discarded = found.reason;
  else if (existsSync(join(dir, MARKER))) discarded = 'interrupted-open';
  else if (options.fresh === true && existed) discarded = 'asked';
  else if (existed && !(await startsLikeTables(dir))) discarded = 'damaged';
  if (discarded !== undefined) await removeFiles(dir);

  await writeFile(join(dir, MARKER), '');
  let opened = await reopen(dir, found?.checkpoint);
  const isThorough = existsSync(join(dir, CHECKING)) || !(await isComplete(dir, opened));
  const unusable = discarded === undefined ? await whyUnusable(opened, contract, isThorough) : undefined;
  if (unusable !== undefined) {
    discarded = unusable;
    const former = opened === undefined ? undefined : farthest(opened);
    await opened?.db.close();
    await removeFiles(dir);
    opened = await reopen(dir, former);
  }
  if (opened === undefined) throw new ProjectionError('store-failed', `no tables can be opened in ${dir}`);
  const { db, checkpoint } = opened;
  const isChecked = isThorough || discarded !== undefined || checkpoint === undefined;
  const onChecked = (): Promise<void> => rm(join(dir, CHECKING), { force: true });
  if (isChecked) await onChecked();
  else await writeFile(join(dir, CHECKING), '');
  await rm(join(dir, MARKER), { force: true });
  const former = farthest(opened);
  return {
    db,
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(discarded === undefined ? {} : { discarded }),
    ...(former === undefined || former === checkpoint ? {} : { formerCheckpoint: former }),
    ...(isChecked ? {} : { onChecked }),
    async close() {
      await closeBounded(db);
      await onChecked(); // who closes in good order has not died of a row
    },
  };
}

async function whyUnusable(
  opened: Opened | undefined,
  contract: string,
  isThorough: boolean,
): Promise<DiscardReason | undefined> {
  if (opened === undefined) return 'damaged';
  if (opened.torn) return 'torn';
  const { db, checkpoint } = opened;
  if (checkpoint !== undefined && checkpoint.contract !== contract) return 'contract-changed';
  if (!stateIsIntact(db, checkpoint)) return 'damaged';
  return !isThorough || (await areIntact(db)) ? undefined : 'damaged';
}

/** A file that is shorter than its tables may lack what they need: only reading all of it tells. */
async function isComplete(dir: string, opened: Opened | undefined): Promise<boolean> {
  return opened === undefined || hasAllPages(opened.db, (await stat(join(dir, FILES[0]!))).size);
}

/** New tables after others. What those stood on is kept: whoever starts again after a refusal is to be refused again. */
async function reopen(dir: string, former: CheckpointRow | undefined): Promise<Opened | undefined> {
  const opened = await tryOpen(dir);
  if (opened === undefined || former === undefined) return opened;
  try {
    await opened.db.put(FORMER_KEY, encodeCheckpoint(former));
  } catch (failed) {
    const cause = await causeOf(failed);
    await closeBounded(opened.db);
    throw new ProjectionError('store-failed', 'new tables could not be begun', { cause });
  }
  return { ...opened, former };
}

/**
 * Writes a batch and its checkpoint in one transaction. Everything is computed before; should the library throw between
 * two puts all the same, what it keeps of them is marked as torn, and the next start folds anew.
 *
 * @returns when the batch is committed and visible; the log is what is durable
 * @throws ProjectionError `store-failed`
 */
export async function writeBatch(
  db: RootDatabase<Uint8Array, Uint8Array>,
  writes: readonly Write[],
  checkpoint: CheckpointRow,
): Promise<void> {
  const row = encodeCheckpoint(checkpoint);
  try {
    await db.batch(() => {
      const quiet = createQuiet();
      quiet(db.put(TORN_KEY, row));
      for (const [key, value, hasRoom] of writes) {
        if (value === undefined) quiet(db.remove(key));
        else quiet(db.put(key, hasRoom === true ? sealRowInPlace(key, value) : sealRow(key, value)));
      }
      quiet(db.put(CHECKPOINT_KEY, row));
      quiet(db.remove(TORN_KEY));
    });
  } catch (failed) {
    throw new ProjectionError('store-failed', 'the tables could not be written', { cause: await causeOf(failed) });
  }
}

/**
 * The batch's own promise says whether it was committed; those of its parts say the same, and are not to end the process.
 * Most parts share one promise: it is looked after once.
 */
function createQuiet(): (part: Promise<unknown>) => void {
  let last: Promise<unknown> | undefined;
  return (part) => {
    if (part === last) return;
    last = part;
    part.catch(() => undefined);
  };
}

/** Why a commit failed is in a promise beside the error; left alone its rejection would end the process. */
async function causeOf(failed: unknown): Promise<unknown> {
  const { commitError } = failed as { readonly commitError?: Promise<unknown> };
  try {
    await Promise.race([commitError, turn()]);
    return failed;
  } catch (cause) {
    return cause;
  }
}

/** After a failed commit the library waits for ever for a flush that will not come; nothing is owed to it then. */
async function closeBounded(db: RootDatabase<Uint8Array, Uint8Array>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSE_WAIT_MS);
  });
  await Promise.race([db.close(), waited]);
  clearTimeout(timer);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

interface Opened {
  readonly db: RootDatabase<Uint8Array, Uint8Array>;
  readonly checkpoint?: CheckpointRow;
  /** Of the tables before these. */
  readonly former?: CheckpointRow;
  readonly torn: boolean;
}

/** The last event that anything was served from: of these tables, or of those before while these have not come as far. */
function farthest({ checkpoint, former }: Opened): CheckpointRow | undefined {
  return (former?.sequence ?? 0) > (checkpoint?.sequence ?? 0) ? former : checkpoint;
}

/** `undefined` when the files are no tables: reported as `damaged`, and made anew. */
async function tryOpen(path: string): Promise<Opened | undefined> {
  let db: RootDatabase<Uint8Array, Uint8Array> | undefined;
  try {
    db = open({ path, ...OPEN_OPTIONS });
    const [checkpoint, former] = [CHECKPOINT_KEY, FORMER_KEY].map((key) => {
      const row = db?.getBinary(key);
      return row === undefined ? undefined : decodeCheckpoint(row);
    });
    return {
      db,
      torn: db.doesExist(TORN_KEY),
      ...(checkpoint === undefined ? {} : { checkpoint }),
      ...(former === undefined ? {} : { former }),
    };
  } catch {
    await db?.close();
    return undefined;
  }
}

/** Whether a batch was written only in part. */
export function isTorn(
  db: RootDatabase<Uint8Array, Uint8Array>,
  options: { readonly transaction: Transaction },
): boolean {
  return db.get(TORN_KEY, options) !== undefined;
}

/** What a look at the tables of a folder found. */
export type FoundTables =
  | { readonly kind: 'tables'; readonly db: RootDatabase<Uint8Array, Uint8Array> }
  | { readonly kind: 'none' }
  | { readonly kind: 'damaged'; readonly reason: string };

/**
 * Opens the tables in a folder to read them, also while another process has them open for writing. Nothing is changed, and
 * tables that cannot be used are left where they are.
 */
export async function openToRead(dir: string): Promise<FoundTables> {
  if (!existsSync(join(dir, FILES[0]!))) return { kind: 'none' };
  if (!(await startsLikeTables(dir))) return { kind: 'damaged', reason: 'the file does not begin as tables do' };
  let db: RootDatabase<Uint8Array, Uint8Array> | undefined;
  try {
    db = open({ path: dir, ...OPEN_OPTIONS, readOnly: true });
    const checkpoint = db.get(CHECKPOINT_KEY);
    if (checkpoint !== undefined) decodeCheckpoint(checkpoint);
    if (!db.doesExist(TORN_KEY)) return { kind: 'tables', db };
    await db.close();
    return { kind: 'damaged', reason: 'a batch was written only in part' };
  } catch (error) {
    await db?.close();
    return { kind: 'damaged', reason: `they cannot be opened (${error instanceof Error ? error.message : error})` };
  }
}

/** The checkpoint in opened tables, within a transaction; `undefined` in empty ones. */
export function readCheckpoint(
  db: RootDatabase<Uint8Array, Uint8Array>,
  options: { readonly transaction: Transaction },
): CheckpointRow | undefined {
  const row = db.get(CHECKPOINT_KEY, options);
  return row === undefined ? undefined : decodeCheckpoint(row);
}

/** With its own sum inside: a damaged checkpoint must not be taken for a log that went back. */
function encodeCheckpoint(checkpoint: CheckpointRow): Uint8Array {
  return encodeCbor({ ...checkpoint, sum: sumOfValue(encodeCbor(checkpoint)) });
}

/** @throws Error when it is not what was written */
function decodeCheckpoint(row: Uint8Array): CheckpointRow {
  const { sum, ...checkpoint } = decodeCbor(row) as CheckpointRow & { readonly sum?: number };
  if (sum !== undefined && sum !== sumOfValue(encodeCbor(checkpoint))) throw new Error('a damaged checkpoint');
  return checkpoint;
}

/** LMDB's own mark; opening a file without it ends the process, with one it may still be damaged further on. */
async function startsLikeTables(dir: string): Promise<boolean> {
  const file = await openFile(join(dir, FILES[0]!), 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(MAGIC_AT + MAGIC.length), 0, MAGIC_AT + MAGIC.length, 0);
    return buffer.subarray(MAGIC_AT).equals(MAGIC);
  } finally {
    await file.close();
  }
}

async function removeFiles(dir: string): Promise<void> {
  for (const file of FILES) await rm(join(dir, file), { force: true });
}

/** Keys that say how the tables were written rather than what is in them. */
export function isBookkeeping(key: Uint8Array): boolean {
  return key[0] === TABLE.meta;
}

/**
 * What the tables in a folder stand on, whichever fold made them; `undefined` when there are none that can be read. To be
 * asked before anything has them open.
 */
export async function storedCheckpoint(dir: string): Promise<CheckpointRow | undefined> {
  if (!existsSync(join(dir, FILES[0]!)) || existsSync(join(dir, MARKER))) return undefined;
  if (!(await startsLikeTables(dir))) return undefined;
  await writeFile(join(dir, MARKER), '');
  const opened = await tryOpen(dir);
  await rm(join(dir, MARKER), { force: true });
  await opened?.db.close();
  return opened === undefined ? undefined : farthest(opened);
}
