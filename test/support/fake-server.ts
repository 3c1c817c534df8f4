/**
 * The server's HTTP API as a deterministic model in memory: it orders, checks epochs, keeps rosters and inboxes, and
 * can be told to lose answers, to refuse, or to be away. Calls take effect at once, in the order they are made.
 */
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { type ServerApi, TransportError } from '../../src/client/transport/server-api.ts';
import { extractTree, inspectMessage } from '../../src/mls/framing.ts';
import { type KnownProposal, summarizeCommit, summarizeProposal } from '../../src/mls/handshake.ts';
import { parseIdentity } from '../../src/mls/identity.ts';
import type { GroupRoles } from '../../src/mls/roles.ts';
import { foldRoster, type Roster, rosterOfGroupInfo } from '../../src/mls/roster.ts';
import { type AccountChain, beginChain, followChain, type SignedStatement } from '../../src/wire/account-chain.ts';
import { parseRegistration } from '../../src/wire/account-statement.ts';
import { concatBytes, fromBase64Url, toBase64Url, toHex } from '../../src/wire/bytes.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { blockFromCursor, CURSOR_BLOCK_BYTES, cursorFromBlock } from '../../src/wire/cursor.ts';
import { EMPTY_HEAD, type Entry, encodeEntry, type GroupEntry, isGroupEntry, nextHead } from '../../src/wire/entry.ts';
import {
  type AccountId,
  accountIdOf,
  type ClientId,
  type Cursor,
  type DeviceId,
  deviceIdOf,
  type GroupId,
  groupIdOf,
  type Position,
  type Sha256,
  START_CURSOR,
} from '../../src/wire/ids.ts';
import { DEFAULT_LIMITS } from '../../src/wire/limits.ts';
import { foldName } from '../../src/wire/names.ts';
import type { Page, StreamItem } from '../../src/wire/page.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { encodeReceipt, receiptToSign } from '../../src/wire/receipt.ts';
import type { Account } from '../../src/wire/schemas/accounts.ts';
import type { Accepted } from '../../src/wire/schemas/groups.ts';
import type { ClaimResult } from '../../src/wire/schemas/key-packages.ts';

const sha256: Sha256 = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest());
export const FAKE_DOMAIN = 'chat.example';
const LOW_STOCK = 10;

interface Stock {
  oneTime: { ref: Uint8Array; bytes: Uint8Array }[];
  lastResort?: { ref: Uint8Array; bytes: Uint8Array };
}

interface FakeGroup {
  readonly id: GroupId;
  readonly bytes: Uint8Array;
  readonly name?: string;
  epoch: number;
  position: number;
  head: Uint8Array;
  roles: GroupRoles;
  roster: Roster;
  groupInfo: Uint8Array;
  trees: Map<number, Uint8Array>;
  proposals: KnownProposal[];
  entries: { entry: GroupEntry; bytes: Uint8Array; head: Uint8Array }[];
}

type LogItem = { readonly readers: ReadonlySet<DeviceId>; readonly bytes: Uint8Array; readonly entry: Entry };

export interface FakeServer {
  /** The API as this device sees it. */
  connect(device: DeviceId): ServerApi;
  /** Every entry in log order. */
  readonly log: readonly LogItem[];
  readonly groups: ReadonlyMap<GroupId, FakeGroup>;
  /** Calls made, by method name. */
  readonly calls: readonly string[];
  /** While set, nothing of this device (or, without one, of anybody) arrives. */
  cut(device?: DeviceId): () => void;
  /** The next such call of the device takes effect, but its answer is lost. */
  loseAnswer(device: DeviceId, method: keyof ServerApi): void;
  /** The next messages of the device are answered as accepted, and never placed. */
  swallowMessages(device: DeviceId): void;
  /** Looks at calls before they take effect; may throw. */
  intercept: ((device: DeviceId, method: string, args: readonly unknown[]) => void) | undefined;
  /** Rewrites accounts as they are looked up: for servers that lie. */
  tamperAccount: ((account: Account) => Account) | undefined;
  /** Rewrites pages as they leave: for servers that lie. */
  tamper: ((device: DeviceId, page: Page) => Page) | undefined;
  /** Replaces the log by one with other cursors. */
  newIncarnation(): void;
  /** What it returns replaces the log by one that has lost all entries, answers and groups since. */
  remember(): () => void;
  /** Ends every stream. */
  dropStreams(): void;
  /** Largest number of entries a page has. */
  pageEntries: number;
}

