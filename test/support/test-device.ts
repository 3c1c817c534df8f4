import { randomBytes } from 'node:crypto';
import { createMlsConfig } from '../../src/mls/config.ts';
import { formatIdentity } from '../../src/mls/identity.ts';
import type { GroupRoles } from '../../src/mls/roles.ts';
import { type CommitIntent, type Committed, createCommit } from '../../src/mls/session/commit.ts';
import { createGroup } from '../../src/mls/session/create.ts';
import { joinExternal } from '../../src/mls/session/external-join.ts';
import { joinFromWelcome, welcomeRefs } from '../../src/mls/session/join.ts';
import {
  createKeyPackage,
  generateSignatureKeys,
  type NewKeyPackage,
  type SignatureKeys,
} from '../../src/mls/session/key-package.ts';
import { encrypt } from '../../src/mls/session/message.ts';
import { type Received, receive } from '../../src/mls/session/receive.ts';
import { epochOf, type GroupState, membersOf } from '../../src/mls/session/state.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { encodeRegistration, statementToSign } from '../../src/wire/account-statement.ts';
import { fromBase64Url, toBase64Url, toHex, toUtf8 } from '../../src/wire/bytes.ts';
import { decodeEntry, type Entry, type WelcomeEntry } from '../../src/wire/entry.ts';
import { type AccountId, accountIdOf, type GroupId } from '../../src/wire/ids.ts';
import type { Accepted } from '../../src/wire/schemas/groups.ts';
import {
  type Answered,
  createDeviceKey,
  createSignedClient,
  type DeviceKey,
  newId,
  okValue,
  type SignedClient,
} from './signed-client.ts';

export const suite = createNodeSuite();
const trusting = createMlsConfig({ validateCredential: () => true });
const DAY_MS = 24 * 60 * 60 * 1000;

/** A registered device with real keys, packages and groups, as thin as can be: no store, no retries. */
export class TestDevice {
  readonly name: string;
  readonly domain: string;
  readonly http: SignedClient;
  readonly keys: SignatureKeys;
  readonly account: AccountId;
  readonly identity: string;
  readonly registration: { readonly statement: Uint8Array; readonly signature: Uint8Array };
  readonly packages = new Map<string, NewKeyPackage>();
  readonly groups = new Map<string, GroupState>();
  cursor = 'start';

  private constructor(
    baseUrl: string | (() => string),
    name: string,
    domain: string,
    keys: SignatureKeys,
    key: DeviceKey,
    more: { account?: AccountId; recoveryKey?: Uint8Array } = {},
  ) {
    this.name = name;
    this.domain = domain;
    this.keys = keys;
    this.http = createSignedClient(baseUrl, key);
    const statement = encodeRegistration({
      v: 1,
      type: 'register',
      domain,
      name,
      device: { key: key.publicKey, label: 'test', signatureKeys: [keys.signPublic] },
      ...(more.recoveryKey === undefined ? {} : { recoveryKey: more.recoveryKey }),
      time: Date.now(),
      nonce: randomBytes(16),
    });
    this.registration = { statement, signature: key.sign(statementToSign(statement)) };
    this.account = more.account ?? accountIdOf(statement, nodeSha256);
    this.identity = formatIdentity({ domain, account: this.account, device: key.id });
  }

  /** Keys only; nothing is sent. */
  static async create(
    baseUrl: string | (() => string),
    name: string,
    domain = 'localhost',
    key = createDeviceKey(),
    more: { account?: AccountId; recoveryKey?: Uint8Array } = {},
  ): Promise<TestDevice> {
    return new TestDevice(baseUrl, name, domain, await generateSignatureKeys(suite), key, more);
  }

  /** Keys for another device of this account; nothing is sent. */
  async sibling(baseUrl: string | (() => string)): Promise<TestDevice> {
    const { account, name, domain } = this;
    return TestDevice.create(baseUrl, name, domain, createDeviceKey(), { account });
  }

  /** Registered, with this many key packages and a last resort. */
  static async register(
    baseUrl: string | (() => string),
    name: string,
    options: { packages?: number; domain?: string; key?: DeviceKey } = {},
  ): Promise<TestDevice> {
    const device = await TestDevice.create(baseUrl, name, options.domain, options.key);
    okValue(await device.postRegistration(await device.makePackages(options.packages ?? 2)));
    return device;
  }

