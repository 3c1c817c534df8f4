import { neutralise } from './neutralise.ts';

/** A line that takes longer than this is shown above the prompt until it is done. */
const SHOWN_AFTER_MS = 300;
/** Lines shown that wait or run; more are only counted. */
const SHOWN_MAX = 4;

export interface TypedLine {
  begin(): void;
  /** What it has to say; under its own words again when others have spoken since. */
  say(rows: readonly string[]): void;
  done(): void;
}

/**
 * When a line is said again, so that its answer stands under it: a command when its turn comes; one that sends something only
 * when there is an answer, for else it stands in the talk; a message never.
 */
export type Echo = 'at-once' | 'with-answer' | 'never';

/** Lines that were entered and are not done: commands that wait for a server, and whatever waits behind them. */
export interface TypedLines {
  add(line: string, echo: Echo): TypedLine;
  /** Something else was printed: a slow line's answer is no longer under its words. */
  interrupted(): void;
  /** Footer rows. Harmless. */
  notes(): string[];
  stop(): void;
}

interface Entry {
  /** Harmless. */
  readonly text: string;
  /** It waits behind others, or has run for a while. */
  slow: boolean;
}

/** @param view `say` prints rows for good; `echo` one of a person's own words; `changed`: the notes are different */
export function createTypedLines(view: {
  say(rows: readonly string[]): void;
  echo(row: string): void;
  changed(): void;
}): TypedLines {
  const entries = new Set<Entry>();
  const timers = new Set<NodeJS.Timeout>();
  let lastSaid: Entry | undefined;

  const echo = (entry: Entry) => {
    lastSaid = entry;
    view.echo(entry.text);
  };

  const watch = (entry: Entry): NodeJS.Timeout => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      entry.slow = true;
      view.changed();
    }, SHOWN_AFTER_MS);
    timers.add(timer);
    return timer;
  };

  return {
    add: (line, when) => {
      const entry: Entry = { text: `> ${neutralise(line.trim())}`, slow: entries.size > 0 };
      entries.add(entry);
      let timer: NodeJS.Timeout | undefined;
      return {
        begin: () => {
          entry.slow = false;
          if (when !== 'never') timer = watch(entry);
          if (when === 'at-once') echo(entry);
          view.changed();
        },
        say: (rows) => {
          if (rows.length === 0) return;
          if (when !== 'never' && lastSaid !== entry) echo(entry);
          view.say(rows);
        },
        done: () => {
          clearTimeout(timer);
          if (timer !== undefined) timers.delete(timer);
          entries.delete(entry);
          view.changed();
        },
      };
    },
    interrupted: () => {
      if (lastSaid?.slow === true) lastSaid = undefined;
    },
    notes: () => {
      const shown = [...entries].filter(({ slow }) => slow).map(({ text }) => `${text} …`);
      const hidden = shown.length - SHOWN_MAX;
      return hidden > 0 ? [...shown.slice(0, SHOWN_MAX), `… ${hidden} more ${hidden === 1 ? 'waits' : 'wait'}`] : shown;
    },
    stop: () => {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
    },
  };
}
