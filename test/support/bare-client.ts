import { randomBytes } from 'node:crypto';
import {
  acceptAll,
  type ClientConfig,
  type ClientState,
  createApplicationMessage,
  createCommit,
  createGroup,
  createProposal,
  decodeMlsMessage,
  defaultCapabilities,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  type KeyPackage,
  type MLSMessage,
  type PrivateKeyPackage,
  type Proposal,
  processPrivateMessage,
  processPublicMessage,
} from 'ts-mls';
import { defaultClientConfig } from 'ts-mls/clientConfig.js';
import { makeKeyPackageRef } from 'ts-mls/keyPackage.js';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { encodeRegistration, statementToSign } from '../../src/wire/account-statement.ts';
import { toBase64Url, toHex } from '../../src/wire/bytes.ts';
import { decodeEntry, type Entry, type WelcomeEntry } from '../../src/wire/entry.ts';
import { type AccountId, accountIdOf, type Sha256 } from '../../src/wire/ids.ts';
import {
  createDeviceKey,
  createSignedClient,
  type DeviceKey,
  newId,
  okValue,
  type SignedClient,
} from './signed-client.ts';

const ROLES = 0xf0a1;
const DAY_S = 24 * 60 * 60;
const config: ClientConfig = { ...defaultClientConfig, authService: { validateCredential: async () => true } };
const utf8 = new TextEncoder();

/**
 * A member that has never heard of this project's MLS layer: the library as it is, with its own cryptography, PrivateMessages
 * for everything, and HTTP. What it knows of the server is the protocol.
 */
export class BareClient {
  readonly http: SignedClient;
  readonly account: AccountId;
  readonly #suite: Awaited<ReturnType<typeof getCiphersuiteImpl>>;
  readonly #keys: { readonly signKey: Uint8Array; readonly publicKey: Uint8Array };
  readonly #identity: Uint8Array;
  readonly #packages = new Map<
    string,
    { readonly publicPackage: KeyPackage; readonly privatePackage: PrivateKeyPackage }
  >();
  readonly #registration: { readonly statement: Uint8Array; readonly signature: Uint8Array };
  state: ClientState | undefined;
  cursor = 'start';

  private constructor(
    url: string,
    name: string,
    key: DeviceKey,
    suite: Awaited<ReturnType<typeof getCiphersuiteImpl>>,
    keys: { signKey: Uint8Array; publicKey: Uint8Array },
  ) {
    this.http = createSignedClient(url, key);
    this.#suite = suite;
    this.#keys = keys;
    const statement = encodeRegistration({
      v: 1,
      type: 'register',
      domain: 'localhost',
      name,
      device: { key: key.publicKey, label: 'bare', signatureKeys: [keys.publicKey] },
      time: Date.now(),
      nonce: randomBytes(16),
    });
    this.#registration = { statement, signature: key.sign(statementToSign(statement)) };
    this.account = accountIdOf(statement, nodeSha256 satisfies Sha256);
    this.#identity = utf8.encode(`mimi://localhost/d/${this.account}/${key.id}`);
  }

