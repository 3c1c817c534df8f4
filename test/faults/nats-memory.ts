import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHOSEN_VARIABLE, findNatsServer } from '../../src/log/nats-server/find.ts';
import type { MemorySample } from './memory.ts';

/** What a `nats-server` holds at one moment. */
export interface NatsHeld {
  readonly consumers: number;
  readonly connections: number;
  readonly subscriptions: number;
}

/** A `nats-server` whose heap is seen after full collections, and whose consumers and connections are counted. */
export interface NatsWatch {
  /** To be started in place of the one that would be found, which it becomes. */
  readonly program: string;
  /** For a server that is to start it. */
  readonly env: NodeJS.ProcessEnv;
  /** Looks once. Nothing of it stays in the server: it has no connection and no consumer of its own. */
  look(): Promise<void>;
  /** Looks again and again. @returns what ends that. @throws there, what a look failed with */
  begin(): () => Promise<void>;
  readonly heap: readonly MemorySample[];
  readonly held: readonly NatsHeld[];
}

const MIB = 1024 * 1024;
/** Buffers in a pool outlive one collection, and are let go in the next. */
const COLLECTIONS = 3;
const LOOK_EVERY_MS = 5_000;

/**
 * @param folder of this watch alone
 * @param portsFolder where it writes down its ports
 */
export async function openNatsWatch(folder: string, portsFolder: string): Promise<NatsWatch> {
  mkdirSync(folder, { recursive: true });
  const program = join(folder, 'nats-server');
  const { path } = await findNatsServer();
  // becomes the program itself, with two ports beside on which it tells of itself
  writeFileSync(program, `#!/bin/sh\nexec '${path}' "$@" --profile -1 --http_port -1\n`);
  chmodSync(program, 0o700);
  const heap: MemorySample[] = [];
  const held: NatsHeld[] = [];
  const look = async (): Promise<void> => {
    const { profile, monitoring } = toldPorts(portsFolder);
    let stats = '';
    for (let i = 0; i < COLLECTIONS; i += 1) stats = await textOf(`${profile}/debug/pprof/heap?debug=1&gc=1`);
    const bytes = Number(/^# HeapAlloc = (\d+)$/m.exec(stats)?.[1]);
    if (Number.isNaN(bytes)) throw new Error('nats-server tells its heap in another form');
    const { connections, subscriptions } = await countsOf(`${monitoring}/varz`);
    const { consumers } = await countsOf(`${monitoring}/jsz`);
    heap.push({ at: Date.now(), mib: bytes / MIB });
    held.push({ consumers, connections, subscriptions });
  };
  return {
    program,
    env: { [CHOSEN_VARIABLE]: program },
    heap,
    held,
    look,
    begin() {
      let looking = Promise.resolve();
      let isLooking = false;
      const timer = setInterval(() => {
        if (isLooking) return;
        isLooking = true;
        looking = looking.then(look).finally(() => {
          isLooking = false;
        });
        looking.catch(() => clearInterval(timer)); // told to whoever ends it
      }, LOOK_EVERY_MS);
      return () => {
        clearInterval(timer);
        return looking;
      };
    },
  };
}

/**
 * What there is more of in the last third than there was in the second, a sentence each. The least of each counts: what is made anew has
 * its predecessor beside it for a while.
 */
export function heldMore(held: readonly NatsHeld[]): string[] {
  const third = Math.floor(held.length / 3);
  if (third === 0) throw new Error(`nats-server was looked at ${held.length} times, too few to judge`);
  const least = (what: keyof NatsHeld, part: readonly NatsHeld[]): number =>
    Math.min(...part.map((each) => each[what]));
  return (['consumers', 'connections', 'subscriptions'] as const).flatMap((what) => {
    const [before, after] = [least(what, held.slice(third, 2 * third)), least(what, held.slice(2 * third))];
    return after > before ? [`nats-server had ${before} ${what}, and ${after} in the end`] : [];
  });
}

function toldPorts(folder: string): { readonly profile: string; readonly monitoring: string } {
  const [name] = readdirSync(folder).filter((each) => each.endsWith('.ports'));
  const told = JSON.parse(readFileSync(join(folder, name ?? ''), 'utf8')) as Readonly<
    Record<string, readonly string[]>
  >;
  const [[profile], [monitoring]] = [told['profile'] ?? [], told['monitoring'] ?? []];
  if (profile === undefined || monitoring === undefined) throw new Error('nats-server does not tell its ports');
  return { profile, monitoring };
}

async function textOf(url: string): Promise<string> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} was answered with ${response.status}`);
  return response.text();
}

const countsOf = async (url: string): Promise<NatsHeld> => JSON.parse(await textOf(url)) as NatsHeld;
