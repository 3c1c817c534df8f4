import { createApplicationMessage, encodeMlsMessage } from 'ts-mls';
import { paddedLength } from '../encoding/padding.ts';
import { guardLibrary, MlsError } from '../errors.ts';
import type { Suite } from '../suite.ts';
import { activeState, asConsumed, type Consumed, type GroupState, wrap } from './state.ts';

export interface Encrypted {
  /** Store it before the ciphertext leaves: from an older state the same key would be used again. */
  readonly state: GroupState;
  /** PrivateMessage, as an MLSMessage; its length shows a bucket, not the text's length. */
  readonly message: Uint8Array;
  readonly epoch: number;
  readonly leaf: number;
  readonly generation: number;
  readonly consumed: Consumed;
}

/**
 * Encrypts an application message (RFC 9420 §15). `authenticatedData` travels readable and is bound to the message.
 *
 * @throws MlsError `pending-proposals` when proposals wait for a commit; `not-active`; `library`
 */
export async function encrypt(
  suite: Suite,
  state: GroupState,
  plaintext: Uint8Array,
  authenticatedData: Uint8Array,
): Promise<Encrypted> {
  const before = activeState(state);
  if (Object.keys(before.unappliedProposals).length > 0) {
    throw new MlsError('pending-proposals', 'proposals wait for a commit, nothing can be sent before it');
  }
  const { clientConfig } = before;
  const padUntilLength = paddedLength(plaintext.length);
  const padded = { ...clientConfig, paddingConfig: { kind: 'padUntilLength', padUntilLength } as const };
  const leaf = before.privatePath.leafIndex;
  const { newState, privateMessage, consumed } = await guardLibrary('encrypt', () =>
    createApplicationMessage({ ...before, clientConfig: padded }, plaintext, suite, authenticatedData),
  );
  return {
    state: wrap({ ...newState, clientConfig }),
    message: encodeMlsMessage({ version: 'mls10', wireformat: 'mls_private_message', privateMessage }),
    epoch: Number(before.groupContext.epoch),
    leaf,
    generation: before.secretTree[leaf * 2]!.application.generation,
    consumed: asConsumed(consumed),
  };
}
