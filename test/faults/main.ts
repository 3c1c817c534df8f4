import yargs from 'yargs';
import { playRounds } from './rounds.ts';
import { soak } from './soak.ts';

const UNITS_S = { s: 1, m: 60, h: 3_600 } as const;

const values = await yargs(process.argv.slice(2))
  .scriptName('npm run faults --')
  .usage(
    '$0 [--rounds N] [--seed N] [--pause TIME] | --soak TIME\n\nLong runs by hand, with a summary; times are such as 30s, 30m or 1h.',
  )
  .options({
    rounds: { type: 'number', default: 200, describe: 'so many rounds, each with one fault under load' },
    seed: { type: 'number', describe: 'of the rounds; by chance unless given' },
    pause: { type: 'string', default: '30s', coerce: secondsOf, describe: 'how long a stopped process stays stopped' },
    soak: { type: 'string', coerce: secondsOf, describe: 'no faults, but load for so long, and a look at memory' },
  })
  .check(
    ({ rounds, seed }) =>
      [rounds, seed ?? 0].every((n) => Number.isSafeInteger(n) && n >= 0) || 'a whole number is needed',
  )
  .version(false)
  .strict()
  .parseAsync();
const say = (text: string): void => void process.stdout.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
process.exitCode = (await (values.soak === undefined ? rounds() : soakFor(values.soak))) ? 0 : 1;

async function rounds(): Promise<boolean> {
  const seed = values.seed ?? Math.floor(Math.random() * 2 ** 31);
  const count = values.rounds;
  say(`${count} rounds, seed ${seed}`);
  const summary = await playRounds({
    seed,
    rounds: count,
    pauseMs: values.pause * 1000,
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
