/** Ratios of two kinds of work that are measured side by side, so that both meet the same machine. */
import { cpuMs } from './client-world.ts';
import { quantile, round } from './figure.ts';

/** One round: what each of two kinds of work took, in ms of CPU. */
export interface Pair {
  readonly ours: number;
  readonly theirs: number;
}

/** Of some rounds. The ratio is the median of each round's own. */
export interface Paired extends Pair {
  readonly ratio: number;
  /** The quartiles of the ratios and how many there are, for people. */
  readonly spread: string;
}

export function summarize(rounds: readonly Pair[]): Paired {
  const ratios = rounds.map(({ ours, theirs }) => ours / theirs);
  const median = (of: (pair: Pair) => number): number => quantile(rounds.map(of), 0.5);
  const [low, high] = [quantile(ratios, 0.25), quantile(ratios, 0.75)];
  return {
    ours: median(({ ours }) => ours),
    theirs: median(({ theirs }) => theirs),
    ratio: quantile(ratios, 0.5),
    spread: `quartiles ${round(low)}–${round(high)} of ${rounds.length} rounds`,
  };
}

/** One after the other, in turn which is first: what the first leaves behind, garbage say, meets both alike. */
export async function inTurn(index: number, ours: () => Promise<void>, theirs: () => Promise<void>): Promise<Pair> {
  if (index % 2 === 0) return { ours: await costOf(ours), theirs: await costOf(theirs) };
  const second = await costOf(theirs);
  return { ours: await costOf(ours), theirs: second };
}

export function sum(pairs: readonly Pair[]): Pair {
  let [ours, theirs] = [0, 0];
  for (const pair of pairs) [ours, theirs] = [ours + pair.ours, theirs + pair.theirs];
  return { ours, theirs };
}

export async function costOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  return cpuMs(before);
}
