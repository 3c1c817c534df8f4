import type { HistoryLine } from '../chat-client.ts';

/**
 * Parts lines into what was read before and what was not: the last `unread` messages of others (having been invited
 * counts as one) and all between and after them, together with the control lines directly before them.
 */
export function splitUnread(
  lines: readonly HistoryLine[],
  unread: number,
): { readonly read: readonly HistoryLine[]; readonly unread: readonly HistoryLine[] } {
  let start = lines.length;
  let left = unread;
  for (let i = lines.length - 1; i >= 0 && unread > 0; i -= 1) {
    const line = lines[i];
    const counts = (line?.kind === 'message' && !line.own) || line?.kind === 'joined';
    if (left === 0 && line?.kind === 'message') break;
    if (counts) left -= 1;
    start = i;
  }
  return { read: lines.slice(0, start), unread: lines.slice(start) };
}
