import { constants } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import type { ChatClient, GroupStatus } from '../chat-client.ts';
import { sizeText } from '../engine/file-name.ts';
import { errorCode } from './explain.ts';
import { fileProblem, typedPath } from './local-path.ts';
import { neutralise } from './neutralise.ts';

/** Files larger than this are not even read; how much a server takes is for the client to say. */
const READ_MAX_BYTES = 64 * 1024 * 1024;
const FILE_MODE = 0o600;
/** Of others it is enough to know that they are bytes. */
const MEDIA_TYPES: Readonly<Record<string, string>> = {
  '.csv': 'text/csv',
  '.gif': 'image/gif',
  '.html': 'text/html',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.md': 'text/markdown',
  '.mp3': 'audio/mpeg',
  '.mp4': 'video/mp4',
  '.ogg': 'audio/ogg',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain',
  '.webp': 'image/webp',
  '.zip': 'application/zip',
};

/** `/send FILE`: gives the rows that say what came of it. */
export async function sendFileRows(
  typed: string,
  client: ChatClient,
  { group }: Pick<GroupStatus, 'group'>,
): Promise<readonly string[]> {
  const path = typedPath(typed);
  const shown = neutralise(path);
  const read = await readFileAt(path);
  if (typeof read === 'string') return [`${shown} cannot be sent: ${read}`];
  const mediaType = MEDIA_TYPES[extname(path).toLowerCase()] ?? 'application/octet-stream';
  await client.sendFile(group, { name: basename(path), mediaType, bytes: read });
  return [`${shown} (${sizeText(read.length)}) is encrypted, and kept here until it is sent`];
}

/** `/save NUMBER [FILE]`: fetches a file and writes it, never over one that is there. */
export async function saveFileRows(
  [number = '', ...rest]: readonly string[],
  client: ChatClient,
  { group }: Pick<GroupStatus, 'group'>,
  folder: string = process.cwd(),
): Promise<readonly string[]> {
  if (!/^[1-9]\d{0,14}$/.test(number))
    return ['/save needs the number that stands beside the file: /save NUMBER [FILE]'];
  const fetched = await client.fetchFile(group, Number(number));
  if (fetched.kind === 'refused') return [`not saved: ${neutralise(fetched.reason)}`];
  const wanted = typedPath(rest.join(' '));
  const place = wanted === '' || (await isFolder(wanted)) ? join(wanted || folder, fetched.name) : wanted;
  const shown = neutralise(place);
  try {
    await writeNew(place, fetched.bytes);
  } catch (error) {
    if (errorCode(error) === 'EEXIST')
      return [`${shown} is there already and stays as it is; /save ${number} FILE takes another name`];
    return [`not saved: ${shown}: ${fileProblem(error)}`];
  }
  return [`saved ${shown} (${sizeText(fetched.bytes.length)})`];
}

/** The bytes, or why there are none. */
async function readFileAt(path: string): Promise<Uint8Array | string> {
  try {
    // a pipe without a writer would be waited for, for ever
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { size, isFile } = await handle.stat().then((stats) => ({ size: stats.size, isFile: stats.isFile() }));
      if (!isFile) return 'it is not a file';
      if (size > READ_MAX_BYTES) return `it has ${sizeText(size)}, which is too much`;
      return new Uint8Array(await handle.readFile());
    } finally {
      await handle.close();
    }
  } catch (error) {
    return fileProblem(error);
  }
}

/** All of it or nothing, and nothing that is there is touched. */
async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'wx', FILE_MODE);
  try {
    await handle.writeFile(bytes);
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false; // then it is to be made, or its folder is missing, which writing says
  }
}
