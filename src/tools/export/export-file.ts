import { createReadStream, existsSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ToolError } from '../tool-error.ts';

/** Items are small; they are written in pieces of about this size. */
const PIECE_BYTES = 256 * 1024;
const READ_BYTES = 1024 * 1024;

/**
 * Writes a file that is there whole or not at all, readable by its owner only. Nothing is asked of the pieces before the
 * file could be opened.
 *
 * @returns its size in bytes
 * @throws ToolError `not-empty` when there is a file already; what the pieces throw; NodeJS.ErrnoException of the file
 */
export async function writeWhole(path: string, pieces: AsyncIterable<Uint8Array>): Promise<number> {
  if (existsSync(path)) throw new ToolError('not-empty', `${path} is there already: choose another name, or remove it`);
  const partial = `${path}.partial`;
  const opened = await open(partial, 'w', 0o600);
  try {
    const file = opened.createWriteStream({ flush: true });
    await pipeline(Readable.from(inPieces(pieces), { highWaterMark: 1 }), file);
    await rename(partial, path);
    return file.bytesWritten;
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** Writes to a stream that is left open, as fast as it takes it. */
export async function writeTo(output: Writable, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  await pipeline(Readable.from(inPieces(pieces), { highWaterMark: 1 }), output, { end: false });
}

/** A file in pieces. @throws ToolError `no-data` when it is not there, or a folder */
export function readPieces(path: string): AsyncIterable<Uint8Array> {
  if (!existsSync(path)) throw new ToolError('no-data', `${path} is not there`);
  if (statSync(path).isDirectory()) throw new ToolError('no-data', `${path} is a folder: name a file in it`);
  return createReadStream(path, { highWaterMark: READ_BYTES });
}

async function* inPieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    gathered.push(chunk);
    bytes += chunk.length;
    if (bytes < PIECE_BYTES) continue;
    yield Buffer.concat(gathered);
    gathered = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(gathered);
}
