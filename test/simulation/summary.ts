import { FAULT_KINDS, type FaultCounts, type FaultKind } from './faults.ts';
import type { HistoryResult } from './history.ts';

/** Many histories, added up. */
export interface Summary {
  add(result: HistoryResult): void;
  readonly histories: number;
  readonly violated: readonly HistoryResult[];
  /** Kinds of faults that no history had. */
  readonly missing: readonly FaultKind[];
  render(): string;
}

export function createSummary(): Summary {
  const faults: FaultCounts = new Map();
  const violated: HistoryResult[] = [];
  let histories = 0;
  let events = 0;
  let entries = 0;
  let commits = 0;
  let virtualMs = 0;
  const missing = (): FaultKind[] => FAULT_KINDS.filter((kind) => !faults.has(kind));
  return {
    add(result) {
      histories += 1;
      events += result.events;
      entries += result.entries;
      commits += result.commits;
      virtualMs += result.virtualMs;
      for (const [kind, count] of result.faults) faults.set(kind, (faults.get(kind) ?? 0) + count);
      if (result.violations.length > 0) violated.push(result);
    },
    get histories() {
      return histories;
    },
    violated,
    get missing() {
      return missing();
    },
    render() {
      const hours = (virtualMs / 3_600_000).toFixed(1);
      return [
        `${histories} histories, ${events} steps, ${hours} hours of virtual time`,
        `${entries} entries placed, ${commits} of them commits`,
        'faults:',
        ...FAULT_KINDS.map((kind) => `  ${String(faults.get(kind) ?? 0).padStart(8)}  ${kind}`),
        `violations: ${violated.length}`,
        ...violated.map(({ seed, violations }) => `  seed ${seed}: ${tellViolation(violations)}`),
      ].join('\n');
    },
  };
}

function tellViolation([first]: HistoryResult['violations']): string {
  return first === undefined ? '' : `${first.rule}: ${first.text}`;
}
