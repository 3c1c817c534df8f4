import type { ApiDeps } from '../../src/api/deps.ts';
import { toProblem } from '../../src/api/http/problem.ts';
import type { ReceiptSigner } from '../../src/api/receipts.ts';
import type { Shared } from '../../src/api/route.ts';
import type { LogEntry } from '../../src/log/reader.ts';
import type { Suite } from '../../src/mls/suite.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { createCursorSeal } from '../../src/projections/cursor-seal.ts';
import { ProjectionError } from '../../src/projections/errors.ts';
import { createMlsHandshakes } from '../../src/projections/fold/handshakes.ts';
import { TABLE } from '../../src/projections/fold/keys.ts';
import type { GroupHead } from '../../src/projections/fold/rows.ts';
import { runProjector } from '../../src/projections/projector.ts';
import type { ReadModel } from '../../src/projections/read-model.ts';
import { createReadModel } from '../../src/projections/reads/create-read-model.ts';
import { createRecentBatches } from '../../src/projections/recent-batches.ts';
import { createSequenceWaiters } from '../../src/projections/sequence-waiters.ts';
import { Tables } from '../../src/projections/store/tables.ts';
import { createWatchers } from '../../src/projections/watchers.ts';
import { toUtf8 } from '../../src/wire/bytes.ts';
import { decodeCbor } from '../../src/wire/cbor.ts';
import { asStreamItem } from '../../src/wire/page.ts';
import { createLogLink, type createLogModel, type LogLink } from './log-model.ts';
import { asLiarsHaveIt } from './lying-read-model.ts';
import { openMemoryTables, type TablesDisk } from './memory-tables.ts';
import { createNodeApi } from './node-api.ts';
import { answerRequest, type NodeRequest, type StreamSocket } from './node-request.ts';
import { type Clock, createClock, type World } from './world.ts';

export const INCARNATION = 'simulated-incarnation';
export const CURSOR_SEAL = createCursorSeal(nodeSha256(toUtf8('cursors of the simulation')));
const TABLES_CONTRACT = 'simulation';
/** Signed by nobody who is known, or by nobody at all. */
const FOR_ANYBODY = new Set(['serverInfo', 'getAccount', 'registerAccount']);

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
  start(): void;
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
  },
): ServerNode {
  const { name, disk, suite, signer, onFolded } = options;
  const { time, chance } = world;
  let process: NodeProcess | undefined;
  let isCut = false;

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
    const tail = stream.events.length;
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
      isReady: tables.standing.sequence >= tail,
      gone: new Set(),
    };
    process = mine;
    // what was written last before a crash was never told to anybody
    onFolded(
      node,
      tables.heads.filter((head) => head !== undefined),
    );
    runProjector({
      tables,
      rules: {
        handshakes: createMlsHandshakes(nodeSha256),
        sha256: nodeSha256,
      },
      reader: readLog(link, tables.standing.sequence, stop.signal),
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
      waiters.fail(error instanceof ProjectionError ? error : new ProjectionError('fold-failed', String(error)));
      world.violate({ rule: 'no internal failure', text: `the projector of ${name} stopped: ${error.stack}` });
    });
  };

  async function* readLog(
    link: LogLink,
    from: number,
    signal: AbortSignal,
  ): AsyncGenerator<readonly LogEntry[], void, undefined> {
    let at = from;
    let wake = (): void => {};
    link.onReadable(() => wake());
    signal.addEventListener('abort', () => wake());
    while (!signal.aborted) {
      const wait = Math.max(node.behindUntil - time.now(), chance.between(0, world.weather.foldMs));
      await new Promise<void>((resolve) => {
        time.after(wait, resolve);
      });
      const entries = link.readable(at).slice(0, 1 + chance.below(4));
      if (signal.aborted) return;
      if (entries.length > 0 && node.behindUntil <= time.now()) {
        at += entries.length;
        yield entries;
        continue;
      }
      if (node.behindUntil > time.now()) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (link.readable(at).length > 0) resolve();
      });
    }
  }

  const node: ServerNode = {
    name,
    disk,
    clock: createClock(world),
    get isUp() {
      return process !== undefined;
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
    start,
    kill() {
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
    },
    mend() {
      isCut = false;
      process?.link.mend();
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
