import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { createApp } from '../../api/app.ts';
import { createSignatureChecks } from '../../api/auth/signature-checks.ts';
import { createTickets, TICKET_KEY_BYTES } from '../../api/auth/tickets.ts';
import { type HttpServer, openHttpServer } from '../../api/http-server.ts';
import { createReceiptSigner, deriveKey } from '../../api/receipts.ts';
import type { BlobStore } from '../../log/blobs.ts';
import { type Close, closeAll, closedAfter } from '../../log/close-all.ts';
import { LogError } from '../../log/errors.ts';
import { acquireFolderLock } from '../../log/folder-lock.ts';
import { findNatsServer, searchPlaces } from '../../log/nats-server/find.ts';
import { type Log, type LogDescription, type LogPlace, openLog } from '../../log/open-log.ts';
import { finishSwap } from '../../log/swap-store.ts';
import { createNodeSuite } from '../../mls/suite-node.ts';
import type { Projections } from '../../projections/open-projections.ts';
import { storedCheckpoint } from '../../projections/store/environment.ts';
import type { Limits } from '../../wire/limits.ts';
import type { ServerConfig } from './config.ts';
import { createDiskRoom } from './disk-room.ts';
import { makePrivateFolder, readDomainSecret } from './domain-secret.ts';
import { isRollback, openFold } from './open-fold.ts';

/** A server that serves. */
export interface RunningServer extends AsyncDisposable {
  readonly url: string;
  readonly http: HttpServer;
  readonly log: Log;
  readonly projections: Projections;
  readonly description: LogDescription;
  /** Stops accepting, finishes what runs, ends streams with a resumable reason, closes everything in reverse order. */
  close(): Promise<void>;
}

export interface OpenServerOptions {
  readonly config: ServerConfig;
  readonly version: string;
  readonly logger: Logger;
  readonly signal?: AbortSignal;
  readonly now?: () => number;
  /** Whether more may be stored; the disk of the data folder says it unless something else is to. */
  readonly hasRoom?: () => boolean;
}

const CURSOR_KEY_BYTES = 32;

/**
 * Puts the server together: lock, secret, log, tables, HTTP, in this order.
 *
 * @throws LogError `locked` for a second instance on the folder, `rolled-back`, `incarnation-changed` or `log-missing`
 *   when the log is not the one the tables were made from and `acceptRollback` does not say otherwise, and what the
 *   parts throw. What was opened is closed again.
 */
