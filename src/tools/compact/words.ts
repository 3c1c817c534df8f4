import { toBase64Url } from '../../wire/bytes.ts';
import { count } from '../words.ts';
import type { Compacted } from './compact.ts';

/** What came of a compaction, in sentences: ids and numbers, never names. */
export function linesOf({ plans, log }: Compacted): readonly string[] {
  const isPlan = log.kind === 'planned';
  const groups = plans.map(({ group, from, logStart, last, time }) => {
    const gone = `${entries(logStart - from)} before position ${logStart} (${new Date(time).toISOString()})`;
    return `group ${toBase64Url(group)}: ${gone} ${isPlan ? 'would go' : 'are no longer served'}, ${last - logStart + 1} stay`;
  });
  const all = plans.reduce((sum, { from, logStart }) => sum + logStart - from, 0);
  const sum = plans.length === 0 ? 'nothing goes by this policy' : `${entries(all)} of ${count(plans.length, 'group')}`;
  const summary = isPlan && plans.length > 0 ? `${sum} would go` : sum;
  return [...groups, summary, ...logLines(log)];
}

function logLines(log: Compacted['log']): readonly string[] {
  switch (log.kind) {
    case 'planned':
      return [];
    case 'nothing-left':
      return ['the log holds no message of them'];
    case 'kept':
      return [
        log.because === 'running'
          ? 'the log keeps their messages while the server runs: stop it and run mlsd compact again to remove them'
          : 'the log keeps their messages: it is in a cluster that is not this program’s to rewrite',
      ];
    case 'rewritten':
      return [`the log was written anew: ${log.bytesBefore} bytes of events before, ${log.bytesAfter} now`];
    default:
      return log satisfies never;
  }
}

function entries(number: number): string {
  return count(number, 'entry', 'entries');
}
