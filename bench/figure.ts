/** One line of the bench: a measured value and, where a part can be named that it rests on, the ratio to that part in the same run. */
export interface Figure {
  readonly name: string;
  /** The measurement with its unit, for people. */
  readonly value: string;
  /** Against what the ratio stands, and the ratio. */
  readonly against?: { readonly what: string; readonly ratio: number };
  /** What it should be. */
  readonly target: string;
  readonly met: boolean;
}

export const perSecond = (count: number, milliseconds: number): number => (count * 1000) / milliseconds;
export const rate = (value: number, unit: string): string =>
  `${Math.round(value).toLocaleString('en')}${unit === '' ? '' : ` ${unit}`}/s`;
export const round = (value: number, digits = 2): number => Number(value.toFixed(digits));

/** The value below which `share` (0–1) of the samples lie. Sorts in place. */
export function quantile(samples: number[], share: number): number {
  samples.sort((a, b) => a - b);
  return samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? Number.NaN;
}

export function printFigures(title: string, figures: readonly Figure[]): void {
  console.log(`\n${title}`);
  for (const { name, value, against, target, met } of figures) {
    const ratio = against === undefined ? '' : `  = ${round(against.ratio)} × ${against.what}`;
    console.log(`  ${met ? 'reached' : 'MISSED '}  ${name}: ${value}${ratio}   (target ${target})`);
  }
}
