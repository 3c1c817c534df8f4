import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const SECRET_BYTES = 32;
const SUFFIX_BYTES = 6;
const SECRET_FILE_MAX_BYTES = 4_096;

/**
 * The secret of a domain, from its file: 32 bytes, hexadecimal. Made when the file is missing; never shown.
 *
 * @throws Error when the file holds something else, or others than its owner may read it.
 */
export async function readDomainSecret(path: string): Promise<Uint8Array> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await makeSecret(path);
  const { mode, size } = await stat(path);
  // What is no secret is nobody's to make private: the path is wrong then, say.
  const text = size > SECRET_FILE_MAX_BYTES ? '' : (await readFile(path, 'utf8')).trim();
  if (!/^[0-9a-f]{64}$/.test(text))
    throw new Error(`${path} does not hold a secret of ${SECRET_BYTES} bytes in hexadecimal`);
  if ((mode & 0o077) !== 0) {
    throw new Error(`${path} can be read by others than its owner: chmod 600 ${path}`);
  }
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** Makes the file whole or not at all, and only where there is none: nodes that start at once end up with one secret. */
async function makeSecret(path: string): Promise<void> {
  if (existsSync(path)) return;
  const beside = `${path}.${randomBytes(SUFFIX_BYTES).toString('hex')}`;
  try {
    const file = await open(beside, 'wx', 0o600);
    try {
      await file.writeFile(`${randomBytes(SECRET_BYTES).toString('hex')}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(beside, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    await rm(beside, { force: true });
  }
}

/** Folder of the server's own data, for its owner only. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
}
