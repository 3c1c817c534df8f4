import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ApiDeps } from '../../src/api/deps.ts';
import type { Answer, Shared } from '../../src/api/route.ts';
import { ROUTES } from '../../src/api/routes.ts';
import { judgedOnNewest } from '../../src/api/writes/judged-on-newest.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { parseRegistration } from '../../src/wire/account-statement.ts';
import { concatBytes, toUtf8 } from '../../src/wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../src/wire/cbor.ts';
import type { ClientId, DeviceId, GroupId } from '../../src/wire/ids.ts';
import { ProblemError } from '../../src/wire/problems.ts';

/** Bytes on their way to a reader before the server is told to wait. */
const SOCKET_BUFFER_BYTES = 2 * 1024;
const ROUTES_BY_ID = new Map(ROUTES.map((route) => [route.operationId, route]));

/** A request as it comes to a node: authenticated by the network model, which knows who sent it. */
export interface NodeRequest {
  readonly operation: string;
  readonly device: DeviceId;
  /** Client time of the signature, milliseconds since 1970. */
  readonly signedAt: number;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  /** CBOR. */
  readonly body?: Uint8Array;
  readonly key?: ClientId;
  readonly accept: string;
  /** For answers that are streams. */
  readonly socket?: StreamSocket;
}

/** The reader's end of a live stream. */
export interface StreamSocket {
  /** Bytes that the reader has not taken yet. */
  readonly backlog: () => number;
  write(bytes: Uint8Array): void;
  /** The server ended it. */
  end(): void;
  onDrain(listener: () => void): void;
  onGone(listener: () => void): void;
}

/**
 * Answers one request as the server's pipeline does, from the route's schemas on.
 *
 * @param gone what to call when the process that answers dies
 * @throws what the handler throws
 */
export async function answerRequest(
  { deps, shared, gone }: { readonly deps: ApiDeps; readonly shared: Shared; readonly gone: Set<() => void> },
  request: NodeRequest,
): Promise<{ readonly status: number; readonly body: Uint8Array }> {
  const route = ROUTES_BY_ID.get(request.operation);
  if (route === undefined) throw new Error(`there is no route ${request.operation}`);
  const now = deps.now();
  if (Math.abs(Math.floor(request.signedAt / 1000) * 1000 - now) > deps.limits.clockWindowMs) {
    throw new ProblemError('unauthenticated', 'the clocks differ', { members: { reason: 'stale' } });
  }
  const body = request.body === undefined ? undefined : route.body!.parse(decodeCbor(request.body));
  const caller = callerOf(deps, route.auth, request, body);
  const response = new SocketResponse(request.socket);
  const digest = nodeSha256(
    concatBytes(toUtf8(`${route.path} ${JSON.stringify(request.params ?? {})}`), request.body ?? new Uint8Array(0)),
  );
  const call = {
    deps,
    shared,
    params: route.params?.parse(request.params ?? {}),
    query: route.query?.parse(request.query ?? {}),
    body,
    caller,
    now,
    requestId: route.idempotent === true ? request.key! : '',
    requestDigest: digest,
    sessionEndsAt: undefined,
    address: request.device,
    accept: request.accept,
    request: new EventEmitter() as IncomingMessage,
    response: response as unknown as ServerResponse,
  };
  const about = call.params as { readonly group?: GroupId } | undefined;
  const answer: Answer = await judgedOnNewest(deps, () => route.handle(call as never), about);
  switch (answer.kind) {
    case 'value':
      return { status: answer.status, body: encodeCbor(answer.value) };
    case 'bytes':
      return { status: answer.status, body: typeof answer.body === 'string' ? toUtf8(answer.body) : answer.body };
    case 'stream': {
      const hangUp = (): void => {
        gone.delete(hangUp);
        response.hangUp();
        request.socket?.end();
      };
      gone.add(hangUp);
      const { run } = answer;
      run()
        .catch(hangUp)
        .finally(() => gone.delete(hangUp))
        .catch(() => undefined);
      return { status: 200, body: new Uint8Array(0) };
    }
    default:
      return answer satisfies never;
  }
}

function callerOf({ readModel }: ApiDeps, auth: string, request: NodeRequest, body: unknown): unknown {
  if (auth === 'public') return undefined;
  if (auth === 'registration') {
    const parsed = parseRegistration((body as { statement: Uint8Array }).statement);
    if (!parsed.ok) throw new ProblemError('invalid-request', parsed.reason);
    return { device: request.device, statement: parsed.statement };
  }
  const device = readModel.device(request.device);
  if (device !== undefined) return device;
  const reason = readModel.isRevoked(request.device) ? 'revoked' : 'unknown-key';
  throw new ProblemError('unauthenticated', 'no such device', { members: { reason } });
}

/** As much of a response as a live stream writes to. */
class SocketResponse extends EventEmitter {
  readonly #socket: StreamSocket | undefined;
  readonly #corked: Uint8Array[] = [];
  #isGone = false;

  constructor(socket: StreamSocket | undefined) {
    super();
    this.#socket = socket;
    socket?.onDrain(() => this.emit('drain'));
    socket?.onGone(() => this.hangUp());
  }

  hangUp(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.emit('close');
  }

  writeHead(): void {}
  flushHeaders(): void {}
  cork(): void {}

  uncork(): void {
    const parts = this.#corked.splice(0);
    if (!this.#isGone && parts.length > 0) this.#socket?.write(concatBytes(...parts));
  }

  write(bytes: Uint8Array): boolean {
    this.#corked.push(bytes);
    const waiting = this.#corked.reduce((sum, part) => sum + part.length, 0);
    return waiting + (this.#socket?.backlog() ?? 0) < SOCKET_BUFFER_BYTES;
  }

  end(): void {
    this.#socket?.end();
    this.hangUp();
  }

  destroy(): void {
    this.hangUp();
  }
}
