import { join, resolve } from 'node:path';
import { DEFAULT_OPERATION_LIMITS, type OperationLimits } from '../../api/deps.ts';
import { parseIdentity } from '../../mls/identity.ts';
import { DEFAULT_LIMITS, type Limits } from '../../wire/limits.ts';
import { nearest } from '../unknown-option.ts';
import {
  asYesOrNo,
  DEFAULT_DOMAIN,
  DEFAULT_HOST,
  DEFAULT_NATS_WAIT_SECONDS,
  DEFAULT_PORT,
  defaultDataFolder,
  LIMIT_NAMES,
  LOG_LEVELS,
  type LogLevel,
  type OptionName,
} from './options.ts';
import type { RawSettings, RawValue } from './raw-settings.ts';

/** Everything `mlsd serve` does depends on this, and on nothing else of argv, environment and files. */
export interface ServerConfig {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly domain: string;
  readonly behindTlsProxy: boolean;
  readonly dataFolder: string;
  readonly secretFile: string;
  readonly acceptRollback: boolean;
  readonly log: EmbeddedLog | RemoteLog;
  readonly limits: Limits;
  readonly operation: OperationLimits;
  readonly logLevel: LogLevel;
}

interface EmbeddedLog {
  readonly kind: 'embedded';
  readonly program?: string;
}

interface RemoteLog {
  readonly kind: 'remote';
  readonly servers: readonly string[];
  readonly credentialsFile?: string;
  readonly tokenFile?: string;
  readonly replicas: number;
  /** How long servers that are not there yet are waited for; not at all when left out. */
  readonly waitSeconds?: number;
}

export type ConfigCheck =
  | { readonly kind: 'config'; readonly config: ServerConfig }
  /** One sentence each, that names the setting where it was written and the reason. */
  | { readonly kind: 'refused'; readonly problems: readonly string[] };

const LOOPBACK = /^(127(\.\d{1,3}){3}|::1|localhost)$/;
const HOST = /^[A-Za-z0-9.:_-]{1,253}$/;
const NATS_PROTOCOLS = new Set(['nats:', 'tls:']);
const REPLICAS = [1, 3, 5];
const NATS_WAIT_MAX_SECONDS = 24 * 60 * 60;
/** What a timer of the platform takes: a longer one would fire at once. */
const TIMED = { least: 1, most: 2 ** 31 - 1 };
/** What JetStream takes as the age of a message. */
const AGED = { least: 100, most: 100 * 365 * 24 * 60 * 60 * 1000 };
/** Of other limits any whole number from 1 on makes sense. */
const LIMIT_RANGES: Readonly<Record<string, { readonly least: number; readonly most: number }>> = {
  headersTimeoutMs: TIMED,
  bodyTimeoutMs: TIMED,
  drainTimeoutMs: TIMED,
  heartbeatMs: TIMED,
  waitMaxMs: TIMED,
  attachmentRetentionMs: AGED,
  deviceOfferTtlMs: AGED,
};
/** Any account and device: only the domain of an identity made with them is in question. */
const SOME_ID = 'a'.repeat(32);

/** Second step: raw settings to a configuration that makes sense as a whole, or every reason why not. Pure. */
export function checkSettings(raw: RawSettings): ConfigCheck {
  const problems: string[] = [];
  const read = createReader(raw, problems);
  const host = read('host', asHost) ?? DEFAULT_HOST;
  const behindTlsProxy = read('behind-tls-proxy', asFlag) ?? false;
  const dataFolder = read('data', asPath) ?? defaultDataFolder();
  const changed = read('limit', asLimits) ?? {};
  const config: ServerConfig = {
    host,
    port: read('port', (value) => asInteger(value, 0, 65_535)) ?? DEFAULT_PORT,
    domain: read('domain', asDomain) ?? DEFAULT_DOMAIN,
    behindTlsProxy,
    dataFolder,
    secretFile: read('secret-file', asPath) ?? join(dataFolder, 'secret'),
    acceptRollback: read('accept-rollback', asFlag) ?? false,
    log: readLog(raw, read, problems),
    limits: pick(DEFAULT_LIMITS, changed),
    operation: pick(DEFAULT_OPERATION_LIMITS, changed),
    logLevel: read('log-level', asLogLevel) ?? 'info',
  };
  if (!LOOPBACK.test(host) && !behindTlsProxy) {
    problems.push(
      `${raw.host?.source ?? '--host'}: ${host} is reachable from elsewhere, and this server speaks plain HTTP. Put a proxy that ends TLS in front and say --behind-tls-proxy, or listen on 127.0.0.1`,
    );
  }
  return problems.length > 0 ? { kind: 'refused', problems } : { kind: 'config', config };
}

/** A value, or why it is none. */
type Parsed<Value> = { readonly value: Value } | { readonly reason: string };
type Reader = <Value>(name: OptionName, parse: (value: unknown) => Parsed<Value>) => Value | undefined;

function createReader(raw: RawSettings, problems: string[]): Reader {
  return (name, parse) => {
    const written: RawValue | undefined = raw[name];
    if (written === undefined) return undefined;
    const parsed = parse(written.value);
    if ('value' in parsed) return parsed.value;
    problems.push(`${written.source}: ${parsed.reason}, not ${JSON.stringify(written.value)}`);
    return undefined;
  };
}

