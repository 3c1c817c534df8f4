/** How much a finding matters: `bad` has to be mended, `warn` is worth a thought. */
export type Level = 'ok' | 'warn' | 'bad';

/** One thing that was looked at. */
export interface Finding {
  readonly level: Level;
  /** What was looked at: `disk`. */
  readonly what: string;
  /** What it is like: `12 GiB free of 40 GiB`. */
  readonly detail: string;
  /** What to do; absent when it is fine. */
  readonly advice?: string;
}

/** Nothing to do. */
export function ok(what: string, detail: string): Finding {
  return { level: 'ok', what, detail };
}

/** Worth a thought. */
export function warn(what: string, detail: string, advice: string): Finding {
  return { level: 'warn', what, detail, advice };
}

/** Has to be mended. */
export function bad(what: string, detail: string, advice: string): Finding {
  return { level: 'bad', what, detail, advice };
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `12.3 GiB` */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`;
}

/** `3 h`, `12 s`, `40 ms` */
export function formatMs(ms: number): string {
  const size = Math.abs(ms);
  if (size >= 3_600_000) return `${Math.round(ms / 3_600_000)} h`;
  if (size >= 10_000) return `${Math.round(ms / 1_000)} s`;
  return size >= 1_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Number(ms.toFixed(1))} ms`;
}
