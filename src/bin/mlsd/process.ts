import type { Writable } from 'node:stream';

export const EXIT = { done: 0, error: 1, usage: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The process as a command sees it. */
export interface MlsdProcess {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdout: { write(text: string): unknown; readonly columns?: number };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  /** For files that are given as `-`. */
  readonly binary?: { readonly input: AsyncIterable<Uint8Array>; readonly output: Writable };
  readonly version: string;
  /** Aborted by SIGTERM or SIGINT. */
  readonly stopping: AbortSignal;
}
