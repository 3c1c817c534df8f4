import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type ChildLines, childrenOf, spawnLines } from '../support/process.ts';
import { seeded } from '../support/seeded.ts';

const SEED = Number(process.env['MLSD_TEST_SEED'] ?? 20_261_122);
const ROUNDS = Number(process.env['MLSD_TEST_ROUNDS'] ?? 12);
const MESSAGES_A_ROUND = 12;
const PEOPLE = ['alice', 'bob', 'carol', 'dave'] as const;
type Name = (typeof PEOPLE)[number];
const MLSD = join(import.meta.dirname, '../../dist/bin/mlsd.js');
const MLSCHAT = join(import.meta.dirname, '../../dist/bin/mlschat.js');

let folder: string;
let port: number;
let server: ChildLines;
const living = new Set<ChildLines>();

/** One person's whole life: several processes, one after another, on one folder; what they printed, joined. */
interface Life {
  readonly name: Name;
  process: ChildLines;
  readonly past: string[];
  /** Whether this person's process was ever killed: then text may have died in the pipe before mlschat read it. */
  killed: boolean;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mlsd-kill-'));
  port = await freePort();
  server = await startServer();
});

afterAll(async () => {
  await Promise.all([...living].map((child) => child.kill('SIGKILL')));
  await rm(folder, { recursive: true, force: true });
});

test('kill -9 of server, nats-server and clients at random points: nothing accepted is lost, nothing is shown twice', async () => {
  const random = seeded(SEED);
  const lives = new Map<Name, Life>();
  const begin = (name: Name): Life => ({ name, process: startClient(name), past: [], killed: false });
  const alice = begin('alice');
  lives.set('alice', alice);
  await isIn(alice); // the first one creates the group
  for (const name of PEOPLE.slice(1)) {
    const life = begin(name);
    lives.set(name, life);
    await life.process.waitForLine((line) => line.includes('Ask to be invited'), `${name} waits`);
  }
  alice.process.write(`/invite ${PEOPLE.slice(1).join(' ')}\n`);
  for (const life of lives.values()) await isIn(life);

  const sent = new Map<Name, string[]>(PEOPLE.map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let i = 0; i < MESSAGES_A_ROUND; i += 1) {
      const life = lives.get(random.pick(PEOPLE))!;
      const text = `${life.name} says ${round}.${i}`;
      life.process.write(`${text}\n`);
      sent.get(life.name)!.push(text);
    }
    if (random.below(3) === 0) lives.get(random.pick(PEOPLE))!.process.write('/rotate\n');
    const victim = random.below(3);
    if (victim === 0) {
      await server.kill('SIGKILL');
      living.delete(server);
      server = await startServer();
    } else if (victim === 1) {
      for (const pid of childrenOf(server.pid, 'nats-server')) process.kill(pid, 'SIGKILL');
    } else {
      const life = lives.get(random.pick(PEOPLE))!;
      await life.process.kill('SIGKILL');
      living.delete(life.process);
      life.past.push(...life.process.lines);
      life.killed = true;
      const cursor = printed(life).findLast((line) => line.cursor !== undefined)?.cursor ?? 'start';
      life.process = startClient(life.name, cursor);
    }
  }

  // A last message of each person, sent again until accepted by the outbox itself, marks the end for everybody.
  for (const life of lives.values()) {
    const text = `${life.name} is done`;
    life.process.write(`${text}\n`);
    sent.get(life.name)!.push(text);
  }
  for (const life of lives.values()) {
    for (const name of PEOPLE)
      await life.process.waitForLine(
        (line) => line.includes(`${name} is done`),
        `${life.name} reads the end of ${name}`,
      );
  }

  const histories = [...lives.values()].map((life) => ({ name: life.name, texts: messages(life) }));
  const [first, ...others] = histories;
  for (const { name, texts } of histories)
    expect(new Set(texts).size, `${name} saw nothing twice (seed ${SEED})`).toBe(texts.length);
  for (const { name, texts } of others)
    expect(texts, `${name} and ${first!.name} saw the same (seed ${SEED})`).toEqual(first!.texts);
  for (const life of lives.values()) {
    const accepted = first!.texts.filter((text) => text.startsWith(`${life.name} `));
    const wanted = sent.get(life.name)!;
    if (life.killed)
      expect(wanted, `${life.name}'s texts keep their order (seed ${SEED})`).toEqual(expect.arrayContaining(accepted));
    else expect(accepted, `every text of ${life.name} arrived, in order (seed ${SEED})`).toEqual(wanted);
  }
});

interface PrintedLine {
  readonly kind?: string;
  readonly cursor?: string;
  readonly text?: string;
}

function printed(life: Life): PrintedLine[] {
  return [...life.past, ...life.process.lines]
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as PrintedLine);
}

function messages(life: Life): string[] {
  return printed(life).flatMap((line) => (line.kind === 'message' && line.text !== undefined ? [line.text] : []));
}

async function isIn(life: Life): Promise<void> {
  await life.process.waitForLine((line) => /"kind":"(created|joined)"/.test(line), `${life.name} is in`);
}

function startClient(name: Name, sinceCursor?: string): ChildLines {
  const since = sinceCursor === undefined ? [] : ['--since-cursor', sinceCursor];
  const args = [
    '--server',
    `http://127.0.0.1:${port}`,
    '--config',
    join(folder, name),
    '--json',
    ...since,
    'tea',
    name,
  ];
  return tracked(spawnLines(process.execPath, [MLSCHAT, ...args]));
}

async function startServer(): Promise<ChildLines> {
  const child = tracked(
    spawnLines(process.execPath, [MLSD, 'serve', '--port', String(port), '--data', join(folder, 'server')]),
  );
  await child.waitForLine((line) => line.startsWith('mlsd listening on'), 'the server is ready');
  return child;
}

function tracked(child: ChildLines): ChildLines {
  living.add(child);
  return child;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
