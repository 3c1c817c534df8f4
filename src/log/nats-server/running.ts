import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { wait } from '../backoff.ts';
import { LogError } from '../errors.ts';
import { parsePort } from './child.ts';

/** Where the nats-server of another process listens, and what lets its owner in. */
export interface RunningNatsServer {
  readonly url: string;
  readonly token: string;
}

/** A server that is being restarted has no ports file for a moment. */
const PORT_TRIES = 100;
const PORT_POLL_MS = 100;
const TOKEN = /token:\s*("(?:[^"\\]|\\.)*")/;

/**
 * Finds the nats-server that another process runs on this folder: by its configuration and its ports file, which only the
 * folder's owner can read. Nothing is started and nothing is written.
 *
 * @throws LogError `unavailable` when none runs there; `aborted`.
 */
export async function findRunningServer(folder: string, signal?: AbortSignal): Promise<RunningNatsServer> {
  for (let tries = 0; tries < PORT_TRIES; tries += 1) {
    const token = parseToken(await textOf(join(folder, 'server.conf')));
    const port = await portIn(join(folder, 'ports'));
    if (token !== undefined && port !== undefined) return { url: `nats://127.0.0.1:${port}`, token };
    await wait(PORT_POLL_MS, signal);
  }
  throw new LogError('unavailable', `no nats-server listens for ${folder}`);
}

function parseToken(config: string | undefined): string | undefined {
  const quoted = config === undefined ? undefined : TOKEN.exec(config)?.[1];
  return quoted === undefined ? undefined : (JSON.parse(quoted) as string);
}

async function portIn(folder: string): Promise<number | undefined> {
  const names = await readdir(folder).catch(notThere);
  const name = names?.find((file) => file.endsWith('.ports'));
  const text = name === undefined ? undefined : await textOf(join(folder, name));
  return text === undefined ? undefined : parsePort(text);
}

function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(notThere);
}

function notThere(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
