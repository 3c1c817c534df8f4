import { parseArgs } from 'node:util';
import { createBaseImage } from './base-image.ts';
import { playHistory } from './history.ts';
import { createSummary } from './summary.ts';
import { THEMES, type Theme } from './theme.ts';

const USAGE = `npm run simulate -- [--seed N] [--histories N | --hours H] [--theme T] [--verbose]

  --seed N        the first seed; alone, this one history is played
  --histories N   how many, counting up from the seed
  --hours H       as many as fit into H hours
  --theme T       plain, or what happens besides the usual: ${THEMES.join(',')}; drawn from each seed by default
  --verbose       tells every history step by step`;
const HOUR_MS = 3_600_000;
const SAY_EVERY = 100;

const OPTIONS = {
  seed: { type: 'string' },
  histories: { type: 'string' },
  hours: { type: 'string' },
  theme: { type: 'string' },
  verbose: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

function read() {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    process.exit(2);
  }
}

const values = read();

function numberOf(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  console.error(`--${name} ${text} is no number\n\n${USAGE}`);
  process.exit(2);
}

if (values.help) {
  console.log(USAGE);
  process.exit(0);
}
function themeOf(text: string): Theme {
  const wanted = text.split(',').filter((name) => name !== 'plain');
  const unknown = wanted.find((name) => !THEMES.some((theme) => theme === name));
  if (unknown === undefined) return Object.fromEntries(THEMES.map((name) => [name, wanted.includes(name)])) as never;
  console.error(`--theme ${unknown} is none\n\n${USAGE}`);
  process.exit(2);
}

const theme = values.theme === undefined ? undefined : themeOf(values.theme);
const hours = numberOf(values.hours, 'hours');
const seed = numberOf(values.seed, 'seed');
const first = seed ?? 1;
const count =
  numberOf(values.histories, 'histories') ??
  (hours !== undefined ? Number.POSITIVE_INFINITY : seed !== undefined ? 1 : 1_000);
const end = hours === undefined ? Number.POSITIVE_INFINITY : Date.now() + hours * HOUR_MS;
const summary = createSummary();
const started = process.cpuUsage();
const image = await createBaseImage();
for (let next = first; next < first + count && Date.now() < end; next += 1) {
  if (values.verbose) console.log(`seed ${next}`);
  const result = await playHistory(image, next, {
    ...(theme === undefined ? {} : { theme }),
    ...(values.verbose ? { onNote: (text) => console.log(text) } : {}),
  });
  summary.add(result);
  for (const { rule, text } of result.violations) console.log(`seed ${next} violates "${rule}": ${text}`);
  if (summary.histories % SAY_EVERY === 0) console.error(`${summary.histories} histories`);
}
const { user, system } = process.cpuUsage(started);
console.log(summary.render());
console.log(`${((user + system) / 1000 / Math.max(1, summary.histories)).toFixed(0)} ms of processor time a history`);
process.exit(summary.violated.length === 0 ? 0 : 1);
