import type { Capabilities, ClientConfig, Credential, KeyPackage, KeyRetentionConfig } from 'ts-mls';
import type { LeafNode } from 'ts-mls/leafNode.js';
import { equalBytes, fromUtf8 } from '../wire/bytes.ts';
import { ROLES_EXTENSION } from './roles.ts';
import type { SuiteName } from './suite.ts';

/** Keys of this many messages that were skipped are kept, per sender and epoch. */
const SKIPPED_GENERATIONS = 100;
/**
 * How far a sender's ratchet may jump. The log delivers in order, so a jump means that many messages of one sender
 * were passed over on purpose; a member that was away must not be bricked by that.
 */
export const FORWARD_STEPS = 10_000;
/** Epochs before the current one whose messages can still be read; the server takes messages that old. */
export const PAST_EPOCHS = 5;
/** RFC 9420 §17.3: marks a key package that is handed out when nothing else is left. */
export const LAST_RESORT_EXTENSION = 0x000a;
/** Extensions of our group contexts that every member must know (RFC 9420 §11.1). */
export const ROLES_CAPABLE: readonly number[] = [ROLES_EXTENSION];
/** A package is valid from this long before it is made, for adders whose clocks are behind. */
export const BACKDATE_MS = 60 * 60 * 1000;
/** The longest life of a key package. */
export const KEY_PACKAGE_LIFETIME_MAX_MS = 90 * 24 * 60 * 60 * 1000;

/** The library keeps one epoch for each of its entries, and `retainKeysForEpochs` counts the past ones only. */
const RETENTION: KeyRetentionConfig = {
  retainKeysForGenerations: SKIPPED_GENERATIONS,
  maximumForwardRatchetSteps: FORWARD_STEPS,
  retainKeysForEpochs: PAST_EPOCHS,
};

/**
 * Decides whether a leaf may be: called for every member at a join, for every added member, and for every leaf that
 * changes. A refusal fails the operation. Must not have effects; may be asked the same thing twice.
 */
export type ValidateCredential = (identity: string, signatureKey: Uint8Array) => boolean | Promise<boolean>;

declare const brand: unique symbol;
/** How this client judges and keeps; made by {@link createMlsConfig}, attached to every group state, never stored. */
export interface MlsConfig {
  readonly [brand]: 'MlsConfig';
}

/** There is no default: a client that trusts everybody has to say so. */
export function createMlsConfig(options: { readonly validateCredential: ValidateCredential }): MlsConfig {
  const config: ClientConfig = {
    keyRetentionConfig: RETENTION,
    // the lifetime is checked by the adder, in checkKeyPackage, against a clock that is handed in; receivers must not
    // check it (RFC 9420 §7.3: their clocks would fork the group)
    lifetimeConfig: {
      maximumTotalLifetime: BigInt(KEY_PACKAGE_LIFETIME_MAX_MS / 1000),
      validateLifetimeOnReceive: false,
    },
    keyPackageEqualityConfig: { compareKeyPackages, compareKeyPackageToLeafNode },
    paddingConfig: { kind: 'alwaysPad', paddingLength: 0 }, // replaced for each message, see paddedLength
    authService: {
      async validateCredential(credential, signatureKey) {
        const identity = identityOfCredential(credential);
        return identity !== undefined && (await options.validateCredential(identity, signatureKey));
      },
    },
  };
  return config as unknown as MlsConfig;
}

/** For the operations of this folder only. */
export function libraryConfig(config: MlsConfig): ClientConfig {
  return config as unknown as ClientConfig;
}

/** The text of a basic credential; `undefined` for other types and for bytes that are not UTF-8. */
export function identityOfCredential(credential: Credential): string | undefined {
  if (credential.credentialType !== 'basic') return undefined;
  const known = identities.get(credential);
  if (known !== undefined) return known;
  const identity = fromUtf8(credential.identity);
  if (identity !== undefined) identities.set(credential, identity);
  return identity;
}

/** A leaf never changes, and each message of its member asks for its identity. */
const identities = new WeakMap<Credential, string>();

/**
 * What our clients can do, said in full: the library's own list has random values in it and names suites that nobody
 * here supports.
 */
export function ownCapabilities(suite: SuiteName): Capabilities {
  return {
    versions: ['mls10'],
    ciphersuites: [suite],
    extensions: [LAST_RESORT_EXTENSION, ROLES_EXTENSION],
    proposals: [],
    credentials: ['basic'],
  };
}

function compareKeyPackages(a: KeyPackage, b: KeyPackage): boolean {
  return compareKeyPackageToLeafNode(a, b.leafNode);
}

function compareKeyPackageToLeafNode(a: KeyPackage, b: LeafNode): boolean {
  return equalBytes(a.leafNode.signaturePublicKey, b.signaturePublicKey);
}