function readLog(raw: RawSettings, read: Reader, problems: string[]): ServerConfig['log'] {
  const servers = read('nats', asServers);
  const program = read('nats-server', asProgram);
  const credentialsFile = read('nats-credentials', asPath);
  const tokenFile = read('nats-token-file', asPath);
  const replicas = read('replicas', asReplicas);
  const waitSeconds = read('nats-wait', (value) => asInteger(value, 0, NATS_WAIT_MAX_SECONDS));
  if (raw.nats === undefined) {
    for (const name of ['nats-credentials', 'nats-token-file', 'nats-wait', 'replicas'] as const) {
      if (raw[name] !== undefined) problems.push(`${raw[name].source}: only makes sense together with --nats`);
    }
    return { kind: 'embedded', ...(program === undefined ? {} : { program }) };
  }
  const chosen = raw['nats-server']?.source;
  if (chosen?.startsWith('--') === true) {
    problems.push(`${chosen}: makes no sense together with --nats`);
  }
  if (credentialsFile !== undefined && tokenFile !== undefined) {
    problems.push(`${raw['nats-token-file']?.source}: either credentials or a token, not both`);
  }
  return {
    kind: 'remote',
    servers: servers ?? [],
    replicas: replicas ?? 1,
    waitSeconds: waitSeconds ?? DEFAULT_NATS_WAIT_SECONDS,
    ...(credentialsFile === undefined ? {} : { credentialsFile }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  };
}

function asInteger(value: unknown, min: number, max: number): Parsed<number> {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
  if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max)
    return { value: number };
  return { reason: `has to be a whole number from ${min} to ${max}` };
}

function asReplicas(value: unknown): Parsed<number> {
  const parsed = asInteger(value, 1, 5);
  return 'value' in parsed && REPLICAS.includes(parsed.value) ? parsed : { reason: 'has to be 1, 3 or 5' };
}

function asFlag(value: unknown): Parsed<boolean> {
  const flag = asYesOrNo(value);
  return flag === undefined ? { reason: 'has to be true or false' } : { value: flag };
}

function asText(value: unknown, pattern: RegExp, reason: string): Parsed<string> {
  return typeof value === 'string' && pattern.test(value) ? { value } : { reason };
}

function asHost(value: unknown): Parsed<string> {
  return asText(value, HOST, 'has to be an address or a host name');
}

function asPath(value: unknown): Parsed<string> {
  const parsed = asText(value, /^[^\0]+$/, 'has to be a path');
  return 'value' in parsed ? { value: resolve(parsed.value) } : parsed;
}

/** A path, or a bare name that is looked up on `PATH` as a shell does. */
function asProgram(value: unknown): Parsed<string> {
  return typeof value === 'string' && /^[^/\0]+$/.test(value) ? { value } : asPath(value);
}

function asDomain(value: unknown): Parsed<string> {
  const isDomain =
    typeof value === 'string' && parseIdentity(`mimi://${value}/d/${SOME_ID}/${SOME_ID}`)?.domain === value;
  return isDomain ? { value } : { reason: 'has to be a domain name in lower case, such as chat.example' };
}

function asLogLevel(value: unknown): Parsed<LogLevel> {
  const level = LOG_LEVELS.find((name) => name === value);
  return level === undefined ? { reason: `has to be one of ${LOG_LEVELS.join(', ')}` } : { value: level };
}

/** A list as an array, or as one text with commas. */
function asList(value: unknown): readonly unknown[] {
  return (Array.isArray(value) ? value : [value]).flatMap((item) =>
    typeof item === 'string' ? item.split(',').map((part) => part.trim()) : [item],
  );
}

function asServers(value: unknown): Parsed<readonly string[]> {
  const servers = asList(value);
  const isServer = (server: unknown): server is string =>
    typeof server === 'string' && URL.canParse(server) && NATS_PROTOCOLS.has(new URL(server).protocol);
  return servers.every(isServer) ? { value: servers } : { reason: 'has to be URLs such as nats://127.0.0.1:4222' };
}

/** From `NAME=N` texts, or from an object in the config file. */
function asLimits(value: unknown): Parsed<Readonly<Record<string, number>>> {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const pairs = isObject ? Object.entries(value) : asList(value).map((item) => String(item).split('=', 2));
  const limits: Record<string, number> = {};
  for (const [name = '', amount] of pairs) {
    if (!LIMIT_NAMES.includes(name)) {
      const near = nearest(name, LIMIT_NAMES);
      const which = near === undefined ? 'that mlsd serve --help lists' : `(did you mean ${near}?)`;
      return { reason: `has to name a limit ${which}` };
    }
    const { least, most } = LIMIT_RANGES[name] ?? { least: 1, most: Number.MAX_SAFE_INTEGER };
    const parsed = asInteger(amount, least, most);
    if (!('value' in parsed)) return { reason: `has to give ${name} a whole number from ${least} to ${most}` };
    limits[name] = parsed.value;
  }
  return { value: limits };
}

function pick<Numbers extends object>(defaults: Numbers, changed: Readonly<Record<string, number>>): Numbers {
  const own = Object.entries(changed).filter(([name]) => Object.hasOwn(defaults, name));
  return { ...defaults, ...Object.fromEntries(own) };
}
