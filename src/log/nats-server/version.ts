import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** A released version of nats-server. */
export interface ServerVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
}

/** A nats-server program that was run once and said its version. */
export interface NatsServerBinary {
  readonly path: string;
  readonly version: ServerVersion;
}

/** The first version that can sync every write to disk before it acknowledges it. */
export const SYNC_ALWAYS_SINCE: ServerVersion = { major: 2, minor: 10, patch: 0 };
/** The oldest version that works at all; its acknowledgements are not synced. */
export const OLDEST_USABLE: ServerVersion = { major: 2, minor: 9, patch: 0 };

const VERSION = /\bv?(\d+)\.(\d+)\.(\d+)/;
const VERSION_TIMEOUT_MS = 10_000;
const run = promisify(execFile);

/** Finds `2.15.1` in texts such as `nats-server: v2.15.1` or `2.9.10-1+b3`. */
export function parseVersion(text: string): ServerVersion | undefined {
  const match = VERSION.exec(text);
  if (match === null) return undefined;
  return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3]) };
}

export function formatVersion(version: ServerVersion): string {
  return `${version.major}.${version.minor}.${version.patch}`;
}

/** Negative when `a` is older than `b`. */
export function compareVersions(a: ServerVersion, b: ServerVersion): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

export function isAtLeast(version: ServerVersion, least: ServerVersion): boolean {
  return compareVersions(version, least) >= 0;
}

/** Runs `path --version`; `undefined` when it does not run here or is no nats-server. */
export async function probeBinary(path: string): Promise<NatsServerBinary | undefined> {
  try {
    const { stdout, stderr } = await run(path, ['--version'], { timeout: VERSION_TIMEOUT_MS });
    const text = `${stdout}${stderr}`;
    const version = text.includes('nats-server') ? parseVersion(text) : undefined;
    return version === undefined ? undefined : { path, version };
  } catch {
    return undefined; // Not there, not executable, or built for another machine: not usable, which is the answer.
  }
}