  static async register(url: string, name: string): Promise<BareClient> {
    const suite = await getCiphersuiteImpl(getCiphersuiteFromName('MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519'));
    const client = new BareClient(url, name, createDeviceKey(), suite, await suite.signature.keygen());
    const keyPackages = [await client.#makePackage(), await client.#makePackage()];
    const body = { ...client.#registration, keyPackages };
    okValue(await client.http.request('POST', '/v1/accounts', { body, idempotencyKey: newId() }));
    return client;
  }

  get id() {
    return this.http.key.id;
  }

  get epoch(): number {
    return Number(this.#current.groupContext.epoch);
  }

  get authenticator(): string {
    return toHex(this.#current.keySchedule.epochAuthenticator);
  }

  get #current(): ClientState {
    if (this.state === undefined) throw new Error('in no group');
    return this.state;
  }

  async #generate() {
    const now = BigInt(Math.floor(Date.now() / 1000));
    const lifetime = { notBefore: now - 3600n, notAfter: now + BigInt(30 * DAY_S) };
    const credential = { credentialType: 'basic', identity: this.#identity } as const;
    const capabilities = { ...defaultCapabilities(), extensions: [ROLES] };
    return await generateKeyPackageWithKey(credential, capabilities, lifetime, [], this.#keys, this.#suite);
  }

  async #makePackage(): Promise<Uint8Array> {
    const made = await this.#generate();
    this.#packages.set(toHex(await makeKeyPackageRef(made.publicPackage, this.#suite.hash)), made);
    const { publicPackage: keyPackage } = made;
    return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_key_package', keyPackage });
  }

  /** A group that tells the server nothing but its id. */
  async createGroup(): Promise<Uint8Array> {
    const group = new Uint8Array(randomBytes(16));
    const own = await this.#generate();
    this.state = await createGroup(group, own.publicPackage, own.privatePackage, [], this.#suite, config);
    const body = { group, handshakes: 'private' };
    okValue(await this.http.request('POST', '/v1/groups', { body, idempotencyKey: newId() }));
    return group;
  }

  /** Adds and removes in one private commit; nothing is kept before the server took it. */
  async commit(
    change: { readonly add?: readonly { account: AccountId }[]; readonly remove?: readonly { id: string }[] } = {},
    post: (body: Record<string, unknown>) => Record<string, unknown> = (body) => body,
  ) {
    const state = this.#current;
    const group = state.groupContext.groupId;
    const proposals: Proposal[] = (change.remove ?? []).map(({ id }) => ({
      proposalType: 'remove',
      remove: { removed: leafOf(state, id) },
    }));
    const added: { device: string; ref: Uint8Array }[] = [];
    for (const { account } of change.add ?? []) {
      const body = { group, accounts: [account] };
      const { results } = okValue(
        await this.http.request('POST', '/v1/key-packages/claims', { body, idempotencyKey: newId() }),
      );
      const [{ keyPackage: bytes, device }] = results;
      const message = decoded(bytes);
      if (message.wireformat !== 'mls_key_package') throw new Error('not a key package');
      proposals.push({ proposalType: 'add', add: { keyPackage: message.keyPackage } });
      added.push({ device, ref: await makeKeyPackageRef(message.keyPackage, this.#suite.hash) });
    }
    const made = await createCommit(
      { state, cipherSuite: this.#suite },
      { extraProposals: proposals, ratchetTreeExtension: true },
    );
    const { welcome } = made;
    const body = {
      commit: encodeMlsMessage(made.commit),
      ...(welcome === undefined
        ? {}
        : { welcome: encodeMlsMessage({ version: 'mls10', wireformat: 'mls_welcome', welcome }) }),
      roster: { added, removed: (change.remove ?? []).map(({ id }) => id) },
    };
    const answered = await this.#post(group, 'commits', post(body));
    if (answered.status === 201) this.state = made.newState;
    return answered;
  }

  /** Asks to be removed; the proposal is private like everything else. */
  async leave() {
    const state = this.#current;
    const proposal = { proposalType: 'remove', remove: { removed: state.privatePath.leafIndex } } as const;
    const made = await createProposal(state, false, proposal, this.#suite);
    this.state = made.newState;
    return await this.#post(state.groupContext.groupId, 'proposals', { proposal: encodeMlsMessage(made.message) });
  }

  async encrypt(text: string): Promise<Uint8Array> {
    const { newState, privateMessage } = await createApplicationMessage(this.#current, utf8.encode(text), this.#suite);
    this.state = newState;
    return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_private_message', privateMessage });
  }

  async send(text: string) {
    const message = await this.encrypt(text);
    return await this.#post(this.#current.groupContext.groupId, 'messages', { messages: [{ id: newId(), message }] });
  }

  /** Reads everything that is new: joins, follows commits, gives the texts it could read. */
  async catchUp(): Promise<{ readonly texts: string[]; readonly entries: Entry[] }> {
    const texts: string[] = [];
    const entries: Entry[] = [];
    for (;;) {
      const page = okValue(await this.http.request('GET', `/v1/sync?cursor=${this.cursor}`));
      this.cursor = page.cursor;
      for (const bytes of page.entries as Uint8Array[]) {
        const entry = decodeEntry(bytes);
        entries.push(entry);
        if (entry.kind === 'welcome') await this.#join(entry);
        else if ('epoch' in entry && entry.sender !== this.id && this.state !== undefined) {
          const text = await this.#process(entry.payload);
          if (text !== undefined) texts.push(text);
        }
      }
      if (page.upToDate) return { texts, entries };
    }
  }

  async #join({ payload }: WelcomeEntry): Promise<void> {
    const message = decoded(payload.welcome);
    if (message.wireformat !== 'mls_welcome') throw new Error('not a Welcome');
    const refs = message.welcome.secrets.map(({ newMember }) => toHex(newMember));
    const own = this.#packages.get(refs.find((ref) => this.#packages.has(ref)) ?? '');
    if (own === undefined) throw new Error('a Welcome for nobody');
    const { publicPackage, privatePackage } = own;
    this.state = await joinGroup(
      message.welcome,
      publicPackage,
      privatePackage,
      emptyPskIndex,
      this.#suite,
      undefined,
      undefined,
      config,
    );
  }

  async #process(bytes: Uint8Array): Promise<string | undefined> {
    const state = this.#current;
    if (state.groupActiveState.kind !== 'active') return undefined;
    const message = decoded(bytes);
    if (message.wireformat === 'mls_public_message') {
      const result = await processPublicMessage(state, message.publicMessage, emptyPskIndex, this.#suite, acceptAll);
      this.state = result.newState;
      return undefined;
    }
    if (message.wireformat !== 'mls_private_message') throw new Error('not a message');
    const result = await processPrivateMessage(state, message.privateMessage, emptyPskIndex, this.#suite, acceptAll);
    this.state = result.newState;
    return result.kind === 'applicationMessage' ? new TextDecoder().decode(result.message) : undefined;
  }

  #post(group: Uint8Array, resource: string, body: Record<string, unknown>) {
    const options = resource === 'messages' ? { body } : { body, idempotencyKey: newId() };
    return this.http.request('POST', `/v1/groups/${toBase64Url(group)}/${resource}`, options);
  }
}

function decoded(bytes: Uint8Array): MLSMessage {
  const [message] = decodeMlsMessage(bytes, 0) ?? [];
  if (message === undefined) throw new Error('not an MLSMessage');
  return message;
}

function leafOf({ ratchetTree }: ClientState, device: string): number {
  const index = ratchetTree.findIndex(
    (node) =>
      node?.nodeType === 'leaf' &&
      node.leaf.credential.credentialType === 'basic' &&
      new TextDecoder().decode(node.leaf.credential.identity).endsWith(`/${device}`),
  );
  if (index === -1) throw new Error('no such member');
  return index / 2;
}
