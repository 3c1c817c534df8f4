/** `npm run faults -- --rounds 200 [--seed N] [--pause 30s]`, or `--soak 30m`: long runs by hand, with a summary. */
import { parseArgs } from 'node:util';
import { playRounds } from './rounds.ts';
import { soak } from './soak.ts';

const UNITS_S = { s: 1, m: 60, h: 3_600 } as const;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '200' },
    seed: { type: 'string' },
    pause: { type: 'string', default: '30s' },
    soak: { type: 'string' },
  },
});
const say = (text: string): void => void process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
process.exitCode = (await (values.soak === undefined ? rounds() : soakFor(secondsOf(values.soak)))) ? 0 : 1;

async function rounds(): Promise<boolean> {
  const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
  const count = Number(values.rounds);
  say(`${count} rounds, seed ${seed}`);
  const summary = await playRounds({
    seed,
    rounds: count,
    pauseMs: secondsOf(values.pause) * 1000,
    onRound: say,
  });
  say(JSON.stringify({ seed, rounds: count, ...summary }, null, 2));
  return summary.differences.length === 0;
}

async function soakFor(seconds: number): Promise<boolean> {
  const summary = await soak(seconds, say);
  const { memory, ...counts } = summary;
  for (const [name, { fromMib, toMib, mibPerHour, uncertainty, isFlat }] of Object.entries(memory)) {
    const trend = `${mibPerHour.toFixed(1)} ± ${uncertainty.toFixed(1)} MiB an hour`;
    say(`${name}: ${fromMib.toFixed(1)} → ${toMib.toFixed(1)} MiB, ${trend}: ${isFlat ? 'flat' : 'GROWS'}`);
  }
  say(JSON.stringify(counts, null, 2));
  return summary.differences.length === 0 && Object.values(memory).every(({ isFlat }) => isFlat);
}

function secondsOf(text: string): number {
  const match = /^(\d+)([smh])$/.exec(text);
  if (match === null) throw new Error(`${text} is no time such as 30s, 30m or 1h`);
  return Number(match[1]) * UNITS_S[match[2] as keyof typeof UNITS_S];
}
