/** Every problem the server answers with (RFC 9457): one table, read by server and client alike. */
export const PROBLEMS = {
  'invalid-request': { status: 400, title: 'The request is not well-formed' },
  unauthenticated: { status: 401, title: 'The request is not signed by a known device' },
  forbidden: { status: 403, title: 'The caller may not do this' },
  'not-found': { status: 404, title: 'There is no such thing, or the caller may not know of it' },
  'name-taken': { status: 409, title: 'Somebody else holds this name' },
  'already-exists': { status: 409, title: 'This was made before' },
  'account-conflict': { status: 409, title: 'The history of the account has gone on' },
  'epoch-conflict': { status: 409, title: 'The group has moved to another epoch' },
  'idempotency-conflict': { status: 409, title: 'This idempotency key was used for another request' },
  'cursor-expired': { status: 410, title: 'The log before this cursor is no longer kept' },
  'payload-too-large': { status: 413, title: 'The request is larger than this server takes' },
  'unsupported-media-type': { status: 415, title: 'This media type is not understood here' },
  'cursor-invalid': { status: 422, title: 'This cursor was not made by this log' },
  'hash-mismatch': { status: 422, title: 'The bytes do not have the hash that was named' },
  'invalid-key-package': { status: 422, title: 'A key package cannot be used' },
  'invalid-commit': { status: 422, title: 'The commit cannot be accepted' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  internal: { status: 500, title: 'The server failed to answer' },
  'not-ready': { status: 503, title: 'The server cannot answer now' },
  'storage-full': { status: 507, title: 'The server cannot store more' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof PROBLEMS;

/** `reason` of an `unauthenticated` problem. */
export type AuthReason =
  | 'missing'
  | 'malformed'
  | 'unknown-key'
  | 'revoked'
  | 'bad-signature'
  | 'bad-digest'
  | 'stale'
  | 'replayed'
  | 'session-expired';

/** The JSON body of a problem. `detail` is a sentence for people; programs look at `code` and the named members. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail?: string;
  readonly reason?: string;
  /** `epoch-conflict`, `cursor-expired`: the epoch the group is in now. */
  readonly currentEpoch?: number;
  /** `epoch-conflict`: base64url of the entries from the caller's epoch on, up to a page. */
  readonly entries?: readonly string[];
  /** `cursor-expired`: first position that is kept, the epoch it is of, and base64url of the head before it. */
  readonly logStart?: number;
  readonly firstEpoch?: number;
  readonly head?: string;
  /** `cursor-expired`: base64url of the GroupInfo to rejoin by, of `currentEpoch`, for who may. */
  readonly groupInfo?: string;
  /** `epoch-conflict`: whether the group has more entries than `entries` holds. */
  readonly more?: boolean;
}

export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(PROBLEMS, code);
}

/** A failure with a code of the table: thrown inside a server, decoded from an answer by a client. */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  readonly members: Omit<Problem, 'type' | 'title' | 'status' | 'code' | 'detail'>;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ProblemCode,
    detail: string,
    options: { members?: ProblemError['members']; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ProblemError';
    this.code = code;
    this.members = options.members ?? {};
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return PROBLEMS[this.code].status;
  }

  toProblem(): Problem {
    return {
      type: `urn:mlsd:problem:${this.code}`,
      title: PROBLEMS[this.code].title,
      status: PROBLEMS[this.code].status,
      code: this.code,
      detail: this.message,
      ...this.members,
    };
  }
}
