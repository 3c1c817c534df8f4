import type { CommandName } from './command-table.ts';

/** Commands that leave a commit to be made: it is stored, and made whenever the server is there. */
const KEPT: ReadonlySet<CommandName> = new Set<CommandName>([
  'remove',
  'promote',
  'admin',
  'demote',
  'policy',
  'leave',
  'rotate',
  'rejoin',
]);
/** Commands that have to ask the server something first. */
const ASKING: ReadonlySet<CommandName> = new Set<CommandName>(['invite', 'join', 'create', 'rename', 'revoke', 'link']);

/**
 * What a person should know whose command takes long while the server is away; `undefined` when it makes no difference. Messages
 * of all kinds are not meant: they stand above the prompt until they are sent.
 */
export function awayNote(name: CommandName): string | undefined {
  if (KEPT.has(name)) return `offline: /${name} is kept, and done when the server answers`;
  if (ASKING.has(name)) return `offline: /${name} needs the server; it is tried for a while`;
  return undefined;
}
