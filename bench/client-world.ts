/** People, groups and logs for the client's figures, made without a server. */
import { randomBytes } from 'node:crypto';
import { encodeContent } from '../src/client/content/content.ts';
import { encodeBinding } from '../src/client/engine/binding.ts';
import { createMlsConfig } from '../src/mls/config.ts';
import { formatIdentity } from '../src/mls/identity.ts';
import { createCommit } from '../src/mls/session/commit.ts';
import { createGroup } from '../src/mls/session/create.ts';
import { joinFromWelcome } from '../src/mls/session/join.ts';
import {
  createKeyPackage,
  generateSignatureKeys,
  type NewKeyPackage,
  type SignatureKeys,
} from '../src/mls/session/key-package.ts';
import { encrypt } from '../src/mls/session/message.ts';
import { receive } from '../src/mls/session/receive.ts';
import type { GroupState } from '../src/mls/session/state.ts';
import { createNodeSuite, nodeSha256 } from '../src/mls/suite-node.ts';
import { concatBytes } from '../src/wire/bytes.ts';
import { CURSOR_BLOCK_BYTES, cursorFromBlock } from '../src/wire/cursor.ts';
import { EMPTY_HEAD, encodeEntry, nextHead } from '../src/wire/entry.ts';
import { type AccountId, type DeviceId, deviceIdOf, newClientId, type Position } from '../src/wire/ids.ts';
import type { Page } from '../src/wire/page.ts';

export const suite = createNodeSuite();
export const DOMAIN = 'bench.example';
export const TEXT = 'a message as people write them, one line, seldom two; nothing special about it';
export const trusting = createMlsConfig({ validateCredential: () => true });
export const NOW = Date.now();
const DAY_MS = 24 * 60 * 60 * 1000;
const PAGE_ENTRIES = 1000;

export const someBytes = (length: number): Uint8Array => new Uint8Array(randomBytes(length));

export interface Member {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly identity: string;
  readonly keys: SignatureKeys;
  readonly keyPackage: NewKeyPackage;
}

export async function createMember(): Promise<Member> {
  const keys = await generateSignatureKeys(suite);
  const device = deviceIdOf(keys.signPublic, nodeSha256);
  const account = device as string as AccountId;
  const identity = formatIdentity({ domain: DOMAIN, account, device });
  const options = { identity, keys, now: NOW, lifetimeMs: 30 * DAY_MS, lastResort: true };
  return { account, device, identity, keys, keyPackage: await createKeyPackage(suite, options) };
}

export interface BenchGroup {
  readonly bytes: Uint8Array;
  /** Of the founder, and of the last member; both at epoch 1. */
  founder: GroupState;
  readonly last: GroupState;
  /** For whoever else is to join. */
  readonly welcome: Uint8Array;
}

export async function groupOfAll(members: readonly Member[]): Promise<BenchGroup> {
  const founder = members[0]!;
  const bytes = someBytes(16);
  const roles = { admins: [founder.account], invite: 'admins', join: 'invite' } as const;
  const { identity, keys } = founder;
  const { state } = await createGroup(suite, trusting, { groupId: bytes, identity, keys, roles, now: NOW });
  const add = members.slice(1).map(({ keyPackage }) => keyPackage.bytes);
  const made = await createCommit(suite, state, { add, inlineTree: true, groupInfoTree: true, now: NOW });
  return { bytes, founder: made.next, last: await joined(made.welcome!, members.at(-1)!), welcome: made.welcome! };
}

export async function joined(welcome: Uint8Array, member: Member): Promise<GroupState> {
  const result = await joinFromWelcome(suite, trusting, { welcome, keyPackage: member.keyPackage });
  if (result.kind !== 'joined') throw new Error(`cannot join: ${result.code}`, { cause: result.cause });
  return result.state;
}

export interface Log {
  /** MLSMessages, for the bare library. */
  readonly messages: readonly Uint8Array[];
  /** The same as a server serves them. */
  readonly pages: readonly Page[];
}

/** Messages of the founder, in order. */
export async function messagesOf(
  group: BenchGroup,
  founder: Member,
  count: number,
  pageEntries = PAGE_ENTRIES,
): Promise<Log> {
  const log = logOf(group.bytes, pageEntries);
  for (let i = 0; i < count; i += 1) {
    const id = newId();
    const made = await encrypt(suite, group.founder, encodeContent({ text: TEXT }, someBytes(16)), encodeBinding(id));
    group.founder = made.state;
    log.add('message', id, founder.device, 1, made.message);
  }
  return log.done();
}

/** Commits that renew keys, by each of some members in turn. */
export async function rotationsOf(group: BenchGroup, committers: readonly Member[], count: number): Promise<Log> {
  const log = logOf(group.bytes);
  const states = [group.founder];
  for (const member of committers.slice(1)) states.push(await joined(group.welcome, member));
  for (let i = 0; i < count; i += 1) {
    const by = i % states.length;
    const made = await createCommit(suite, states[by]!, { inlineTree: false, groupInfoTree: false, now: NOW });
    for (const [other, state] of states.entries()) {
      if (other === by) continue;
      const received = await receive(suite, state, made.commit);
      if (received.kind !== 'commit') throw new Error(`a commit was not taken: ${received.kind}`);
      states[other] = received.state;
    }
    states[by] = made.next;
    log.add('commit', newId(), committers[by]!.device, i + 1, made.commit);
  }
  group.founder = states[0]!;
  return log.done();
}

function logOf(group: Uint8Array, pageEntries = PAGE_ENTRIES) {
  const messages: Uint8Array[] = [];
  const pages: Page[] = [];
  let entries: Uint8Array[] = [];
  let hash = EMPTY_HEAD;
  const endPage = (): void => {
    const cursors = concatBytes(...entries.map(() => someBytes(CURSOR_BLOCK_BYTES)));
    const cursor = cursorFromBlock(cursors, entries.length - 1);
    const heads = [{ group, position: messages.length as Position, hash }];
    pages.push({ entries, cursors, cursor, upToDate: true, heads });
    entries = [];
  };
  return {
    add: (kind: 'message' | 'commit', id: string, sender: DeviceId, epoch: number, payload: Uint8Array): void => {
      messages.push(payload);
      const position = messages.length as Position;
      const bytes = encodeEntry({ kind, group, position, id, sender, time: NOW, epoch, payload });
      hash = nextHead(hash, bytes, nodeSha256);
      entries.push(bytes);
      if (entries.length === pageEntries) endPage();
    },
    done: (): Log => {
      if (entries.length > 0) endPage();
      return { messages, pages };
    },
  };
}

const newId = () => newClientId(Date.now(), someBytes);

/** CPU time of this process since, all threads: what it costs, whatever else the machine does meanwhile. */
export function cpuMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}