  get id() {
    return this.http.key.id;
  }

  postRegistration(keyPackages: readonly Uint8Array[] = [], idempotencyKey: string = newId()): Promise<Answered> {
    return this.http.request('POST', '/v1/accounts', { body: { ...this.registration, keyPackages }, idempotencyKey });
  }

  /** `count` one-time packages and, unless said otherwise, a last resort; the secrets are kept. */
  async makePackages(count: number, lastResort = true): Promise<Uint8Array[]> {
    const made: Uint8Array[] = [];
    for (let i = 0; i < count + (lastResort ? 1 : 0); i += 1) made.push((await this.makePackage(i === count)).bytes);
    return made;
  }

  async makePackage(lastResort = false): Promise<NewKeyPackage> {
    const { identity, keys } = this;
    const made = await createKeyPackage(suite, {
      identity,
      keys,
      now: Date.now(),
      lifetimeMs: 30 * DAY_MS,
      lastResort,
    });
    this.packages.set(toHex(made.ref), made);
    return made;
  }

  state(group: Uint8Array): GroupState {
    const state = this.groups.get(toBase64Url(group));
    if (state === undefined) throw new Error(`${this.name} is not in this group`);
    return state;
  }

  setState(group: Uint8Array, state: GroupState): void {
    this.groups.set(toBase64Url(group), state);
  }

  /** The body of a group's creation, and the state to keep when it is accepted. */
  async prepareGroup(name?: string, roles: Partial<GroupRoles> = {}) {
    const groupId = new Uint8Array(randomBytes(16));
    const { state, groupInfo } = await createGroup(suite, trusting, {
      groupId,
      identity: this.identity,
      keys: this.keys,
      roles: { admins: [this.account], invite: 'admins', join: 'invite', ...roles },
      now: Date.now(),
    });
    return { group: groupId, state, body: { group: groupId, ...(name === undefined ? {} : { name }), groupInfo } };
  }

  async createGroup(name?: string, roles: Partial<GroupRoles> = {}): Promise<Uint8Array> {
    const { group, state, body } = await this.prepareGroup(name, roles);
    okValue(await this.http.request('POST', '/v1/groups', { body, idempotencyKey: newId() }));
    this.setState(group, state);
    return group;
  }

  claim(group: Uint8Array, accounts: readonly string[], idempotencyKey: string = newId()): Promise<Answered> {
    return this.http.request('POST', '/v1/key-packages/claims', { body: { group, accounts }, idempotencyKey });
  }

  prepareCommit(group: Uint8Array, intent: Partial<CommitIntent> = {}): Promise<Committed> {
    return createCommit(suite, this.state(group), {
      inlineTree: true,
      groupInfoTree: true,
      now: Date.now(),
      ...intent,
    });
  }

  postCommit(
    group: Uint8Array,
    { commit, welcome, groupInfo }: Pick<Committed, 'commit' | 'welcome' | 'groupInfo'>,
    idempotencyKey: string = newId(),
  ): Promise<Answered> {
    const body = { commit, ...(welcome === undefined ? {} : { welcome }), groupInfo };
    return this.http.request('POST', `/v1/groups/${toBase64Url(group)}/commits`, { body, idempotencyKey });
  }

  /** Commits and keeps the new state; fails unless it is accepted. */
  async commit(group: Uint8Array, intent: Partial<CommitIntent> = {}): Promise<Accepted> {
    const made = await this.prepareCommit(group, intent);
    const accepted = okValue(await this.postCommit(group, made)) as Accepted;
    this.setState(group, made.next);
    return accepted;
  }

  /** Claims a package of each and adds them in one commit. */
  async invite(group: Uint8Array, ...others: readonly TestDevice[]): Promise<Accepted> {
    const { results } = okValue(
      await this.claim(
        group,
        others.map(({ account }) => account),
      ),
    );
    return await this.commit(group, { add: results.map((result: { keyPackage: Uint8Array }) => result.keyPackage) });
  }

  async remove(group: Uint8Array, ...others: readonly TestDevice[]): Promise<Accepted> {
    return await this.commit(group, { remove: others.map((other) => this.leafOf(group, other)) });
  }

