import { type ClientState, emptyPskIndex, type GroupInfo, joinGroup, type RatchetTree, type Welcome } from 'ts-mls';
import { makeKeyPackageRef } from 'ts-mls/keyPackage.js';
import { decryptGroupInfo, decryptGroupSecrets } from 'ts-mls/welcome.js';
import { equalBytes } from '../../wire/bytes.ts';
import { libraryConfig, type MlsConfig } from '../config.ts';
import { decodeMessage } from '../encoding/decode.ts';
import { decodeTree } from '../encoding/tree-codec.ts';
import type { Suite } from '../suite.ts';
import { decodePair, type KeyPackagePair } from './key-package.ts';
import { type GroupState, wrap } from './state.ts';

/**
 * Why a join failed.
 *
 * - `malformed`: not a Welcome or GroupInfo at all.
 * - `not-for-us`: the Welcome names other key packages, or its secrets do not open with ours.
 * - `wrong-suite`: the group has another cipher suite.
 * - `tree-missing`: the tree travels separately and was not handed in.
 * - `no-external-pub`: the GroupInfo allows no external commit.
 * - `already-member`: there is a leaf of this identity and `resync` was not asked.
 * - `no-former-leaf`: `resync` was asked and there is no leaf of this identity.
 * - `only-member`: `resync` was asked and the leaf of this identity is the only one.
 * - `invalid-group`: tree, signatures, credentials or keys of the group are not valid; the reason is the cause.
 */
export type JoinRefusal =
  | 'malformed'
  | 'not-for-us'
  | 'wrong-suite'
  | 'tree-missing'
  | 'no-external-pub'
  | 'already-member'
  | 'no-former-leaf'
  | 'only-member'
  | 'invalid-group';

export interface JoinRefused {
  readonly kind: 'refused';
  readonly code: JoinRefusal;
  readonly cause?: unknown;
}

export interface OpenedWelcome {
  readonly kind: 'opened';
  readonly groupId: Uint8Array;
  /** The epoch in which the member begins: the one whose tree has to be fetched when `hasTree` is false. */
  readonly epoch: number;
  readonly hasTree: boolean;
}

/** References of the key packages that a Welcome is for; `undefined` when the bytes are no Welcome. */
export function welcomeRefs(bytes: Uint8Array): readonly Uint8Array[] | undefined {
  return decodeWelcome(bytes)?.secrets.map((secret) => secret.newMember);
}

/** Which group and epoch a Welcome of ours leads to, without joining. */
export async function openWelcome(
  suite: Suite,
  options: { readonly welcome: Uint8Array; readonly keyPackage: KeyPackagePair },
): Promise<OpenedWelcome | JoinRefused> {
  const opened = await open(suite, options.welcome, options.keyPackage);
  if ('kind' in opened) return opened;
  const { groupContext, extensions } = opened.groupInfo;
  return {
    kind: 'opened',
    groupId: groupContext.groupId.slice(),
    epoch: Number(groupContext.epoch),
    hasTree: extensions.some((extension) => extension.extensionType === 'ratchet_tree'),
  };
}

/**
 * Joins by a Welcome (RFC 9420 §12.4.3.1): every leaf's signature and credential, the parent hashes, the tree hash,
 * the GroupInfo's signature and the confirmation tag are checked.
 *
 * The key package is not used up by this: forget its secrets when the new state is stored, unless it is a last resort.
 *
 * @throws MlsError `invalid-argument` when `keyPackage` is not a pair that we made
 */
export async function joinFromWelcome(
  suite: Suite,
  config: MlsConfig,
  options: {
    readonly welcome: Uint8Array;
    readonly keyPackage: KeyPackagePair;
    /** Encoded as in the `ratchet_tree` extension. */
    readonly tree?: Uint8Array;
  },
): Promise<{ kind: 'joined'; state: GroupState } | JoinRefused> {
  const opened = await open(suite, options.welcome, options.keyPackage);
  if ('kind' in opened) return opened;
  const tree = treeFor(opened.groupInfo, options.tree);
  if ('kind' in tree) return tree;
  const { keyPackage, privatePackage } = decodePair(options.keyPackage);
  try {
    const joined: ClientState = await joinGroup(
      opened.welcome,
      keyPackage,
      privatePackage,
      emptyPskIndex,
      suite,
      tree.nodes,
      undefined,
      libraryConfig(config),
    );
    return { kind: 'joined', state: wrap(joined) };
  } catch (cause) {
    return { kind: 'refused', code: 'invalid-group', cause };
  }
}

// ─── for the operations in this folder ───

/** The tree in a GroupInfo, else the one handed in: bound-checked before the library walks it. */
export function treeFor(groupInfo: GroupInfo, separate: Uint8Array | undefined): { nodes: RatchetTree } | JoinRefused {
  const inside = groupInfo.extensions.find((extension) => extension.extensionType === 'ratchet_tree');
  const bytes = inside?.extensionData ?? separate;
  if (bytes === undefined) return { kind: 'refused', code: 'tree-missing' };
  const decoded = decodeTree(bytes);
  if ('malformed' in decoded) return { kind: 'refused', code: 'invalid-group', cause: new Error(decoded.malformed) };
  return { nodes: decoded.tree };
}

async function open(
  suite: Suite,
  bytes: Uint8Array,
  pair: KeyPackagePair,
): Promise<{ welcome: Welcome; groupInfo: GroupInfo } | JoinRefused> {
  const { keyPackage, privatePackage } = decodePair(pair);
  const welcome = decodeWelcome(bytes);
  if (welcome === undefined) return { kind: 'refused', code: 'malformed' };
  if (welcome.cipherSuite !== suite.name) return { kind: 'refused', code: 'wrong-suite' };
  const ref = await makeKeyPackageRef(keyPackage, suite.hash);
  if (!welcome.secrets.some((secret) => equalBytes(secret.newMember, ref))) {
    return { kind: 'refused', code: 'not-for-us' };
  }
  try {
    const initKey = await suite.hpke.importPrivateKey(privatePackage.initPrivateKey);
    const secrets = await decryptGroupSecrets(initKey, ref, welcome, suite.hpke);
    if (secrets === undefined) return { kind: 'refused', code: 'not-for-us' };
    const noPsk = new Uint8Array(suite.kdf.size);
    const groupInfo = await decryptGroupInfo(welcome, secrets.joinerSecret, noPsk, suite);
    if (groupInfo === undefined) return { kind: 'refused', code: 'invalid-group' };
    const { cipherSuite, epoch } = groupInfo.groupContext;
    if (cipherSuite !== suite.name) return { kind: 'refused', code: 'wrong-suite' };
    if (epoch > BigInt(Number.MAX_SAFE_INTEGER)) return { kind: 'refused', code: 'invalid-group' };
    return { welcome, groupInfo };
  } catch (cause) {
    return { kind: 'refused', code: 'not-for-us', cause };
  }
}

function decodeWelcome(bytes: Uint8Array): Welcome | undefined {
  const decoded = decodeMessage(bytes);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_welcome') return undefined;
  return decoded.message.welcome;
}
