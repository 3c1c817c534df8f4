import type { Task } from '../client/terminal/run-task.ts';

/** Lines that `mlschat tail` prints when nothing else is said, as `tail` does. */
export const TAIL_LINES = 10;
const TAIL_LINES_MAX = 10_000;

/** Whether a first argument is one of the commands of {@link taskOf}. */
export function isTask(command: unknown): command is Task['kind'] {
  return command === 'send' || command === 'tail' || command === 'export';
}

/** What was asked for, from what yargs made of it; a text says what is wrong. */
export function taskOf(kind: Task['kind'], typed: Readonly<Record<string, unknown>>): Task | string {
  switch (kind) {
    case 'send': {
      // what stands after "--" is left beside the command's name
      const [words, rest] = [typed['text'], typed['_']].map((list) => (Array.isArray(list) ? list.map(String) : []));
      const all = [...(words ?? []), ...(rest ?? []).slice(1)];
      return { kind, text: all.length === 0 ? undefined : all.join(' ') };
    }
    case 'tail': {
      const lines = Number(typed['lines'] ?? TAIL_LINES);
      if (!Number.isSafeInteger(lines) || lines < 0 || lines > TAIL_LINES_MAX) {
        return `--lines "${String(typed['lines'])}" is no number from 0 to ${TAIL_LINES_MAX}`;
      }
      return { kind, lines, follow: typed['follow'] === true };
    }
    case 'export':
      return { kind, file: typeof typed['file'] === 'string' ? typed['file'] : undefined };
    default:
      return kind satisfies never;
  }
}
