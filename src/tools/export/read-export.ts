import { createHash } from 'node:crypto';
import { equalBytes } from '../../wire/bytes.ts';
import { splitCborSequence } from '../../wire/cbor-sequence.ts';
import { ToolError } from '../tool-error.ts';
import { type ExportHeader, type ExportItem, ITEM_MAX_BYTES, readItem } from './format.ts';

/** What stands between header and trailer. */
type BodyItem = Exclude<ExportItem, { kind: 'header' | 'trailer' }>;

/** An export that is being read. */
export interface OpenExport {
  readonly header: ExportHeader;
  /** To be iterated once, to its end: only there it is known that the file is whole and unaltered. */
  readonly items: AsyncIterable<BodyItem>;
}

/**
 * Reads an export.
 *
 * @throws ToolError `damaged-file`, here or while iterating: none of ours, cut short, or altered
 */
export async function readExport(chunks: AsyncIterable<Uint8Array>, name: string): Promise<OpenExport> {
  const items = readItems(chunks, name);
  const { value: first, done } = await items.next();
  if (done === true || first.kind !== 'header') throw new ToolError('damaged-file', `${name} is no export of mlsd`);
  return { header: first.header, items: bodyOf(items, name) };
}

async function* bodyOf(items: AsyncIterable<ExportItem>, name: string): AsyncGenerator<BodyItem> {
  for await (const item of items) {
    if (item.kind === 'header') throw new ToolError('damaged-file', `${name} has two headers`);
    if (item.kind !== 'trailer') yield item;
  }
}

/** Ends only after a trailer that fits all that came before. */
async function* readItems(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<ExportItem, undefined> {
  const sha256 = createHash('sha256');
  let items = 0;
  let ended = false;
  try {
    for await (const bytes of splitCborSequence(chunks, ITEM_MAX_BYTES)) {
      const item = ended ? undefined : readItem(bytes);
      if (item === undefined) throw new ToolError('damaged-file', `${name}: item ${items + 1} is none of an export`);
      if (item.kind === 'trailer') {
        const fits =
          item.trailer.count === items - 1 && equalBytes(new Uint8Array(sha256.digest()), item.trailer.sha256);
        if (!fits) throw new ToolError('damaged-file', `${name} was altered: its SHA-256 is another one`);
        ended = true;
      } else sha256.update(bytes);
      items += 1;
      yield item;
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ToolError('damaged-file', `${name}: ${error.message}`, { cause: error });
  }
  if (!ended) throw new ToolError('damaged-file', `${name} is cut short: its last item is missing`);
}