  leafOf(group: Uint8Array, other: TestDevice): number {
    const member = membersOf(this.state(group)).find(({ identity }) => identity === other.identity);
    if (member === undefined) throw new Error(`${other.name} is not in this group`);
    return member.leaf;
  }

  /** Encrypts a text; the state moves on, as it must. */
  async encrypt(group: Uint8Array, text: string): Promise<Uint8Array> {
    const { state, message } = await encrypt(suite, this.state(group), toUtf8(text), new Uint8Array(0));
    this.setState(group, state);
    return message;
  }

  postMessages(group: Uint8Array, messages: readonly { id: string; message: Uint8Array }[]): Promise<Answered> {
    return this.http.request('POST', `/v1/groups/${toBase64Url(group)}/messages`, { body: { messages } });
  }

  async send(group: Uint8Array, text: string): Promise<number> {
    const message = await this.encrypt(group, text);
    const { results } = okValue(await this.postMessages(group, [{ id: newId(), message }]));
    return results[0].position;
  }

  /** One page from the own cursor; moves it. */
  async syncPage(limit?: number): Promise<{ entries: Entry[]; upToDate: boolean; cursor: string }> {
    const query = `cursor=${this.cursor}${limit === undefined ? '' : `&limit=${limit}`}`;
    const page = okValue(await this.http.request('GET', `/v1/sync?${query}`));
    this.cursor = page.cursor;
    return { entries: page.entries.map(decodeEntry), upToDate: page.upToDate, cursor: page.cursor };
  }

  /** All pages until nothing more is there. */
  async syncAll(limit?: number): Promise<Entry[]> {
    const all: Entry[] = [];
    for (;;) {
      const { entries, upToDate } = await this.syncPage(limit);
      all.push(...entries);
      if (upToDate) return all;
    }
  }

  /** Catches up and processes: joins by Welcomes, applies others' commits and proposals. Gives the texts it could read. */
  async catchUp(): Promise<string[]> {
    const texts: string[] = [];
    for (const entry of await this.syncAll()) {
      if (entry.kind === 'welcome') await this.join(entry);
      else if ('epoch' in entry && entry.sender !== this.id) {
        const result = await this.process(entry.group, entry.payload);
        if (result?.kind === 'message') texts.push(new TextDecoder().decode(result.plaintext));
      }
    }
    return texts;
  }

  async join({ payload }: WelcomeEntry): Promise<void> {
    const ref = (welcomeRefs(payload.welcome) ?? []).map(toHex).find((hex) => this.packages.has(hex));
    if (ref === undefined) throw new Error(`${this.name} got a Welcome for nobody`);
    const keyPackage = this.packages.get(ref)!;
    const joined = await joinFromWelcome(suite, trusting, { welcome: payload.welcome, keyPackage });
    if (joined.kind !== 'joined') throw new Error(`${this.name} cannot join: ${joined.code}`);
    this.setState(payload.group, joined.state);
  }

  async process(group: Uint8Array, bytes: Uint8Array): Promise<Received | undefined> {
    const state = this.groups.get(toBase64Url(group));
    if (state === undefined) return undefined;
    const result = await receive(suite, state, bytes);
    if (result.kind !== 'rejected') this.setState(group, result.state);
    return result;
  }

  /** An external commit from the server's GroupInfo; the state is kept when it is accepted. */
  async prepareExternal(group: Uint8Array, resync: boolean) {
    const info = okValue(await this.http.request('GET', `/v1/groups/${toBase64Url(group)}/group-info`));
    const joined = await joinExternal(suite, trusting, {
      groupInfo: info.groupInfo,
      tree: info.ratchetTree,
      identity: this.identity,
      keys: this.keys,
      resync,
      groupInfoTree: true,
      now: Date.now(),
    });
    if (joined.kind !== 'joined') throw new Error(`${this.name} cannot join from outside: ${joined.code}`);
    return joined;
  }

  epoch(group: Uint8Array): number {
    return epochOf(this.state(group));
  }
}

export const pathOf = (group: Uint8Array | GroupId): string =>
  `/v1/groups/${typeof group === 'string' ? group : toBase64Url(group)}`;

/** Entries of an `epoch-conflict`. */
export function conflictEntries(entries: readonly string[]): Entry[] {
  return entries.map((text) => decodeEntry(fromBase64Url(text)!));
}
