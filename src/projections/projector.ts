import { LogError } from '../log/errors.ts';
import type { LogEntry } from '../log/reader.ts';
import { ProjectionError } from './errors.ts';
import { Draft } from './fold/draft.ts';
import { type FoldRules, foldEvent } from './fold/fold-event.ts';
import type { Standing, Tables } from './store/tables.ts';

/** A draft this large is written before anything more is folded. */
const BATCH_MAX_BYTES = 4 * 1024 * 1024;
const BATCH_MAX_EVENTS = 10_000;
/** After folding this much the event loop gets a turn. */
const SLICE_BYTES = 256 * 1024;
const SLICE_EVENTS = 256;

interface OpenDraft {
  readonly draft: Draft;
  /** What it was folded from, to do it again without an event that cannot be folded. */
  readonly entries: LogEntry[];
  standing: Standing;
  bytes: number;
}

/** Told of every batch once it can be read. */
export type OnPublished = (draft: Draft, standing: Standing) => void;

/**
 * Folds the log into the tables, batch by batch, in order, without skipping. While one batch is being written the next is
 * folded over it, so batches grow under load and are single events when there is none; both are bounded.
 *
 * @param onPublished must not throw
 * @returns when the reader ends because it was asked to
 * @throws what the reader threw; ProjectionError `unknown-event`, `invalid-event`, `gap`, `fold-failed`,
 *   `store-failed`, `reader-ended`. Everything before the event that stopped it is in the tables then, except after
 *   `store-failed`.
 */
export async function runProjector(options: {
  readonly tables: Tables;
  readonly rules: FoldRules;
  readonly reader: AsyncIterable<readonly LogEntry[]>;
  /** Ends the reader; used here too when a write fails while the reader waits. */
  readonly stop: AbortController;
  readonly onPublished: OnPublished;
}): Promise<void> {
  const { tables, rules, reader, stop, onPublished } = options;
  let open = openDraft(tables, undefined);
  let writing: { readonly done: Promise<void>; readonly batch: OpenDraft } | undefined;
  let writeFailure: unknown;

  const settle = async (): Promise<void> => {
    await writing?.done;
    if (writeFailure !== undefined) throw writeFailure;
  };
  const write = async (batch: OpenDraft): Promise<void> => {
    try {
      await tables.write(batch.draft, batch.standing);
      tables.publish(batch.draft, batch.standing);
      writing = undefined;
      open.draft.rebase(tables);
      onPublished(batch.draft, batch.standing);
      if (open.entries.length > 0) startWrite();
    } catch (error) {
      writing = undefined;
      writeFailure = error;
      stop.abort(error);
    }
  };
  /** Starts writing what is folded; the batch before it has to be done. */
  const startWrite = (): void => {
    const batch = open;
    open = openDraft(tables, batch);
    writing = { done: write(batch), batch };
  };
  /** What a reducer that threw left of its event must not be written: the whole events are folded once more. */
  const fold = (entry: LogEntry): void => {
    try {
      foldInto(open, entry, rules);
    } catch (error) {
      const whole = open.entries;
      open = openDraft(tables, writing?.batch);
      for (const earlier of whole) foldInto(open, earlier, rules);
      throw error;
    }
  };
  const finish = async (): Promise<void> => {
    await settle();
    if (open.entries.length > 0) startWrite();
    await settle();
  };

  try {
    for await (const entries of reader) {
      let events = 0;
      let bytes = 0;
      for (const entry of entries) {
        if (writeFailure !== undefined) throw writeFailure;
        fold(entry);
        events += 1;
        bytes += entry.bytes.length;
        if (events < SLICE_EVENTS && bytes < SLICE_BYTES) continue;
        if (writing === undefined) startWrite();
        while (open.bytes >= BATCH_MAX_BYTES || open.entries.length >= BATCH_MAX_EVENTS) await settle();
        await turn();
        events = 0;
        bytes = 0;
      }
      if (open.entries.length > 0 && writing === undefined) startWrite();
    }
  } catch (error) {
    if (error !== writeFailure) await finish();
    throw error;
  }
  await finish();
  if (!stop.signal.aborted) throw new ProjectionError('reader-ended', 'the log stopped giving events');
}

function openDraft(tables: Tables, below: OpenDraft | undefined): OpenDraft {
  const draft = new Draft(below?.draft ?? tables);
  return { draft, entries: [], standing: below?.standing ?? tables.standing, bytes: 0 };
}

function foldInto(batch: OpenDraft, entry: LogEntry, rules: FoldRules): void {
  const { sequence, event, bytes } = entry;
  if (sequence !== batch.standing.sequence + 1) {
    throw new ProjectionError('gap', `event ${sequence} came after event ${batch.standing.sequence}`);
  }
  try {
    foldEvent(batch.draft, event, sequence, rules);
  } catch (cause) {
    if (cause instanceof ProjectionError || cause instanceof LogError) throw cause;
    throw new ProjectionError('fold-failed', `event ${sequence} (${event.type}) cannot be folded`, { cause });
  }
  batch.standing = { incarnation: batch.draft.incarnation, sequence, eventId: event.id };
  batch.entries.push(entry);
  batch.bytes += bytes.length;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
