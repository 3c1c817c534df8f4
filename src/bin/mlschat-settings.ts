import { resolve } from 'node:path';
import { DAY_MS, ROTATION, type RotationPolicy } from '../client/engine/rotation.ts';
import type { Notify } from '../client/terminal/mention.ts';
import type { Task } from '../client/terminal/run-task.ts';
import { blockFromCursor } from '../wire/cursor.ts';
import { type AccountId, type Cursor, isShortId, START_CURSOR } from '../wire/ids.ts';
import { checkName } from '../wire/names.ts';

/** Where a server is looked for when nothing else is said. */
export const DEFAULT_SERVER = 'http://localhost:4000';

/** How the store is opened, where it is encrypted. */
export interface SecretSettings {
  /** The store of a new folder is to be encrypted. */
  readonly encrypt?: true;
  /** Absolute path of what stands for the passphrase. */
  readonly keyFile?: string;
}

export interface DeviceSettings extends SecretSettings {
  /** Origin of the server, without a slash at the end. */
  readonly server: string;
  /** Absolute path of the new device's own folder. */
  readonly config: string;
}

export interface ChatSettings extends SecretSettings {
  /** Origin of the server, without a slash at the end. */
  readonly server: string;
  /** Absolute path of the folder that holds keys, history and outbox. */
  readonly config: string;
  readonly group: string;
  readonly userName: string;
  readonly since: Cursor | undefined;
  /** `undefined`: as long as there is input. */
  readonly follow: boolean | undefined;
  readonly json: boolean;
  readonly notify: Notify;
  /** When keys are renewed by themselves; what is not said is as always. */
  readonly rotation: RotationPolicy;
  /** One thing to be done instead of a chat. */
  readonly task?: Task;
}

export type ParsedArguments =
  | { readonly kind: 'run'; readonly settings: ChatSettings }
  /** A device that is to be part of an account which is there already; `account` of `link` alone. */
  | ({ readonly kind: 'link'; readonly account: AccountId; readonly long?: boolean } & DeviceSettings)
  | ({ readonly kind: 'recover' } & DeviceSettings)
  | ({ readonly kind: 'audit'; readonly config: string; readonly json: boolean } & SecretSettings)
  | ({ readonly kind: 'encrypt'; readonly config: string } & SecretSettings)
  /** `newKeyFile`: what is to stand for the passphrase from then on. */
  | ({ readonly kind: 'passwd'; readonly config: string; readonly newKeyFile?: string } & SecretSettings)
  /** `yes`: nobody is asked before the damaged store is replaced. */
  | ({ readonly kind: 'repair'; readonly config: string; readonly yes: boolean } & SecretSettings)
  /** Asked for and printed to standard output: help or version. */
  | { readonly kind: 'text'; readonly text: string }
  /** A sentence that names the argument and what is wrong with it. */
  | { readonly kind: 'usage'; readonly reason: string };

/** As it came from the command line and the environment. */
interface Typed {
  readonly server: string;
  readonly config: string;
  readonly group: string;
  readonly userName: string;
  readonly since: string | undefined;
  readonly follow: boolean | undefined;
  readonly json: boolean;
  readonly notify: Notify;
  readonly rotation: RotationPolicy;
  readonly task: Task | undefined;
  readonly secret: SecretSettings;
}

/** What was typed for a chat, checked. */
export function checkSettings(typed: Typed): ParsedArguments {
  const group = checkName(typed.group);
  if (!group.ok) return usage(`the group "${typed.group}" cannot be: ${group.reason}`);
  const userName = checkName(typed.userName);
  if (!userName.ok || typed.userName.startsWith('#')) {
    return usage(`the user name "${typed.userName}" cannot be: ${userName.ok ? 'a name has no "#"' : userName.reason}`);
  }
  const server = serverOrigin(typed.server);
  if (server === undefined) return usage(`--server "${typed.server}" is not an address like ${DEFAULT_SERVER}`);
  if (typed.config === '') return usage('--config needs a folder');
  const { since } = typed;
  if (since !== undefined && since !== START_CURSOR && blockFromCursor(since) === undefined) {
    return usage(`--since-cursor "${since}" is not a cursor; take one that --json printed, or "start"`);
  }
  return {
    kind: 'run',
    settings: {
      server,
      config: resolve(typed.config),
      group: group.name,
      userName: userName.name,
      since: since as Cursor | undefined,
      follow: typed.follow,
      json: typed.json,
      notify: typed.notify,
      rotation: typed.rotation,
      ...typed.secret,
      ...(typed.task === undefined ? {} : { task: typed.task }),
    },
  };
}

/** A flag that is given again counts as it was given last. */
export function lastOf(typed: unknown): string {
  return String(Array.isArray(typed) ? typed.at(-1) : typed);
}

/** A text says what is wrong. */
export function rotationOf(messages: string | undefined, days: string | undefined): RotationPolicy | string {
  const afterMessages = messages === undefined ? ROTATION.afterMessages : Number(messages);
  const afterMs = days === undefined ? ROTATION.afterMs : Number(days) * DAY_MS;
  if (!Number.isSafeInteger(afterMessages) || afterMessages < 0) {
    return `--rotate-after-messages "${messages}" is no number of messages`;
  }
  if (!Number.isFinite(afterMs) || afterMs < 0) return `--rotate-after-days "${days}" is no number of days`;
  const never = Number.POSITIVE_INFINITY;
  return { afterMessages: afterMessages || never, afterMs: afterMs || never };
}

/** What was typed for a new device, checked. */
export function checkDevice(
  kind: 'link' | 'recover',
  typed: DeviceSettings,
  account: string,
  long: boolean,
): ParsedArguments {
  const server = serverOrigin(typed.server);
  if (server === undefined) return usage(`--server "${typed.server}" is not an address like ${DEFAULT_SERVER}`);
  if (typed.config === '') return usage('--config needs a folder');
  const settings = { ...typed, server, config: resolve(typed.config) };
  if (kind === 'recover') return { kind, ...settings };
  if (!isShortId(account)) return usage(`"${account}" is no account id; /link on your other device shows yours`);
  return { kind, account: account as AccountId, ...(long ? { long } : {}), ...settings };
}

/** Paths, queries and names with passwords are refused: a request's signature covers the origin as typed. */
function serverOrigin(typed: string): string | undefined {
  if (!URL.canParse(typed)) return undefined;
  const url = new URL(typed);
  const plain =
    url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  return plain && (url.protocol === 'http:' || url.protocol === 'https:') ? url.origin : undefined;
}

/** Which of the ways to open the store were named. */
export function secretSettings(parsed: {
  readonly encrypt: boolean;
  readonly keyFile?: string | undefined;
}): SecretSettings {
  const { encrypt, keyFile } = parsed;
  return { ...(encrypt ? { encrypt } : {}), ...(keyFile === undefined ? {} : { keyFile: resolve(keyFile) }) };
}

export function usage(reason: string): ParsedArguments {
  return { kind: 'usage', reason };
}
