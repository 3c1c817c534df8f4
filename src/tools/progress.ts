/** Where progress goes: standard error, a terminal or not. */
export interface ProgressOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

/** Tells a person how far something has come. */
export interface Progress {
  /** `total` may be 0: nothing to do. */
  report(what: string, done: number, total: number): void;
  /** A line of its own, above what is reported. */
  say(line: string): void;
  /** Ends the line of the last report. */
  end(): void;
}

const BAR_CELLS = 30;
const BAR_EVERY_MS = 100;
const LINE_EVERY_MS = 2_000;
const CLEAR_LINE = '\r\u001b[2K';

/** A bar on a terminal; elsewhere a plain line now and then, the first at once. */
export function createProgress(output: ProgressOutput, nowMs: () => number = () => performance.now()): Progress {
  const isTerminal = output.isTTY === true;
  const every = isTerminal ? BAR_EVERY_MS : LINE_EVERY_MS;
  let shown = '';
  let shownAt = Number.NEGATIVE_INFINITY;
  let wasLast = false;
  let bar = false;
  const end = (): void => {
    if (bar) output.write(CLEAR_LINE);
    bar = false;
  };
  return {
    report(what, done, total) {
      const now = nowMs();
      const isLast = done >= total;
      if (what === shown && (wasLast || (!isLast && now - shownAt < every))) return;
      shown = what;
      wasLast = isLast;
      shownAt = now;
      const share = total === 0 ? 1 : Math.min(1, done / total);
      const percent = `${Math.floor(total === 0 ? 100 : Math.min(100, (100 * done) / total))} %`.padStart(5);
      if (isTerminal) {
        const full = Math.round(share * BAR_CELLS);
        output.write(
          `${CLEAR_LINE}${what} [${'█'.repeat(full)}${'░'.repeat(BAR_CELLS - full)}]${percent} ${done}/${total}`,
        );
        bar = true;
      } else output.write(`${what}:${percent} (${done} of ${total})\n`);
    },
    say(line) {
      end();
      output.write(`${line}\n`);
    },
    end,
  };
}

/** For callers that nobody watches. */
export const NO_PROGRESS: Progress = { report: () => undefined, say: () => undefined, end: () => undefined };
