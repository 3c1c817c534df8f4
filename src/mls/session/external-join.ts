import { type ClientConfig, encodeMlsMessage, type GroupInfo, joinGroupExternal } from 'ts-mls';
import {
  BACKDATE_MS,
  identityOfCredential,
  KEY_PACKAGE_LIFETIME_MAX_MS,
  libraryConfig,
  type MlsConfig,
} from '../config.ts';
import { decodeMessage } from '../encoding/decode.ts';
import type { Suite } from '../suite.ts';
import { groupInfoOf } from './group-info.ts';
import { type JoinRefusal, type JoinRefused, treeFor } from './join.ts';
import { generatePackage, type SignatureKeys } from './key-package.ts';
import { type GroupState, membersIn, wrap } from './state.ts';

export interface ExternalJoin {
  /** MLSMessage with external_pub, of the epoch that the commit will end. */
  readonly groupInfo: Uint8Array;
  /** The tree, when the GroupInfo carries none. */
  readonly tree?: Uint8Array;
  readonly identity: string;
  readonly keys: SignatureKeys;
  /** Replace the leaf that this identity already has: for a device that lost its state, with old or new keys. */
  readonly resync: boolean;
  /** Whether the GroupInfo of the new epoch carries the ratchet tree. */
  readonly groupInfoTree: boolean;
  /** ms. */
  readonly now: number;
}

export interface JoinedExternally {
  readonly kind: 'joined';
  /** Ours once the commit is accepted; to be dropped when another commit won the epoch. */
  readonly state: GroupState;
  /** PublicMessage, as an MLSMessage. */
  readonly commit: Uint8Array;
  /** Of the new epoch. */
  readonly groupInfo: Uint8Array;
}

/** Joins without an invitation, by an external commit (RFC 9420 §12.4.3.2). */
export async function joinExternal(
  suite: Suite,
  config: MlsConfig,
  options: ExternalJoin,
): Promise<JoinedExternally | JoinRefused> {
  const groupInfo = groupInfoIn(options.groupInfo);
  if (groupInfo === undefined) return refused('malformed');
  if (groupInfo.groupContext.cipherSuite !== suite.name) return refused('wrong-suite');
  if (!groupInfo.extensions.some((extension) => extension.extensionType === 'external_pub')) {
    return refused('no-external-pub');
  }
  const tree = treeFor(groupInfo, options.tree);
  if ('kind' in tree) return tree;
  // the library would look for a leaf that is not there for ever
  const members = membersIn(tree.nodes);
  const isMember = members.some((member) => member.identity === options.identity);
  if (isMember !== options.resync) return refused(isMember ? 'already-member' : 'no-former-leaf');
  // it cannot replace the only leaf of a tree, which is empty in between
  if (isMember && members.length === 1) return refused('only-member');

  const { identity, keys, now, resync } = options;
  const lifetimeMs = KEY_PACKAGE_LIFETIME_MAX_MS - BACKDATE_MS;
  const own = await generatePackage(suite, { identity, keys, now, lifetimeMs, lastResort: false });
  const { leafNode } = own.publicPackage;
  const clientConfig = libraryConfig(config);
  if (!(await clientConfig.authService.validateCredential(leafNode.credential, leafNode.signaturePublicKey))) {
    return refused('invalid-group', new Error('our own credential is refused'));
  }
  try {
    const joined = await joinGroupExternal(
      groupInfo,
      own.publicPackage,
      own.privatePackage,
      resync,
      suite,
      tree.nodes,
      byIdentity(clientConfig),
    );
    const state = { ...joined.newState, clientConfig };
    const { publicMessage } = joined;
    return {
      kind: 'joined',
      state: wrap(state),
      commit: encodeMlsMessage({ version: 'mls10', wireformat: 'mls_public_message', publicMessage }),
      groupInfo: await groupInfoOf(suite, state, options.groupInfoTree),
    };
  } catch (cause) {
    return refused('invalid-group', cause);
  }
}

/** The leaf to replace is the one of our identity: a device that lost its state may have lost its keys as well. */
function byIdentity(config: ClientConfig): ClientConfig {
  return {
    ...config,
    keyPackageEqualityConfig: {
      ...config.keyPackageEqualityConfig,
      compareKeyPackageToLeafNode: (keyPackage, leaf) =>
        identityOfCredential(keyPackage.leafNode.credential) === identityOfCredential(leaf.credential),
    },
  };
}

function groupInfoIn(bytes: Uint8Array): GroupInfo | undefined {
  const decoded = decodeMessage(bytes);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_group_info') return undefined;
  return decoded.message.groupInfo;
}

function refused(code: JoinRefusal, cause?: unknown): JoinRefused {
  return cause === undefined ? { kind: 'refused', code } : { kind: 'refused', code, cause };
}
