/** `npm run bench [-- log projections server client]`: prints the figures, exits 1 when one misses its target. */
import { type Figure, printFigures } from './figure.ts';

const SUITES: Record<string, () => Promise<{ run: () => Promise<readonly Figure[]> }>> = {
  log: () => import('./log.ts'),
  projections: () => import('./projections.ts'),
  server: () => import('./server.ts'),
  client: () => import('./client.ts'),
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(SUITES, name));
if (unknown.length > 0) {
  console.error(`no such bench: ${unknown.join(', ')}; there are ${Object.keys(SUITES).join(', ')}`);
  process.exit(2);
}
console.log('Ratios are of one run on one machine; absolute values move with it.');
let missed = 0;
for (const name of asked.length > 0 ? asked : Object.keys(SUITES)) {
  const { run } = await SUITES[name]!();
  const figures = await run();
  printFigures(name, figures);
  missed += figures.filter(({ met }) => !met).length;
}
process.exitCode = missed === 0 ? 0 : 1;
