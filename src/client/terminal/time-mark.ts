/** A quiet hour in a conversation is worth a mark; a time on every line is not. */
const TIME_MARK_GAP_MS = 15 * 60 * 1000;

/**
 * The separator that belongs before a line: the day when it is another one than that of the line before (or of `today`, for
 * the first line), the time after a pause; else nothing.
 *
 * @param previous time of the line before, milliseconds since 1970
 * @param timeZone IANA name; the machine's own where not given
 */
export function timeMark(
  previous: number | undefined,
  time: number,
  now: number,
  timeZone?: string | undefined,
): string | undefined {
  const day = dayText(time, timeZone);
  const clock = clockText(time, timeZone);
  if (dayText(previous ?? now, timeZone) !== day) return `── ${day}, ${clock} ──`;
  if (previous === undefined || time - previous >= TIME_MARK_GAP_MS) return `── ${clock} ──`;
  return undefined;
}

/** Put together by hand: whole dates are written differently from one ICU to the next. */
function dayText(time: number, timeZone: string | undefined): string {
  const format = { weekday: 'long', day: 'numeric', month: 'long', year: 'numeric' } as const;
  const parts = new Intl.DateTimeFormat('en-GB', { ...format, timeZone }).formatToParts(time);
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.find((each) => each.type === type)?.value ?? '';
  return `${part('weekday')}, ${part('day')} ${part('month')} ${part('year')}`;
}

function clockText(time: number, timeZone: string | undefined): string {
  return new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone }).format(time);
}
