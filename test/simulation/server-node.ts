import type { ApiDeps } from '../../src/api/deps.ts';
import { toProblem } from '../../src/api/http/problem.ts';
import type { ReceiptSigner } from '../../src/api/receipts.ts';
import type { Shared } from '../../src/api/route.ts';
import { LogError } from '../../src/log/errors.ts';
import { readIncarnation, startIncarnation } from '../../src/log/incarnation.ts';
import { type Checkpoint, type LogEntry, openReader } from '../../src/log/reader.ts';
import type { Suite } from '../../src/mls/suite.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { createCursorSeal } from '../../src/projections/cursor-seal.ts';
import { ProjectionError } from '../../src/projections/errors.ts';
import { createMlsHandshakes } from '../../src/projections/fold/handshakes.ts';
import { entryKey, TABLE } from '../../src/projections/fold/keys.ts';
import type { GroupHead } from '../../src/projections/fold/rows.ts';
import { readOrder } from '../../src/projections/order.ts';
import { runProjector } from '../../src/projections/projector.ts';
import type { ReadModel } from '../../src/projections/read-model.ts';
import { createReadModel } from '../../src/projections/reads/create-read-model.ts';
import { createRecentBatches } from '../../src/projections/recent-batches.ts';
import { createSequenceWaiters } from '../../src/projections/sequence-waiters.ts';
import { Tables } from '../../src/projections/store/tables.ts';
import { createWatchers } from '../../src/projections/watchers.ts';
import { equalBytes, fromBase64Url, toUtf8 } from '../../src/wire/bytes.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { asStreamItem } from '../../src/wire/page.ts';
import { createLogLink, type createLogModel, type LogLink } from './log-model.ts';
import { asLiarsHaveIt } from './lying-read-model.ts';
import { openMemoryTables, type TablesDisk } from './memory-tables.ts';
import { createNodeApi, DOMAIN } from './node-api.ts';
import { answerRequest, type NodeRequest, type StreamSocket } from './node-request.ts';
import { type Clock, createClock, type World } from './world.ts';

export const INCARNATION = 'simulated-incarnation';
export const CURSOR_SEAL = createCursorSeal(nodeSha256(toUtf8('cursors of the simulation')));
const TABLES_CONTRACT = 'simulation';
/** Signed by nobody who is known, or by nobody at all. */
const FOR_ANYBODY = new Set(['serverInfo', 'getAccount', 'registerAccount']);

const ROLLBACKS: ReadonlySet<string> = new Set(['rolled-back', 'incarnation-changed', 'log-missing']);
const START_WAIT_MS = 30_000;
const START_PAUSE_MS = 1_000;

/** A server process that runs. */
interface NodeProcess {
  isAlive: boolean;
  readonly tables: Tables;
  readonly readModel: ReadModel;
  readonly link: LogLink;
  readonly stop: AbortController;
  readonly deps: ApiDeps;
  readonly shared: Shared;
  isReady: boolean;
  readonly gone: Set<() => void>;
}

export interface CrashPlan {
  readonly place: 'write' | 'append';
  /** Counts down. */
  in: number;
  readonly applied: boolean;
}

/** One machine with its disk; the process on it comes and goes. */
export interface ServerNode {
  readonly name: string;
  readonly disk: TablesDisk;
  readonly clock: Clock;
  readonly isUp: boolean;
  readonly isReady: boolean;
  readonly isCut: boolean;
  readonly tables: Tables | undefined;
  readonly readModel: ReadModel | undefined;
  /** The projector sees nothing new before this moment. */
  behindUntil: number;
  crash: CrashPlan | undefined;
  /** The log is not the one of its tables: it serves nothing, and will not before its operator has accepted that. */
  readonly isRefused: boolean;
  /** How often the log had gone back when this node last held it against its tables. */
  readonly wentBack: number;
  /** Of the event that made an entry. */
  sequenceOf(group: GroupId, position: number): number | undefined;
  start(): void;
  /** As `mlsd serve --accept-rollback` does: a new incarnation, and tables made anew. */
  acceptRollback(): void;
  kill(): void;
  cut(): void;
  mend(): void;
  /** CBOR of the answer. @throws ProblemError; `undefined`: nobody answers */
  handle(request: NodeRequest): Promise<{ readonly status: number; readonly body: Uint8Array } | undefined>;
}

