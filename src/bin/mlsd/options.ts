import { homedir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_OPERATION_LIMITS } from '../../api/deps.ts';
import { DEFAULT_LIMITS } from '../../wire/limits.ts';

/** One setting: the same name as a flag, as `MLSD_*` in the environment and as a member of the config file. */
export interface OptionSpec {
  readonly type: 'string' | 'number' | 'boolean' | 'list';
  readonly about: string;
  /** Shown by `--help`. */
  readonly fallback?: string;
  /** What stands after the flag, as `--help` calls it; a flag that takes nothing has none. */
  readonly placeholder?: string;
  readonly group: 'Listening' | 'Storage' | 'Cluster' | 'Operation';
}

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Every number that `--limit` may set. */
export const LIMIT_NAMES: readonly string[] = [
  ...Object.keys(DEFAULT_LIMITS),
  ...Object.keys(DEFAULT_OPERATION_LIMITS),
];

/** `yes` or `no` as people write it; `undefined` when it is neither. */
export function asYesOrNo(value: unknown): boolean | undefined {
  if (value === true || value === 'true' || value === '1' || value === 'yes') return true;
  if (value === false || value === 'false' || value === '0' || value === 'no') return false;
  return undefined;
}

export const DEFAULT_PORT = 4000;
export const DEFAULT_HOST = '127.0.0.1';
export const DEFAULT_DOMAIN = 'localhost';
/** Longer than a cluster takes that is started together with its servers. */
export const DEFAULT_NATS_WAIT_SECONDS = 120;

export function defaultDataFolder(): string {
  return join(homedir(), '.mlsd');
}

/** The settings of `mlsd serve`; flags, environment and config file are all read by this one table. */
export const OPTIONS = {
  port: {
    type: 'number',
    group: 'Listening',
    placeholder: 'PORT',
    about: 'port to listen on; 0 takes any free one',
    fallback: String(DEFAULT_PORT),
  },
  host: {
    type: 'string',
    group: 'Listening',
    placeholder: 'ADDRESS',
    about: 'address to listen on; anything but loopback needs --behind-tls-proxy',
    fallback: DEFAULT_HOST,
  },
  domain: {
    type: 'string',
    group: 'Listening',
    placeholder: 'NAME',
    about: 'the name of this server, part of every identity: fixed once the log has begun',
    fallback: DEFAULT_DOMAIN,
  },
  'behind-tls-proxy': {
    type: 'boolean',
    group: 'Listening',
    about: 'a proxy in front ends TLS: listen anywhere, believe its X-Forwarded-For, expect https in signatures',
    fallback: 'no',
  },
  data: {
    type: 'string',
    group: 'Storage',
    placeholder: 'DIR',
    about: 'folder of everything this server keeps, readable by its owner only',
    fallback: '~/.mlsd',
  },
  'secret-file': {
    type: 'string',
    group: 'Storage',
    placeholder: 'FILE',
    about: 'the secret of the domain, shared by all its nodes; made when missing',
    fallback: 'DIR/secret',
  },
  'accept-rollback': {
    type: 'boolean',
    group: 'Storage',
    about: 'the log went back or was lost, and that is accepted: begin a new incarnation, rebuild the tables',
    fallback: 'no',
  },
  nats: {
    type: 'list',
    group: 'Cluster',
    placeholder: 'URL',
    about: 'NATS servers of somebody else instead of an own nats-server; repeatable, or with commas',
  },
  'nats-credentials': {
    type: 'string',
    group: 'Cluster',
    placeholder: 'FILE',
    about: 'NATS credentials file for --nats',
  },
  'nats-token-file': {
    type: 'string',
    group: 'Cluster',
    placeholder: 'FILE',
    about: 'file with the NATS token for --nats',
  },
  'nats-wait': {
    type: 'number',
    group: 'Cluster',
    placeholder: 'SECONDS',
    about: 'how long to wait at the start for the servers of --nats that are not there yet; 0: not at all',
    fallback: String(DEFAULT_NATS_WAIT_SECONDS),
  },
  replicas: {
    type: 'number',
    group: 'Cluster',
    placeholder: 'N',
    about: 'replicas of the log (1, 3 or 5) when --nats has to make it',
    fallback: '1',
  },
  'nats-server': {
    type: 'string',
    group: 'Storage',
    placeholder: 'PATH',
    about: 'the nats-server program to run, without --nats; else the first good one on PATH or in the cache',
  },
  limit: {
    type: 'list',
    group: 'Operation',
    placeholder: 'NAME=N',
    about: `another value for a limit; repeatable, or with commas. Names: ${LIMIT_NAMES.join(', ')}`,
  },
  'log-level': {
    type: 'string',
    group: 'Operation',
    placeholder: 'LEVEL',
    about: `how much to say on standard error, as JSON lines: ${LOG_LEVELS.join(', ')}`,
    fallback: 'info',
  },
} as const satisfies Record<string, OptionSpec>;

export type OptionName = keyof typeof OPTIONS;
export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[];

/** `behind-tls-proxy` → `MLSD_BEHIND_TLS_PROXY`. */
export function variableOf(name: OptionName | 'config-file'): string {
  return `MLSD_${name.toUpperCase().replaceAll('-', '_')}`;
}
