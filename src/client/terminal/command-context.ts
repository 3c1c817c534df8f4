import type { ChatClient, GroupStatus, HistoryLine, SendAs } from '../chat-client.ts';

/** Where a command was typed, and what it can reach. */
export interface CommandContext {
  readonly client: ChatClient;
  /** The group talked in; `undefined` while waiting for an invitation. */
  readonly current: GroupStatus | undefined;
  /** Rows for the person who typed the command. Harmless already. */
  say(rows: readonly string[]): void;
  /** Lines of the history, asked for. */
  show(lines: readonly HistoryLine[]): void;
  switchTo(group: GroupStatus): Promise<void>;
  /** Sends to the group talked in, and shows it while it waits. */
  send(text: string, how: SendAs): Promise<unknown>;
  quit(): void;
  /** Whether the server was away when it was last heard of: trying it again is no news. */
  away(): boolean;
}
