import { createHash } from 'node:crypto';
import { fromBase64Url, toBase64Url } from '../wire/bytes.ts';
import { foldName } from '../wire/names.ts';

/** The one stream that holds the log. */
export const STREAM_NAME = 'MLS';
/** Everything the stream takes. */
export const STREAM_SUBJECTS = 'mls.>';

/** A lane whose every append states what the lane's last sequence has to be. */
export type ComparedLane =
  | { readonly kind: 'log' }
  | { readonly kind: 'group-commit'; readonly group: Uint8Array }
  | { readonly kind: 'account'; readonly account: string }
  | { readonly kind: 'name'; readonly hash: string };

/** A lane that takes whatever comes: nothing appended here can lose against anything else. */
export type UncomparedLane =
  | { readonly kind: 'group-proposal'; readonly group: Uint8Array }
  | { readonly kind: 'application'; readonly shard: number };

/** An aggregate that events are ordered, and on most lanes compared, against. One lane, one subject. */
export type Lane = ComparedLane | UncomparedLane;

/** Where the log itself is spoken of: `log-started`. */
export const LOG_LANE = { kind: 'log' } as const satisfies ComparedLane;
/** Shards of application messages are numbered below this. */
export const APPLICATION_SHARDS_MAX = 1024;

const TOKEN = /^[A-Za-z0-9_-]{1,64}$/;
const SHARD = /^(0|[1-9][0-9]{0,3})$/;
const GROUP_MAX_BYTES = 48;

/** The lane of a user or group name. Names that are equal after folding share a lane, which is what makes them unique. */
export function nameLane(scope: 'account' | 'group', name: string): ComparedLane & { readonly kind: 'name' } {
  const hash = createHash('sha256')
    .update(`${scope}\0${foldName(name)}`)
    .digest();
  return { kind: 'name', hash: toBase64Url(hash) };
}

/** Whether appends to the lane have to state an expectation. */
export function isCompared(lane: Lane): lane is ComparedLane {
  return lane.kind !== 'group-proposal' && lane.kind !== 'application';
}

/** The subject of a lane. @throws RangeError when an id of it does not fit a subject token. */
export function laneSubject(lane: Lane): string {
  switch (lane.kind) {
    case 'log':
      return 'mls.log';
    case 'group-commit':
      return `mls.group.${groupToken(lane.group)}.commit`;
    case 'group-proposal':
      return `mls.group.${groupToken(lane.group)}.proposal`;
    case 'application':
      return `mls.application.${shardToken(lane.shard)}`;
    case 'account':
      return `mls.account.${checkedToken(lane.account)}`;
    case 'name':
      return `mls.name.${checkedToken(lane.hash)}`;
    default:
      return lane satisfies never;
  }
}

/** The lane of a subject; `undefined` when no lane has that subject. */
export function subjectLane(subject: string): Lane | undefined {
  const [root, kind, id, aspect, ...rest] = subject.split('.');
  if (root !== 'mls' || rest.length > 0) return undefined;
  if (kind === 'log') return id === undefined ? LOG_LANE : undefined;
  if (id === undefined || !TOKEN.test(id)) return undefined;
  if (kind === 'group') {
    const group = fromBase64Url(id);
    if (group === undefined || group.length === 0) return undefined;
    if (aspect === 'commit') return { kind: 'group-commit', group };
    return aspect === 'proposal' ? { kind: 'group-proposal', group } : undefined;
  }
  if (aspect !== undefined) return undefined;
  if (kind === 'application') {
    return SHARD.test(id) && Number(id) < APPLICATION_SHARDS_MAX ? { kind, shard: Number(id) } : undefined;
  }
  if (kind === 'account') return { kind, account: id };
  return kind === 'name' ? { kind, hash: id } : undefined;
}

function groupToken(group: Uint8Array): string {
  if (group.length === 0 || group.length > GROUP_MAX_BYTES) {
    throw new RangeError(`a group id of ${group.length} bytes has no lane`);
  }
  return toBase64Url(group);
}

function shardToken(shard: number): string {
  if (!Number.isInteger(shard) || shard < 0 || shard >= APPLICATION_SHARDS_MAX) {
    throw new RangeError(`there is no application shard ${shard}`);
  }
  return String(shard);
}

function checkedToken(text: string): string {
  if (!TOKEN.test(text)) throw new RangeError('an id with characters that no subject token may hold');
  return text;
}
