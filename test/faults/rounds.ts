import { join } from 'node:path';
import { tempFolder } from '../support/nats.ts';
import { childrenOf } from '../support/process.ts';
import { seeded } from '../support/seeded.ts';
import { startServerProcess } from '../support/server.ts';
import { until } from '../support/until.ts';
import { startCompanions } from './companions.ts';
import { beginLife, IS_IN, type Life, WAITS } from './lives.ts';
import { startWriters } from './writers.ts';

/** A part of the system that a round does something to. */
const PARTS = ['server', 'nats', 'client'] as const;
type Part = (typeof PARTS)[number];

export interface RoundsOptions {
  readonly seed: number;
  readonly rounds: number;
  /** How long what is stopped stays so. */
  readonly pauseMs: number;
  readonly onRound?: (text: string) => void;
}

export interface RoundsSummary {
  /** How often each fault was done. */
  readonly faults: Readonly<Record<string, number>>;
  readonly acknowledged: number;
  readonly commits: number;
  readonly chatLines: number;
  /** What should not be: a sentence each. */
  readonly differences: readonly string[];
}

const PEOPLE = ['alice', 'bob', 'carol'] as const;
const WRITERS = 3;
const SENTENCES_A_ROUND = 4;
const ACKNOWLEDGED_A_ROUND = 4;
/** One round in so many stops parts instead of killing them. */
const PAUSE_EVERY = 4;

/**
 * Rounds of faults against a whole system under load: `mlsd` with its nats-server, people in `mlschat`, and devices that write
 * without end, attachments, a second device and a private group among them. Each round kills, or stops for a while, any
 * combination of the three at a random moment, and goes on once everybody who writes has had messages acknowledged again.
 * At the end everything acknowledged is looked for.
 */
export async function playRounds(options: RoundsOptions): Promise<RoundsSummary> {
  const random = seeded(options.seed);
  await using folder = await tempFolder();
  await using server = await startServerProcess({ folder: join(folder.path, 'server') });
  const lives: Life[] = [];
  const faults: Record<string, number> = {};
  try {
    for (const name of PEOPLE) {
      const life = beginLife(name, folder.path, server.url());
      lives.push(life);
      await (lives.length === 1 ? life.waitFor(IS_IN, 'founds') : life.waitFor(WAITS, 'waits'));
    }
    lives[0]!.say(`/invite ${PEOPLE.slice(1).join(' ')}`);
    for (const life of lives) await life.waitFor(IS_IN, 'is in');
    const writers = await startWriters({ url: server.url, members: WRITERS, name: 'writer' });
    const companions = await startCompanions(server.url);

    for (let round = 0; round < options.rounds; round += 1) {
      for (let i = 0; i < SENTENCES_A_ROUND; i += 1) {
        const life = random.pick(lives);
        life.say(`${life.name} says ${round}.${i}`);
      }
      if (random.below(3) === 0) random.pick(lives).say('/rotate');
      await writers.acknowledged(1 + random.below(ACKNOWLEDGED_A_ROUND));
      const parts = someOf(random.below(2 ** PARTS.length - 1) + 1);
      const how = random.below(PAUSE_EVERY) === 0 ? 'pause' : 'kill';
      const life = random.pick(lives);
      const name = `${how} ${parts.join('+')}`;
      faults[name] = (faults[name] ?? 0) + 1;
      options.onRound?.(`round ${round + 1} of ${options.rounds}: ${name}, ${writers.ledger.size} acknowledged`);
      if (how === 'kill') await kill(parts, life);
      else await pause(parts, life);
      await Promise.all([writers.acknowledged(ACKNOWLEDGED_A_ROUND), companions.more(ACKNOWLEDGED_A_ROUND)]);
    }

    for (const life of lives) life.say(`${life.name} is done`);
    for (const life of lives) {
      for (const name of PEOPLE) await life.waitFor(new RegExp(`"${name} is done"`), `reads the end of ${name}`);
    }
    await writers.stop();
    const differences = [
      ...(await writers.ledger.differences(writers.group, writers.members)),
      ...(await companions.stop()),
    ];
    const chat = compareChats(lives);
    const { ledger, commits } = writers;
    return {
      faults,
      acknowledged: ledger.size + companions.acknowledged,
      commits,
      chatLines: chat.lines,
      differences: [...differences, ...chat.differences],
    };
  } finally {
    for (const life of lives) await life.end();
  }

  function natsPids(): number[] {
    return childrenOf(server.process().pid, 'nats-server');
  }

  async function kill(parts: readonly Part[], life: Life): Promise<void> {
    if (parts.includes('nats')) for (const pid of natsPids()) process.kill(pid, 'SIGKILL');
    await Promise.all([
      parts.includes('server') ? server.kill().then(() => server.start()) : undefined,
      parts.includes('client') ? life.dieAndReturn() : undefined,
    ]);
  }

  async function pause(parts: readonly Part[], life: Life): Promise<void> {
    const stopped = [
      ...(parts.includes('nats') ? natsPids() : []),
      ...(parts.includes('server') ? [server.process().pid] : []),
    ];
    const end = Date.now() + options.pauseMs;
    const work = async (): Promise<void> => {
      for (const pid of stopped) process.kill(pid, 'SIGSTOP');
      try {
        await until(() => Date.now() >= end);
      } finally {
        for (const pid of stopped) process.kill(pid, 'SIGCONT');
      }
    };
    await (parts.includes('client') ? life.pauseDuring(work) : work());
  }
}

function someOf(bits: number): Part[] {
  return PARTS.filter((_, i) => (bits & (1 << i)) !== 0);
}

/** Everybody saw the same, nothing twice; and everything that somebody said who never died. */
export function compareChats(lives: readonly Life[]): { lines: number; differences: string[] } {
  const differences: string[] = [];
  const [first, ...others] = lives.map((life) => ({ life, texts: life.texts() }));
  for (const { life, texts } of [first!, ...others]) {
    if (new Set(texts).size !== texts.length) differences.push(`${life.name} saw something twice`);
    if (texts.join('\n') !== first!.texts.join('\n'))
      differences.push(`${life.name} saw other than ${first!.life.name}`);
    const mine = first!.texts.filter((text) => text.startsWith(`${life.name} `));
    const expected = life.deaths === 0 ? [...life.said] : life.said.filter((text) => mine.includes(text));
    if (mine.join('\n') !== expected.join('\n')) differences.push(`what ${life.name} said is lost or out of order`);
  }
  return { lines: first!.texts.length, differences };
}
