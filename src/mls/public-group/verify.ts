import type { Sha256 } from '../../wire/ids.ts';
import { KEY_PACKAGE_LIFETIME_MAX_MS } from '../config.ts';
import { checkDecodedKeyPackage } from '../key-package-check.ts';
import type { Suite } from '../suite.ts';
import { checkGroupInfo, referenceOf, welcomeRefusal } from './bundle.ts';
import { type EvolvedCommit, evolveCommit, type PublicCommitEffect, runChecks } from './commit.ts';
import { uncoveredRefusal } from './coverage.ts';
import { conceal, memberCount, type PublicGroup, reveal } from './group.ts';
import { commitPolicy, externalPolicy } from './policy.ts';
import { isRefused, type Refused, refused } from './refusal.ts';

/** The cryptography of a server: the suite verifies signatures, hashes are synchronous. */
export interface Verifier {
  readonly suite: Suite;
  readonly sha256: Sha256;
}

/** What travels with a commit, and is stored with it or not at all (D2). */
export interface CommitBundle {
  readonly commit: Uint8Array;
  readonly welcome?: Uint8Array;
  readonly groupInfo: Uint8Array;
}

/** What the server knows beside the group. */
export interface CommitRules {
  /** ms. */
  readonly now: number;
  /** Identity of the device that sent the request. */
  readonly caller: string;
  /** Whether a device registered this MLS signature key and still may use it. */
  readonly isSignatureKeyOf: (identity: string, signatureKey: Uint8Array) => boolean;
  /** Whether the device's account revoked it: then any member may remove its leaf. */
  readonly isRevoked?: (identity: string) => boolean;
  /** Whether this package was claimed for this group. */
  readonly isClaimed: (ref: Uint8Array, identity: string) => boolean;
  readonly maxMembers: number;
}

export interface ValidCommit {
  readonly kind: 'valid';
  readonly group: PublicGroup;
  readonly effect: PublicCommitEffect;
}

/**
 * Everything that can be known about a commit bundle without secrets (D6): what `protocol.md` lists under "What the
 * server checks", the rules of RFC 9420 §12.2, §12.4.2 and §12.4.3.2, and the roles of the group. What remains for the
 * members: the membership tag, the confirmation tag, and whether the path's secrets open.
 */
export async function verifyCommit(
  { suite, sha256 }: Verifier,
  group: PublicGroup,
  bundle: CommitBundle,
  rules: CommitRules,
): Promise<ValidCommit | Refused> {
  const data = reveal(group);
  if (data.context.cipherSuite !== suite.name) return refused('wrong-suite');
  const evolved = evolveCommit(data, bundle.commit, sha256);
  if (isRefused(evolved)) return evolved;
  const { next, plan, sender, effect, checks } = evolved;
  if (effect.committer.identity !== rules.caller) return refused('wrong-sender');
  const uncovered = sender.kind === 'member' ? uncoveredRefusal(data, plan, sender, rules) : undefined;
  if (uncovered !== undefined) return uncovered;
  const forbidden =
    sender.kind === 'member'
      ? commitPolicy(data, plan, rules.isRevoked)
      : externalPolicy(data, effect.committer.identity);
  if (forbidden !== undefined) return forbidden;
  if (effect.added.length > 0 && memberCount(next) > rules.maxMembers) return refused('too-many-members');

  const leaves = await leavesRefusal(suite, sha256, evolved, rules);
  if (leaves !== undefined) return leaves;
  const unsigned = await runChecks(suite, checks);
  if (unsigned !== undefined) return unsigned;
  const groupInfo = checkGroupInfo(next, effect.committer.leaf, bundle.groupInfo);
  if (isRefused(groupInfo)) return groupInfo;
  const badBundle =
    (await runChecks(suite, [groupInfo.check])) ?? welcomeRefusal(next, plan.adds, bundle.welcome, sha256);
  return badBundle ?? { kind: 'valid', group: conceal(next), effect };
}

/** Who is behind the new leaves: registered keys, and packages that were claimed for this group. */
async function leavesRefusal(
  suite: Suite,
  sha256: Sha256,
  { plan, newLeaves }: EvolvedCommit,
  rules: CommitRules,
): Promise<Refused | undefined> {
  for (const { identity, signatureKey } of newLeaves) {
    if (!rules.isSignatureKeyOf(identity, signatureKey)) return refused('unknown-signature-key');
  }
  for (const keyPackage of plan.adds) {
    const expectations = { now: rules.now, maxLifetimeMs: KEY_PACKAGE_LIFETIME_MAX_MS };
    const check = await checkDecodedKeyPackage(suite, keyPackage, expectations);
    if (check.kind === 'refused') return refused('bad-key-package', check.reason);
    if (!rules.isSignatureKeyOf(check.identity, check.signatureKey)) return refused('unknown-signature-key');
    if (!rules.isClaimed(referenceOf(keyPackage, sha256), check.identity)) return refused('unclaimed-key-package');
  }
  return undefined;
}
