import type { GroupInfo, KeyPackage } from 'ts-mls';
import { decodeVarLenData } from 'ts-mls/codec/variableLength.js';
import { encodeGroupContext } from 'ts-mls/groupContext.js';
import { verifyGroupInfoSignature } from 'ts-mls/groupInfo.js';
import { encodeKeyPackage } from 'ts-mls/keyPackage.js';
import { equalBytes, toHex } from '../../wire/bytes.ts';
import type { Sha256 } from '../../wire/ids.ts';
import { decodeMessage } from '../encoding/decode.ts';
import { isUsableKemKey } from '../encoding/kem-key.ts';
import { refHash } from '../encoding/ref-hash.ts';
import { encodeTree } from '../encoding/tree-codec.ts';
import type { SignatureCheck } from './commit.ts';
import { type GroupData, leafNodeAt } from './group.ts';
import { type Refused, refused } from './refusal.ts';

/**
 * Whether a GroupInfo is that of the epoch that a commit leads to (D7): the same context to the last byte, the
 * commit's confirmation tag, signed by the committer, with an external_pub, and no other tree than ours.
 */
export function checkGroupInfo(
  next: GroupData,
  committer: number,
  bytes: Uint8Array,
): { readonly check: SignatureCheck } | Refused {
  const decoded = decodeMessage(bytes);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_group_info') return refused('bad-group-info');
  const { groupInfo } = decoded.message;
  const { groupContext: stated } = groupInfo;
  const { context } = next;
  const isPlaced =
    stated.version === context.version &&
    stated.cipherSuite === context.cipherSuite &&
    stated.epoch === context.epoch &&
    equalBytes(stated.groupId, context.groupId);
  if (!isPlaced) return refused('bad-group-info', 'of another group or epoch');
  if (!equalBytes(stated.treeHash, context.treeHash)) return refused('wrong-tree-hash');
  if (!equalBytes(stated.confirmedTranscriptHash, context.confirmedTranscriptHash)) {
    return refused('wrong-transcript-hash');
  }
  if (!equalBytes(encodeGroupContext(stated), encodeGroupContext(context))) return refused('wrong-extensions');
  if (!equalBytes(groupInfo.confirmationTag, next.confirmationTag)) return refused('wrong-confirmation-tag');
  if (groupInfo.signer !== committer) return refused('wrong-signer');
  const signer = leafNodeAt(next, committer);
  if (signer === undefined) return refused('wrong-signer');

  for (const { extensionType, extensionData } of groupInfo.extensions) {
    if (extensionType === 'ratchet_tree' && !equalBytes(extensionData, encodeTree(next.tree.nodes))) {
      return refused('wrong-tree-hash', 'another tree inside');
    }
  }
  if (!hasExternalPub(groupInfo)) return refused('external-pub-missing');
  return {
    check: {
      reason: 'bad-group-info-signature',
      verify: ({ signature }) => verifyGroupInfoSignature(groupInfo, signer.signaturePublicKey, signature),
    },
  };
}

/** A Welcome is there exactly when members are added, and names their packages, each once, sealed so that it could be opened. */
export function welcomeRefusal(
  next: GroupData,
  adds: readonly KeyPackage[],
  welcome: Uint8Array | undefined,
  sha256: Sha256,
): Refused | undefined {
  if (welcome === undefined) return adds.length === 0 ? undefined : refused('welcome-missing');
  if (adds.length === 0) return refused('welcome-unexpected');
  const decoded = decodeMessage(welcome);
  if ('malformed' in decoded || decoded.message.wireformat !== 'mls_welcome') return refused('welcome-mismatch');
  const { cipherSuite, secrets } = decoded.message.welcome;
  const named = new Set(secrets.map((secret) => toHex(secret.newMember)));
  const isComplete =
    cipherSuite === next.context.cipherSuite &&
    secrets.length === adds.length &&
    secrets.every(({ encryptedGroupSecrets }) => isUsableKemKey(encryptedGroupSecrets.kemOutput)) &&
    named.size === adds.length &&
    adds.every((keyPackage) => named.has(toHex(referenceOf(keyPackage, sha256))));
  return isComplete ? undefined : refused('welcome-mismatch');
}

export function referenceOf(keyPackage: KeyPackage, sha256: Sha256): Uint8Array {
  return refHash('MLS 1.0 KeyPackage Reference', encodeKeyPackage(keyPackage), sha256);
}

/** Without it nobody who lost its state gets back in. */
export function hasExternalPub({ extensions }: GroupInfo): boolean {
  const found = extensions.filter(({ extensionType }) => extensionType === 'external_pub').at(-1);
  return found !== undefined && isPublicKey(found.extensionData);
}

/** `HPKEPublicKey external_pub`, with its own length inside the extension (RFC 9420 §12.4.3.2). */
function isPublicKey(extensionData: Uint8Array): boolean {
  try {
    const decoded = decodeVarLenData(extensionData, 0);
    return decoded !== undefined && isUsableKemKey(decoded[0]) && decoded[1] === extensionData.length;
  } catch {
    return false; // the library throws where the data ends early
  }
}
