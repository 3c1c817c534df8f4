import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../errors.ts';
import { runProgram } from './run-program.ts';

/** The official release this project pins, with the SHA-256 its makers publish for each archive. */
export const PINNED_VERSION = '2.14.5';
const ARCHIVE_SHA256: Readonly<Record<string, string>> = {
  'linux-amd64': '5e3b603d47c447bda1f77f9ac16dbf91c90aac4ff3681f8fbbc7201e4ed99355',
  'linux-arm64': '673a98d3faa79dde3f9ebf16d6dfac36a5f694e7ad2015e4954dd7939c85cd4c',
  'linux-arm7': 'c8796b63a8603fdebabd63146ac3d3997c29a2829fdd2af6db320f4a287f2e71',
  'linux-386': '7eb520d5080d2c4b2e9ad0866aa301f7c7af35058bfae61c1ba0cef472d21d47',
  'linux-s390x': '829193e8c592e0df5f15402c27417df18d26503d22b77dfc9491982fe0b51a67',
  'linux-ppc64le': '5d8f1a264a3bc4b30899814ae8e898b1268e817074635adddd24b32f388e4cc4',
  'linux-loong64': 'e0c584e45453c5a5ed387f14a96eaa8cb84cb110f0ff9031699087b23e3b2c2d',
  'darwin-amd64': 'f95c98d6b6ed2b63c5681b46b092c9585c99767d547cf495730c329234625e96',
  'darwin-arm64': 'ddd907854d9a2de834af133fa396915fe6442fe6d8909ae31390d1ea7a0fea50',
};
const GO_ARCHITECTURE: Readonly<Record<string, string>> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm7',
  ia32: '386',
  s390x: 's390x',
  ppc64: 'ppc64le',
  loong64: 'loong64',
};

/** How long the release's host may take to answer at all: many networks do not let one out. */
const FIRST_BYTE_TIMEOUT_MS = 5_000;
const DOWNLOAD_TIMEOUT_MS = 180_000;
const ARCHIVE_MAX_BYTES = 64 * 1024 * 1024;

export interface ReleaseArchive {
  readonly name: string;
  readonly url: string;
  readonly sha256: string;
}

/** The archive for a machine; `undefined` when the release has none with a known checksum. */
export function releaseArchive(platform: string, architecture: string): ReleaseArchive | undefined {
  const target = `${platform}-${GO_ARCHITECTURE[architecture] ?? architecture}`;
  const sha256 = Object.hasOwn(ARCHIVE_SHA256, target) ? ARCHIVE_SHA256[target] : undefined;
  if (sha256 === undefined) return undefined;
  const name = `nats-server-v${PINNED_VERSION}-${target}`;
  const url = `https://github.com/nats-io/nats-server/releases/download/v${PINNED_VERSION}/${name}.tar.gz`;
  return { name, url, sha256 };
}

/**
 * Downloads the archive into `folder`, checks it, unpacks it. Settles with the path of the program.
 *
 * @throws Error with a reason for people: no connection, wrong checksum, not unpackable.
 */
export async function getRelease(archive: ReleaseArchive, folder: string): Promise<string> {
  const bytes = await download(archive.url);
  checkArchive(bytes, archive.sha256);
  const file = join(folder, 'nats-server.tar.gz');
  await writeFile(file, bytes);
  await runProgram('tar', ['-xzf', file, '-C', folder, `${archive.name}/nats-server`]);
  return join(folder, archive.name, 'nats-server');
}

/** @throws Error when the bytes are not the ones that were published. */
export function checkArchive(bytes: Uint8Array, sha256: string): void {
  if (createHash('sha256').update(bytes).digest('hex') !== sha256) {
    throw new Error('the downloaded archive does not have the published checksum');
  }
}

async function download(url: string): Promise<Uint8Array> {
  const stop = new AbortController();
  const first = setTimeout(() => stop.abort(new Error('no answer')), FIRST_BYTE_TIMEOUT_MS);
  const whole = setTimeout(() => stop.abort(new Error('too slow')), DOWNLOAD_TIMEOUT_MS);
  try {
    const response = await fetch(url, { signal: stop.signal });
    clearTimeout(first);
    if (!response.ok || response.body === null) throw new Error(`HTTP status ${response.status}`);
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of response.body) {
      length += part.length;
      if (length > ARCHIVE_MAX_BYTES) throw new Error('the archive is larger than any nats-server');
      parts.push(part);
    }
    return Buffer.concat(parts);
  } catch (error) {
    const reason = error instanceof TypeError && error.cause instanceof Error ? error.cause : error;
    throw new Error(`no download: ${messageOf(reason)}`, { cause: error });
  } finally {
    clearTimeout(first);
    clearTimeout(whole);
  }
}