export function createFakeServer(): FakeServer {
  const log: LogItem[] = [];
  const groups = new Map<GroupId, FakeGroup>();
  const accounts = new Map<AccountId, Account>();
  const devices = new Map<DeviceId, AccountId>();
  const stocks = new Map<DeviceId, Stock>();
  const answers = new Map<string, { readonly value: unknown } | { readonly error: unknown }>();
  const placed = new Map<string, number>();
  const blobs = new Map<string, Uint8Array>();
  const offers = new Map<string, Uint8Array>();
  const calls: string[] = [];
  const lost: string[] = [];
  const swallowed = new Set<DeviceId>();
  const cuts = new Set<DeviceId | 'all'>();
  const wakers = new Set<() => void>();
  const streamBreakers = new Set<() => void>();
  let incarnation = 1;
  let clock = 1_700_000_000_000;

  const wake = (): void => {
    for (const waker of wakers) waker();
  };
  const append = (readers: ReadonlySet<DeviceId>, entry: Entry): Uint8Array => {
    const bytes = encodeEntry(entry);
    log.push({ readers, bytes, entry });
    wake();
    return bytes;
  };
  const readersOf = (group: FakeGroup): Set<DeviceId> =>
    new Set(group.roster.flatMap((leaf) => (leaf === null ? [] : [parseIdentity(leaf.identity)!.device])));
  const place = (
    group: FakeGroup,
    make: (position: Position, time: number) => GroupEntry,
    extra: Iterable<DeviceId> = [],
  ) => {
    clock += 1;
    group.position += 1;
    const entry = make(group.position as Position, clock);
    const bytes = append(new Set([...readersOf(group), ...extra]), entry);
    group.head = nextHead(group.head, bytes, sha256);
    group.entries.push({ entry, bytes, head: group.head });
  };
  const accepted = (group: FakeGroup): Accepted =>
    ({
      position: group.position,
      head: group.head,
      epoch: group.epoch,
      time: clock,
      receipt: receiptFor(group.bytes, group.position, group.head, clock),
    }) as Accepted;
  const cursorAt = (index: number): Cursor => {
    const block = new Uint8Array(CURSOR_BLOCK_BYTES);
    new DataView(block.buffer).setUint32(0, incarnation);
    new DataView(block.buffer).setUint32(12, index);
    return cursorFromBlock(block);
  };
  const indexOf = (cursor: Cursor): number => {
    if (cursor === START_CURSOR) return 0;
    const block = blockFromCursor(cursor);
    if (block === undefined) throw new ProblemError('cursor-invalid', 'not a cursor');
    const view = new DataView(block.buffer, block.byteOffset);
    if (view.getUint32(0) !== incarnation) throw new ProblemError('cursor-invalid', 'of another log');
    return view.getUint32(12);
  };
  const conflict = (group: FakeGroup, epoch: number): ProblemError => {
    const from = group.entries.findIndex(({ entry }) => 'epoch' in entry && entry.epoch >= epoch);
    const entries = from === -1 ? [] : group.entries.slice(from).map(({ bytes }) => toBase64Url(bytes));
    return new ProblemError('epoch-conflict', 'the epoch is over', {
      members: { currentEpoch: group.epoch, entries, more: false },
    });
  };
  const accountOf = (device: DeviceId): AccountId => {
    const account = devices.get(device);
    if (account === undefined)
      throw new ProblemError('unauthenticated', 'unknown device', { members: { reason: 'unknown-key' } });
    return account;
  };
  const leafOf = (group: FakeGroup, device: DeviceId): number =>
    group.roster.findIndex((leaf) => leaf !== null && parseIdentity(leaf.identity)?.device === device);
  const served = (account: Account | undefined): Account | undefined =>
    account === undefined ? undefined : (server.tamperAccount?.(account) ?? account);
  const hasAccount = (group: FakeGroup, account: AccountId): boolean =>
    group.roster.some((leaf) => leaf !== null && parseIdentity(leaf.identity)?.account === account);
  /** Follows the statement without looking at its signatures, and tells all concerned. */
  const changeAccount = (
    id: AccountId,
    key: ClientId,
    by: DeviceId,
    { statement, signature, countersignature }: SignedStatement,
  ): Account => {
    const before = accounts.get(id);
    if (before === undefined) throw new ProblemError('not-found', 'no such account');
    let chain: AccountChain | undefined;
    const signed = { statement, signature, ...(countersignature === undefined ? {} : { countersignature }) };
    const statements = [...before.statements, signed] as Account['statements'];
    for (const [index, { statement: bytes }] of statements.entries()) {
      const step = chain === undefined ? beginChain(bytes, sha256) : followChain(chain, bytes, sha256);
      if (!step.ok) {
        const isLast = index === statements.length - 1;
        throw new ProblemError(isLast ? 'account-conflict' : 'internal', step.reason);
      }
      chain = step.chain;
    }
    const valid = chain!.devices.filter(({ revoked }) => !revoked);
    for (const { id: own, revoked } of chain!.devices) {
      if (!revoked) devices.set(own, id);
      else devices.delete(own);
      if (revoked) stocks.delete(own);
    }
    const after = { ...before, name: chain!.name, devices: valid, statements } as unknown as Account;
    accounts.set(id, after);
    const payload = { account: id, ...signed };
    for (const group of groups.values()) {
      if (!hasAccount(group, id)) continue;
      place(group, (position, time) => ({
        kind: 'account',
        group: group.bytes,
        position,
        id: key,
        sender: by,
        time,
        payload,
      }));
    }
    append(new Set(valid.map(({ id: own }) => own)), { kind: 'account', time: clock, payload });
    return after;
  };
  const groupFor = (id: GroupId, device: DeviceId): FakeGroup => {
    const group = groups.get(id);
    if (group === undefined) throw new ProblemError('not-found', 'no such group');
    if (leafOf(group, device) === -1) throw new ProblemError('forbidden', 'you are no member');
    return group;
  };
  const publish = (device: DeviceId, keyPackages: readonly Uint8Array[]) => {
    const stock = stocks.get(device) ?? { oneTime: [] };
    for (const bytes of keyPackages) {
      const seen = inspectMessage(bytes);
      if (seen.kind !== 'key-package') throw new ProblemError('invalid-key-package', 'not a key package');
      const ref = refOf(bytes);
      if (seen.lastResort) stock.lastResort = { ref, bytes };
      else stock.oneTime.push({ ref, bytes });
    }
    stocks.set(device, stock);
    return { stored: keyPackages.length, refused: [], stock: stockOf(device) };
  };
  const stockOf = (device: DeviceId) => ({
    available: stocks.get(device)?.oneTime.length ?? 0,
    lastResort: stocks.get(device)?.lastResort !== undefined,
  });

  const pageFrom = (device: DeviceId, from: number, limit: number): { page: Page; next: number } => {
    const entries: Uint8Array[] = [];
    const blocks: Uint8Array[] = [];
    const heads = new Map<string, { group: Uint8Array; position: Position; hash: Uint8Array }>();
    let index = from;
    for (; index < log.length && entries.length < limit; index += 1) {
      const item = log[index]!;
      if (!item.readers.has(device)) continue;
      entries.push(item.bytes);
      blocks.push(blockFromCursor(cursorAt(index + 1))!);
      if ('position' in item.entry) {
        const group = groups.get(groupIdOf(item.entry.group))!;
        const { position } = item.entry;
        const hash = group.entries[position - 1]!.head;
        heads.set(toHex(group.bytes), { group: group.bytes, position, hash });
      }
    }
    const upToDate = !log.some((item, i) => i >= index && item.readers.has(device));
    const next = upToDate ? log.length : index;
    const page = {
      entries,
      cursors: concatBytes(...blocks),
      cursor: cursorAt(next),
      upToDate,
      heads: [...heads.values()],
    };
    return { page: server.tamper?.(device, page) ?? page, next };
  };

  const connect = (device: DeviceId): ServerApi => {
    const act = async <Value>(method: string, args: readonly unknown[], run: () => Value): Promise<Value> => {
      await Promise.resolve();
      calls.push(method);
      if (cuts.has(device) || cuts.has('all')) throw new TransportError('unreachable', 'the network is cut');
      server.intercept?.(device, method, args);
      const value = run();
      const losing = lost.indexOf(`${device}/${method}`);
      if (losing !== -1) {
        lost.splice(losing, 1);
        throw new TransportError('unreachable', 'the answer was lost');
      }
      return value;
    };
    const once = <Value>(method: string, key: string, body: unknown, run: () => Value): Promise<Value> =>
      act(method, [key, body], () => {
        const id = `${device}/${key}`;
        const before = answers.get(id);
        if (before !== undefined) {
          if ('error' in before) throw before.error;
          return before.value as Value;
        }
        const value = run();
        answers.set(id, { value });
        return value;
      });
    return {
      serverInfo: () =>
        act('serverInfo', [], () => ({
          domain: FAKE_DOMAIN,
          version: '0',
          protocol: 1,
          serverKey: SERVER_KEY.publicKey,
          ciphersuites: [1],
          time: clock,
          limits: { ...DEFAULT_LIMITS },
        })),
      register: (key, body) =>
        once('register', key, body, () => {
          const parsed = parseRegistration(body.statement);
          if (!parsed.ok) throw new ProblemError('invalid-request', parsed.reason);
          const { name, device: described } = parsed.statement;
          const id = accountIdOf(body.statement, sha256);
          const taken = [...accounts.values()].some(
            (account) => foldName(account.name) === foldName(name) && account.id !== id,
          );
          if (taken) throw new ProblemError('name-taken', `${name} is taken`);
          const account = {
            id,
            name,
            devices: [
              {
                id: deviceIdOf(described.key, sha256),
                key: described.key,
                label: described.label,
                signatureKeys: [...described.signatureKeys],
              },
            ],
            registeredAt: clock,
            statements: [{ statement: body.statement, signature: body.signature }],
          } as Account;
          accounts.set(id, account);
          devices.set(device, id);
          return { account, keyPackages: publish(device, body.keyPackages) };
        }),
      renameAccount: (key, body) =>
        once('renameAccount', key, body, () => ({ account: changeAccount(accountOf(device), key, device, body) })),
      addDevice: (key, body) =>
        once('addDevice', key, body, () => {
          const account = changeAccount(accountOf(device), key, device, body);
          return { account, keyPackages: publish(account.devices.at(-1)!.id, body.keyPackages) };
        }),
      recoverAccount: (key, id, body) =>
        once('recoverAccount', key, body, () => ({
          account: changeAccount(id, key, device, body),
          keyPackages: publish(device, body.keyPackages),
        })),
      revokeDevice: (key, _id, body) =>
        once('revokeDevice', key, body, () => ({ account: changeAccount(accountOf(device), key, device, body) })),
      accountGroups: () =>
        act('accountGroups', [], () => ({
          groups: [...groups.values()]
            .filter((group) => hasAccount(group, accountOf(device)))
            .map(({ bytes, name, epoch, position, head }) => ({
              group: bytes as Uint8Array<ArrayBuffer>,
              ...(name === undefined ? {} : { name }),
              epoch,
              position: position as Position,
              head: head as Uint8Array<ArrayBuffer>,
              handshakes: 'public' as const,
            })),
        })),
      accountByName: (name) =>
        act('accountByName', [name], () =>
          served([...accounts.values()].find((account) => foldName(account.name) === foldName(name))),
        ),
      account: (id) => act('account', [id], () => served(accounts.get(id))),
      stock: () => act('stock', [], () => stockOf(device)),
      publishKeyPackages: (key, keyPackages) =>
        once('publishKeyPackages', key, keyPackages, () => publish(device, keyPackages)),
      claimKeyPackages: (key, group, wanted) =>
        once('claimKeyPackages', key, [group, wanted], () => {
          const results = wanted.flatMap((id): ClaimResult[] => {
            const account = accounts.get(id);
            if (account === undefined) return [{ account: id, problem: 'not-found' as const }];
            return account.devices.map(({ id: owner }) => {
              const stock = stocks.get(owner) ?? { oneTime: [] };
              const taken = stock.oneTime.shift() ?? stock.lastResort;
              const lastResort = taken !== undefined && taken === stock.lastResort;
              if (stock.oneTime.length < LOW_STOCK) {
                const payload = { available: stock.oneTime.length, lastResortUsed: lastResort };
                append(new Set([owner]), { kind: 'key-packages-low', time: clock, payload });
              }
              if (taken === undefined) return { account: id, device: owner, problem: 'exhausted' as const };
              return { account: id, device: owner, keyPackage: taken.bytes as Uint8Array<ArrayBuffer>, lastResort };
            });
          });
          return { results };
        }),
      createGroup: (key, body) =>
        once('createGroup', key, body, () => {
          const { name } = body;
          accountOf(device);
          const taken = [...groups.values()].some(
            (group) => name !== undefined && group.name !== undefined && foldName(group.name) === foldName(name),
          );
          if (taken) throw new ProblemError('name-taken', `#${name} is taken`);
          const info = inspectMessage(body.groupInfo);
          if (info.kind !== 'group-info' || info.roles === undefined)
            throw new ProblemError('invalid-request', 'no GroupInfo with roles');
          const group: FakeGroup = {
            id: groupIdOf(body.group),
            bytes: body.group,
            ...(name === undefined ? {} : { name }),
            epoch: 0,
            position: 0,
            head: EMPTY_HEAD,
            roles: info.roles,
            roster: rosterOfGroupInfo(body.groupInfo)!,
            groupInfo: body.groupInfo,
            trees: new Map([[0, extractTree(body.groupInfo)!]]),
            proposals: [],
            entries: [],
          };
          groups.set(group.id, group);
          const payload = name === undefined ? {} : { name };
          place(group, (position, time) => ({
            kind: 'group-created',
            group: body.group,
            position,
            id: key,
            sender: device,
            time,
            payload,
          }));
          return accepted(group);
        }),
      groupsByName: (name) =>
        act('groupsByName', [name], () => ({
          groups: [...groups.values()]
            .filter((group) => group.name !== undefined && foldName(group.name) === foldName(name))
            .map((group) => ({
              group: group.bytes as Uint8Array<ArrayBuffer>,
              name: group.name!,
              join: group.roles.join,
              member: leafOf(group, device) !== -1,
              administrators: group.roles.admins.map((id) => ({
                account: id as AccountId,
                name: accounts.get(id as AccountId)?.name ?? '?',
              })),
            })),
        })),
      postCommit: (key, id, body) =>
        once('postCommit', key, body, () => {
          const group = groups.get(id);
          if (group === undefined) throw new ProblemError('not-found', 'no such group');
          const commit = summarizeCommit(body.commit, group.proposals, sha256);
          if (commit.kind !== 'commit') throw new ProblemError('invalid-commit', commit.reason);
          if (commit.epoch !== group.epoch) throw conflict(group, commit.epoch);
          if (commit.unknownRefs.length > 0) throw new ProblemError('invalid-commit', 'an unknown proposal');
          if (commit.referenced.length < group.proposals.length)
            throw new ProblemError('invalid-commit', 'a proposal is left out');
          const folded = foldRoster(group.roster, commit);
          if (folded.kind !== 'folded') throw new ProblemError('invalid-commit', folded.reason);
          const committer = folded.roster[folded.committer];
          if (parseIdentity(committer!.identity)?.device !== device)
            throw new ProblemError('forbidden', 'not your leaf');
          const before = readersOf(group);
          group.roster = folded.roster;
          group.epoch += 1;
          group.proposals = [];
          group.groupInfo = body.groupInfo;
          group.trees.set(group.epoch, extractTree(body.groupInfo)!);
          if (commit.roles !== undefined) group.roles = commit.roles;
          const joined = new Set(commit.adds.map((add) => parseIdentity(add.identity)!.device));
          const entry = {
            kind: 'commit',
            group: group.bytes,
            id: key,
            sender: device,
            epoch: commit.epoch,
            payload: body.commit,
          } as const;
          clock += 1;
          group.position += 1;
          const readers = new Set([...readersOf(group), ...before]);
          const made: GroupEntry = { ...entry, position: group.position as Position, time: clock };
          const bytes = append(readers, made);
          group.head = nextHead(group.head, bytes, sha256);
          group.entries.push({ entry: made, bytes, head: group.head });
          for (const owner of joined) {
            const payload = {
              group: group.bytes,
              ...(group.name === undefined ? {} : { name: group.name }),
              position: group.position as Position,
              head: group.head,
              epoch: group.epoch,
              inviter: accountOf(device),
              welcome: body.welcome!,
            };
            append(new Set([owner]), { kind: 'welcome', time: clock, sender: device, payload });
          }
          return accepted(group);
        }),
      postReport: (id, report) =>
        once('postReport', `report-${id}-${report.epoch}`, report, () => {
          const group = groupFor(id, device);
          const reported = group.entries[report.position - 1]!.entry;
          const { sender } = reported;
          place(group, (position, time) => ({
            kind: 'report',
            group: group.bytes,
            position,
            id: `report-${device}-${report.epoch}`,
            sender: device,
            time,
            payload: {
              ...report,
              position: report.position as Position,
              reporter: accountOf(device),
              committer: { account: accountOf(sender), device: sender },
            },
          }));
          return accepted(group);
        }),
      putDeviceOffer: (id, offer) =>
        act('putDeviceOffer', [id], () => {
          offers.set(id, offer.slice());
          return { expires: clock + DEFAULT_LIMITS.deviceOfferTtlMs };
        }),
      deviceOffer: (id) => act('deviceOffer', [id], () => offers.get(id)),
      putBlob: (id, hash, blob) =>
        act('putBlob', [id, hash], () => {
          groupFor(id, device);
          blobs.set(`${id}/${hash}`, blob.slice());
          return { size: blob.length, expires: clock + DEFAULT_LIMITS.attachmentRetentionMs };
        }),
      blob: (id, hash) =>
        act('blob', [id, hash], () => {
          groupFor(id, device);
          return blobs.get(`${id}/${hash}`);
        }),
      postProposal: (key, id, proposal) =>
        once('postProposal', key, proposal, () => {
          const group = groupFor(id, device);
          const seen = summarizeProposal(proposal, sha256);
          if (seen.kind !== 'proposal') throw new ProblemError('invalid-request', seen.reason);
          if (seen.epoch !== group.epoch) throw conflict(group, seen.epoch);
          group.proposals.push({ ref: seen.ref, sender: seen.sender, proposal: seen.proposal });
          place(group, (position, time) => ({
            kind: 'proposal',
            group: group.bytes,
            position,
            id: key,
            sender: device,
            time,
            epoch: seen.epoch,
            payload: proposal,
          }));
          return accepted(group);
        }),
      postMessages: (key, id, messages) =>
        act('postMessages', [key, messages], () => {
          const group = groups.get(id);
          if (group === undefined) throw new ProblemError('not-found', 'no such group');
          const results = messages.map((message) => {
            const place_ = `${device}/${message.id}`;
            const before = placed.get(place_);
            if (before !== undefined) return { id: message.id, position: before };
            if (swallowed.has(device)) return { id: message.id, position: group.position + 1 };
            if (leafOf(group, device) === -1) return { id: message.id, problem: 'forbidden' as const };
            const seen = inspectMessage(message.message);
            if (seen.kind !== 'private') throw new ProblemError('invalid-request', 'not a private message');
            if (seen.epoch < group.epoch - DEFAULT_LIMITS.pastEpochs)
              return { id: message.id, problem: 'epoch-conflict' as const };
            place(group, (position, time) => ({
              kind: 'message',
              group: group.bytes,
              position,
              id: message.id,
              sender: device,
              time,
              epoch: seen.epoch,
              payload: message.message,
            }));
            placed.set(place_, group.position);
            return { id: message.id, position: group.position };
          });
          swallowed.delete(device);
          const last = Math.max(...results.map(({ position = 0 }) => position));
          // what was swallowed is signed for like anything else
          const head = group.entries[last - 1]?.head ?? sha256(group.head);
          const receipt = last === 0 ? {} : { receipt: receiptFor(group.bytes, last, head, clock) };
          return { results, epoch: group.epoch, ...receipt };
        }),
      tree: (id, epoch) =>
        act('tree', [id, epoch], () => {
          const tree = groups.get(id)?.trees.get(epoch);
          if (tree === undefined) throw new ProblemError('not-found', 'no such tree');
          return { epoch, ratchetTree: tree as Uint8Array<ArrayBuffer> };
        }),
      groupInfo: (id) =>
        act('groupInfo', [id], () => {
          const open = groups.get(id);
          const group = open?.roles.join === 'open' ? open : groupFor(id, device);
          const { epoch, groupInfo, position, head } = group;
          const ratchetTree = group.trees.get(epoch)!;
          return { epoch, handshakes: 'public', groupInfo, ratchetTree, position, head } as never;
        }),
      // known to its members alone
      endOf: (id) =>
        act('endOf', [id], () => {
          const group = groups.get(id);
          return group === undefined || leafOf(group, device) === -1 ? undefined : group.entries.length;
        }),
      headAt: (id, position) =>
        act('headAt', [id, position], () => {
          const shown = log.find(
            ({ readers, entry }) =>
              readers.has(device) && isGroupEntry(entry) && groupIdOf(entry.group) === id && entry.position >= position,
          )?.entry;
          if (shown === undefined || !isGroupEntry(shown)) return undefined;
          return shown.position === position ? groups.get(id)?.entries[position - 1]?.head : 'later';
        }),
      syncPage: (cursor, limit) =>
        act('syncPage', [cursor], () => pageFrom(device, indexOf(cursor), Math.min(limit, server.pageEntries)).page),
      syncStream: (cursor, signal) => stream(device, cursor, signal),
      close: async () => {},
    };
  };

  async function* stream(device: DeviceId, cursor: Cursor, signal: AbortSignal): AsyncGenerator<StreamItem> {
    await Promise.resolve();
    if (cuts.has(device) || cuts.has('all')) throw new TransportError('unreachable', 'the network is cut');
    let index = indexOf(cursor);
    let marked = false;
    let broken = false;
    const own = incarnation;
    let notify = (): void => {};
    const poke = (): void => notify();
    const breakIt = (): void => {
      broken = true;
      notify();
    };
    wakers.add(poke);
    streamBreakers.add(breakIt);
    signal.addEventListener('abort', poke);
    try {
      while (!signal.aborted) {
        if (broken || cuts.has(device) || cuts.has('all'))
          throw new TransportError('unreachable', 'the connection was cut');
        if (own !== incarnation) return;
        const { page, next } = pageFrom(device, index, server.pageEntries);
        index = next;
        if (page.entries.length > 0) {
          yield { type: 'page', ...page };
          continue;
        }
        if (!marked) {
          marked = true;
          yield { type: 'caught-up', cursor: page.cursor };
          continue;
        }
        await new Promise<void>((resolve) => {
          notify = resolve;
          if (broken || index < log.length || signal.aborted) resolve();
        });
      }
    } finally {
      wakers.delete(poke);
      streamBreakers.delete(breakIt);
      signal.removeEventListener('abort', poke);
    }
  }

  const server: FakeServer = {
    connect,
    log,
    groups,
    calls,
    cut: (device) => {
      const which = device ?? 'all';
      cuts.add(which);
      wake();
      return () => {
        cuts.delete(which);
      };
    },
    loseAnswer: (device, method) => {
      lost.push(`${device}/${method}`);
    },
    swallowMessages: (device) => {
      swallowed.add(device);
    },
    intercept: undefined,
    tamper: undefined,
    tamperAccount: undefined,
    newIncarnation: () => {
      incarnation += 1;
      wake();
    },
    remember: () => {
      const { length } = log;
      const kept = [...groups].map(([id, group]): [GroupId, FakeGroup] => {
        const { trees, proposals, entries } = group;
        return [id, { ...group, trees: new Map(trees), proposals: [...proposals], entries: [...entries] }];
      });
      const [answered, messages] = [[...answers], [...placed]];
      return () => {
        log.splice(length);
        refill(groups, kept);
        refill(answers, answered);
        refill(placed, messages);
        server.newIncarnation();
      };
    },
    dropStreams: () => {
      for (const breakIt of streamBreakers) breakIt();
    },
    pageEntries: 1000,
  };
  return server;
}

function refill<Key, Value>(map: Map<Key, Value>, entries: Iterable<readonly [Key, Value]>): void {
  map.clear();
  for (const [key, value] of entries) map.set(key, value);
}

/** Signs as a server does; the key is the same in every run. */
function createServerKey() {
  const pkcs8 = concatBytes(fromHex('302e020100300506032b657004220420'), new Uint8Array(32).fill(7));
  const privateKey = createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  const publicKey = fromBase64Url(createPublicKey(privateKey).export({ format: 'jwk' }).x!)!;
  return { publicKey, sign: (bytes: Uint8Array) => new Uint8Array(sign(null, bytes, privateKey)) };
}

export const SERVER_KEY = createServerKey();

export function receiptFor(group: Uint8Array, position: number, head: Uint8Array, time: number) {
  const receipt = encodeReceipt({ v: 1, domain: FAKE_DOMAIN, group, position, head, time });
  return { receipt, signature: SERVER_KEY.sign(receiptToSign(receipt)) } as Accepted['receipt'];
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

function refOf(keyPackage: Uint8Array): Uint8Array {
  return sha256(encodeCbor(keyPackage));
}
