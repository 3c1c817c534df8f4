/** `npm run bench [-- log projections server commits client]`: prints the figures, exits 1 when one misses its target. */
import { type Figure, printFigures } from './figure.ts';
import { describeChange, describeMachine, type Machine, measureMachine } from './machine.ts';

/** Absolute targets, rates and latencies, are in proportion to the machine; ratios are the same everywhere. */
interface Suite {
  readonly run: (machine: Machine) => Promise<readonly Figure[]>;
  /** Its targets are in proportion to what it measured itself, between its loads. */
  readonly measuresMachine?: true;
}

const SUITES: Record<string, () => Promise<Suite>> = {
  log: () => import('./log.ts'),
  projections: () => import('./projections.ts'),
  server: () => import('./server.ts'),
  commits: () => import('./commits.ts'),
  client: () => import('./client.ts'),
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(SUITES, name));
if (unknown.length > 0) {
  console.error(`no such bench: ${unknown.join(', ')}; there are ${Object.keys(SUITES).join(', ')}`);
  process.exit(2);
}
const machine = measureMachine();
console.log(`This machine: ${describeMachine(machine)}.`);
let before = machine;
let missed = 0;
for (const name of asked.length > 0 ? asked : Object.keys(SUITES)) {
  const { run, measuresMachine } = await SUITES[name]!();
  const figures = await run(machine);
  const after = measureMachine();
  const change = describeChange(before, after);
  printFigures(name, figures);
  if (change !== undefined && measuresMachine === undefined) console.log(`  note     ${change}`);
  before = after;
  missed += figures.filter(({ met }) => !met).length;
}
process.exitCode = missed === 0 ? 0 : 1;