export async function openServer(options: OpenServerOptions): Promise<RunningServer> {
  const { config, version, logger, signal, now = Date.now } = options;
  const bootSecond = Math.ceil(now() / 1000);
  const opened: Close[] = [];
  try {
    await makePrivateFolder(config.dataFolder);
    opened.push((await acquireFolderLock(config.dataFolder, signal)).close);
    await finishSwap(config.dataFolder);
    const secret = await readDomainSecret(config.secretFile);
    const tables = join(config.dataFolder, 'tables');
    const { log, fresh } = await openServerLog(options, tables);
    opened.push(log.close);
    const replicas = config.log.kind === 'remote' ? config.log.replicas : 1;
    const blobs = await log.openBlobs({ retentionMs: config.limits.attachmentRetentionMs, replicas });
    // without it devices are added by their long codes
    const offers = await log
      .openOffers({ retentionMs: config.limits.deviceOfferTtlMs, replicas })
      .catch((error: unknown) => {
        if (signal?.aborted === true || !(error instanceof LogError)) throw error;
        logger.warn({ err: error }, 'no short link codes until the next start: their stream cannot be opened');
        return undefined;
      });
    const limits = limitsOf(log, blobs, options);
    const projections = await openFold({
      tables,
      log,
      cursorKey: deriveKey(secret, 'cursors', CURSOR_KEY_BYTES),
      acceptRollback: config.acceptRollback,
      fresh,
      logger,
      ...(signal === undefined ? {} : { signal }),
    });
    opened.push(() => projections.close());
    await projections.ready;
    const closing = new AbortController();
    const signatures = createSignatureChecks({
      onFailure: (error) => logger.error({ err: error }, 'the thread that checks signatures failed'),
    });
    opened.push(signatures.close);
    const app = createApp({
      domain: config.domain,
      version,
      limits,
      operation: config.operation,
      readModel: projections.read,
      log,
      blobs,
      ...(offers === undefined ? {} : { offers }),
      suite: createNodeSuite(),
      signer: createReceiptSigner(secret),
      signatures,
      tickets: createTickets(deriveKey(secret, 'sessions', TICKET_KEY_BYTES), config.domain),
      logger,
      now,
      bootSecond,
      behindTlsProxy: config.behindTlsProxy,
      hasRoom: options.hasRoom ?? createDiskRoom(config.dataFolder),
      closing: closing.signal,
    });
    await until(bootSecond * 1000, now);
    const http = await openHttpServer(app, { ...config, headersTimeoutMs: config.operation.headersTimeoutMs });
    opened.push(() => {
      closing.abort();
      return http.close();
    });
    let closed: Promise<void> | undefined;
    const close = (): Promise<void> => {
      closed ??= closeAll(opened);
      return closed;
    };
    const description = await log.describe();
    return { url: http.url, http, log, projections, description, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    throw await closedAfter(error, opened);
  }
}

/** The log; begun anew when it is gone and that was accepted. `fresh`: then the tables have to go as well. */
async function openServerLog(
  { config, logger, signal }: OpenServerOptions,
  tables: string,
): Promise<{ readonly log: Log; readonly fresh: boolean }> {
  const place = await logPlace(config);
  const open = (tablesEmpty: boolean): Promise<Log> =>
    openLog({
      place,
      domain: config.domain,
      tablesEmpty,
      pastEpochs: config.limits.pastEpochs,
      ...(config.log.kind === 'remote' ? { replicas: config.log.replicas } : {}),
      ...(signal === undefined ? {} : { signal }),
      onNotice: (text) => logger.info(text),
    });
  try {
    return { log: await open((await storedCheckpoint(tables)) === undefined), fresh: false };
  } catch (error) {
    if (!isRollback(error) || !config.acceptRollback) throw error;
    return { log: await open(true), fresh: true };
  }
}

/** What decides which messages are placed is the log's, so that all nodes agree; a setting that differs is void, and said to be. */
function limitsOf(
  { pastEpochs }: Log,
  { maxBytes }: BlobStore,
  { config: { limits }, logger }: OpenServerOptions,
): Limits {
  if (limits.pastEpochs !== pastEpochs) {
    logger.warn(
      { log: pastEpochs, setting: limits.pastEpochs },
      'the log was begun with another pastEpochs: its own is used',
    );
  }
  return { ...limits, pastEpochs, attachmentMaxBytes: Math.min(limits.attachmentMaxBytes, maxBytes) };
}

async function logPlace({ log, dataFolder }: ServerConfig): Promise<LogPlace> {
  if (log.kind === 'embedded') {
    const places = searchPlaces(process.env);
    const binary = await findNatsServer(log.program === undefined ? places : { ...places, chosen: log.program });
    return { folder: join(dataFolder, 'nats'), binary };
  }
  const { servers, credentialsFile, tokenFile, waitSeconds = 0 } = log;
  return {
    servers,
    waitMs: waitSeconds * 1000,
    ...(credentialsFile === undefined ? {} : { credentials: await readFile(credentialsFile, 'utf8') }),
    ...(tokenFile === undefined ? {} : { token: (await readFile(tokenFile, 'utf8')).trim() }),
  };
}

/**
 * Signatures are taken from the first full second of this run on, so serving begins with it: a client's clock that
 * agrees with ours is never told that its request is stale. At most a second.
 */
async function until(timeMs: number, now: () => number): Promise<void> {
  const left = timeMs - now();
  if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
}