/** Told which groups of a node can be read up to where: after every batch, and when its tables are opened. */
export type OnFolded = (node: ServerNode, heads: Iterable<GroupHead>) => void;

export function createServerNode(
  world: World,
  stream: ReturnType<typeof createLogModel>,
  options: {
    readonly name: string;
    readonly disk: TablesDisk;
    readonly suite: Suite;
    readonly signer: ReceiptSigner;
    readonly onFolded: OnFolded;
    /** Present where the log may go back: the node holds it against its checkpoint, as it starts and whenever it was away. */
    readonly onForgotten?: (node: string) => void;
  },
): ServerNode {
  const { name, disk, suite, signer, onFolded, onForgotten } = options;
  const { time, chance } = world;
  let process: NodeProcess | undefined;
  let isCut = false;
  let isRefused = false;
  let wentBack = 0;
  /** Begins an incarnation before it starts. */
  let accepting: { readonly link: LogLink } | undefined;

  /** Lets something happen at the boundary of the process, which may be the last that it does. */
  const atBoundary = (place: CrashPlan['place'], effect: () => void): boolean => {
    const { crash } = node;
    if (crash?.place !== place) {
      effect();
      return true;
    }
    crash.in -= 1;
    if (crash.in > 0) {
      effect();
      return true;
    }
    node.crash = undefined;
    const what = place === 'write' ? 'a write' : 'an append';
    world.fault(crash.applied ? `server killed after ${what}` : `server killed before ${what}`, name);
    if (crash.applied) effect();
    node.kill();
    return false;
  };

  const start = (): void => {
    if (process !== undefined) return;
    const own: { isAlive: boolean } = { isAlive: true };
    const isAlive = (): boolean => own.isAlive;
    const isForgetful = world.mutations.nodeForgets === true && name === 'south';
    const isKept = (key: Uint8Array): boolean => !isForgetful || key[0] !== TABLE.groupInfo;
    const environment = openMemoryTables(
      disk,
      (write) => {
        return new Promise((resolve) => {
          time.after(chance.between(0, 3), () => {
            if (isAlive() && atBoundary('write', write)) resolve();
          });
        });
      },
      isKept,
    );
    const tables = new Tables(environment, TABLES_CONTRACT);
    const link = createLogLink(world, stream, {
      isAlive,
      around: (append) => void atBoundary('append', append),
    });
    if (isCut) link.cut();
    const stop = new AbortController();
    const waiters = createSequenceWaiters(tables.standing.sequence);
    const watchers = createWatchers();
    const recent = createRecentBatches();
    let tail = stream.events.length;
    let failure: Error | undefined;
    const readModel = createReadModel({
      tables,
      seal: CURSOR_SEAL,
      waiters,
      watchers,
      recent,
      readiness: () => (failure === undefined ? { ready: true } : { ready: false, reasons: [failure.message] }),
    });
    const { deps, shared } = createNodeApi({
      link,
      readModel: asLiarsHaveIt(readModel, world.mutations),
      suite,
      signer,
      now: node.clock.now,
      closing: stop.signal,
    });
    const mine: NodeProcess = {
      get isAlive() {
        return own.isAlive;
      },
      set isAlive(value) {
        own.isAlive = value;
      },
      tables,
      readModel,
      link,
      stop,
      deps,
      shared,
      isReady: onForgotten === undefined && tables.standing.sequence >= tail,
      gone: new Set(),
    };
    process = mine;
    isRefused = false;
    const onChecked = (): void => {
      if (onForgotten === undefined) return;
      tail = stream.events.length;
      mine.isReady ||= tables.standing.sequence >= tail;
      wentBack = stream.wentBack;
      tellAll();
    };
    const tellAll = (): void =>
      onFolded(
        node,
        tables.heads.filter((head) => head !== undefined),
      );
    // what was written last before a crash was never told to anybody
    wentBack = onForgotten === undefined ? 0 : -1;
    tellAll();
    runProjector({
      tables,
      rules: {
        handshakes: createMlsHandshakes(nodeSha256),
        sha256: nodeSha256,
      },
      reader: readLog(link, tables.standing, stop.signal, onChecked),
      stop,
      onPublished(draft, { sequence }) {
        if (!own.isAlive) return;
        recent.add(draft.batches);
        waiters.reach(sequence);
        if (sequence >= tail) mine.isReady = true;
        onFolded(node, draft.heads.values());
        watchers.notify(draft);
      },
    }).catch((error: Error) => {
      if (!own.isAlive) return;
      failure = error;
      if (onForgotten !== undefined && error instanceof LogError && ROLLBACKS.has(error.code)) {
        world.fault('log went back under a node', name);
        isRefused = true;
        mine.isReady = false;
        waiters.fail(error);
        for (const hangUp of [...mine.gone]) hangUp();
        return;
      }
      waiters.fail(error instanceof ProjectionError ? error : new ProjectionError('fold-failed', String(error)));
      world.violate({ rule: 'no internal failure', text: `the projector of ${name} stopped: ${error.stack}` });
    });
  };

  /** Holds the log against what was read of it, as src/log/reader does whenever it begins to read. @throws LogError as that does */
  const checkLog = async (link: LogLink, checkpoint: Checkpoint, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        await openReader(link.connection, { ...(checkpoint.sequence === 0 ? {} : { checkpoint }), signal });
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof LogError && error.retryable)) throw error;
      }
    }
  };

  async function* readLog(
    link: LogLink,
    standing: Checkpoint,
    signal: AbortSignal,
    onChecked: () => void,
  ): AsyncGenerator<readonly LogEntry[], void, undefined> {
    let checkpoint = standing;
    let at = standing.sequence;
    let checked = -1;
    let wake = (): void => {};
    link.onReadable(() => wake());
    signal.addEventListener('abort', () => wake());
    while (!signal.aborted) {
      if (onForgotten !== undefined && checked !== link.mended) {
        const { mended } = link;
        await checkLog(link, checkpoint, signal);
        if (signal.aborted) return;
        checked = mended;
        if (!link.isCut && mended === link.mended) onChecked();
        continue;
      }
      const wait = Math.max(node.behindUntil - time.now(), chance.between(0, world.weather.foldMs));
      await new Promise<void>((resolve) => {
        if (onForgotten !== undefined) wake = resolve; // however slow it is, it hears of its connection
        time.after(wait, resolve);
      });
      const entries = link.readable(at).slice(0, 1 + chance.below(4));
      if (signal.aborted) return;
      if (onForgotten !== undefined && checked !== link.mended) continue;
      if (entries.length > 0 && node.behindUntil <= time.now()) {
        at += entries.length;
        if (onForgotten !== undefined) checkpoint = advanced(checkpoint, entries);
        yield entries;
        continue;
      }
      if (node.behindUntil > time.now()) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (link.readable(at).length > 0) resolve();
        if (onForgotten !== undefined && checked !== link.mended) resolve();
      });
    }
  }

  /** As `Log.startNewIncarnation` does, as often as it takes. */
  const begin = async ({ connection, publisher }: LogLink, isWanted: () => boolean): Promise<void> => {
    while (isWanted()) {
      try {
        await connection.whenConnected(START_WAIT_MS);
        const newest = await readIncarnation(connection);
        await startIncarnation(connection, publisher, DOMAIN, newest?.sequence ?? 0);
        return;
      } catch (error) {
        if (!(error instanceof LogError && (error.retryable || error.code === 'storage-full'))) throw error;
        await new Promise<void>((resolve) => {
          time.after(START_PAUSE_MS, resolve);
        });
      }
    }
  };

  const node: ServerNode = {
    name,
    disk,
    clock: createClock(world),
    get isUp() {
      return process !== undefined || accepting !== undefined;
    },
    get isRefused() {
      return isRefused;
    },
    get wentBack() {
      return wentBack;
    },
    sequenceOf(group, position) {
      const tables = process?.tables;
      const bytes = fromBase64Url(group)!;
      const number = tables?.heads.findIndex((head) => head !== undefined && equalBytes(head.group, bytes)) ?? -1;
      const row = number < 0 ? undefined : tables?.entryRow(entryKey(number, position));
      return row === undefined ? undefined : readOrder(row).sequence;
    },
    get isReady() {
      return process?.isReady === true;
    },
    get isCut() {
      return isCut;
    },
    get tables() {
      return process?.tables;
    },
    get readModel() {
      return process?.readModel;
    },
    behindUntil: 0,
    crash: undefined,
    start() {
      if (accepting === undefined) start();
    },
    acceptRollback() {
      node.kill();
      const isWanted = (): boolean => accepting === own;
      const link = createLogLink(world, stream, { isAlive: isWanted, around: (append) => append() });
      const own = { link };
      accepting = own;
      if (isCut) link.cut();
      begin(link, isWanted).then(
        () => {
          if (accepting !== own) return;
          accepting = undefined;
          disk.rows.clear();
          disk.keys = [];
          onForgotten?.(name);
          start();
        },
        (error: unknown) => {
          if (accepting === own)
            world.violate({ rule: 'no internal failure', text: `${name} cannot begin anew: ${String(error)}` });
        },
      );
    },
    kill() {
      accepting = undefined;
      const dying = process;
      if (dying === undefined) return;
      process = undefined;
      dying.isAlive = false;
      for (const hangUp of [...dying.gone]) hangUp();
      dying.stop.abort();
    },
    cut() {
      isCut = true;
      process?.link.cut();
      accepting?.link.cut();
    },
    mend() {
      isCut = false;
      process?.link.mend();
      accepting?.link.mend();
    },
    async handle(request) {
      const mine = process;
      if (mine === undefined || !mine.isReady) return undefined;
      const { device, operation, socket } = request;
      const isRevoked = (): boolean => mine.readModel.isRevoked(device) && !FOR_ANYBODY.has(operation);
      const wasRevoked = isRevoked();
      const tell = (): void =>
        world.violate({ rule: 'nothing outside the window', text: `${name} served ${operation} to a revoked device` });
      const watched: StreamSocket | undefined = socket && {
        ...socket,
        write(bytes) {
          if (isRevoked() && asStreamItem(decodeCbor(bytes)).type === 'page') tell();
          socket.write(bytes);
        },
      };
      try {
        const answer = await answerRequest(mine, watched === undefined ? request : { ...request, socket: watched });
        if (wasRevoked) tell();
        return mine.isAlive ? answer : undefined;
      } catch (thrown) {
        if (!mine.isAlive) return undefined;
        const problem = toProblem(thrown);
        if (problem.code === 'internal') {
          const cause = problem.cause instanceof Error ? problem.cause.stack : String(problem.cause);
          world.violate({ rule: 'no internal failure', text: `${name} failed at ${request.operation}: ${cause}` });
        }
        throw problem;
      }
    },
  };
  return node;
}

function advanced({ incarnation, eventId, sequence }: Checkpoint, entries: readonly LogEntry[]): Checkpoint {
  const started = entries.flatMap(({ event }) => (event.type === 'log-started' ? [event.incarnation] : [])).at(-1);
  const last = entries.at(-1);
  return {
    incarnation: started ?? incarnation,
    sequence: last?.sequence ?? sequence,
    eventId: last?.event.id ?? eventId,
  };
}
