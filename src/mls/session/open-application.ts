import type { ClientState, PrivateMessage } from 'ts-mls';
import { encode } from 'ts-mls/codec/tlsEncoder.js';
import { verifyFramedContentSignature } from 'ts-mls/framedContent.js';
import {
  decodePrivateMessageContent,
  privateContentAADEncoder,
  toAuthenticatedContent,
} from 'ts-mls/privateMessage.js';
import { ratchetToGeneration } from 'ts-mls/secretTree.js';
import type { SenderData } from 'ts-mls/sender.js';
import type { Suite } from '../suite.ts';

export type OpenedApplication =
  | {
      readonly kind: 'opened';
      readonly plaintext: Uint8Array;
      readonly state: ClientState;
      readonly consumed: readonly Uint8Array[];
    }
  | { readonly kind: 'undecryptable' | 'unauthenticated'; readonly cause: unknown };

/**
 * Opens a message of an application whose sender data is decrypted already (RFC 9420 §6.3.1): ratchet, content, signature,
 * from the library's own pieces. The library's way does the sender data a second time, which is a tenth of catching up.
 *
 * @param past the epoch's keys when it is not the present one
 */
export async function openApplication(
  suite: Suite,
  state: ClientState,
  past: ReturnType<ClientState['historicalReceiverData']['get']>,
  message: PrivateMessage,
  sender: SenderData,
  signatureKey: Uint8Array,
): Promise<OpenedApplication> {
  const { secretTree, groupContext } = past ?? state;
  const { groupId, epoch, contentType, authenticatedData } = message;
  let ratcheted: Awaited<ReturnType<typeof ratchetToGeneration>>;
  let content: ReturnType<typeof toAuthenticatedContent>;
  try {
    ratcheted = await ratchetToGeneration(
      secretTree,
      sender,
      contentType,
      state.clientConfig.keyRetentionConfig,
      suite,
    );
    const aad = encode(privateContentAADEncoder)({ groupId, epoch, contentType, authenticatedData });
    const decrypted = await suite.hpke.decryptAead(ratcheted.key, ratcheted.nonce, aad, message.ciphertext);
    const decoded = decodePrivateMessageContent(contentType)(decrypted, 0)?.[0];
    if (decoded === undefined) return { kind: 'undecryptable', cause: new Error('no content inside') };
    content = toAuthenticatedContent(decoded, message, sender.leafIndex);
  } catch (cause) {
    return { kind: 'undecryptable', cause };
  }
  if (content.content.contentType !== 'application') {
    return { kind: 'undecryptable', cause: new Error('other content than the message says') };
  }
  const isValid = await verifyFramedContentSignature(
    signatureKey,
    'mls_private_message',
    content.content,
    content.auth,
    groupContext,
    suite.signature,
  );
  if (!isValid) return { kind: 'unauthenticated', cause: new Error('the signature is not that of the sender') };
  const moved = ratcheted.newTree;
  return {
    kind: 'opened',
    plaintext: content.content.applicationData,
    consumed: ratcheted.consumed,
    state:
      past === undefined
        ? { ...state, secretTree: moved }
        : {
            ...state,
            historicalReceiverData: new Map(state.historicalReceiverData).set(epoch, { ...past, secretTree: moved }),
          },
  };
}
