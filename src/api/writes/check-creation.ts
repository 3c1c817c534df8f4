import { type PublicGroup, publicGroupIdOf } from '../../mls/public-group/group.ts';
import { verifyNewGroup } from '../../mls/public-group/open.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { sha256 } from '../sha256.ts';
import { checkAppointments, creationRules, type RulesContext } from './commit-rules.ts';
import { invalidCommit } from './refusal.ts';

/**
 * A group begins with its creator alone: epoch 0, one leaf that is the caller's, and the caller as its only administrator.
 *
 * @throws ProblemError `invalid-commit` with its reason
 */
export async function checkCreation(
  { group, groupInfo }: { readonly group: Uint8Array; readonly groupInfo: Uint8Array },
  context: RulesContext,
): Promise<PublicGroup> {
  const verifier = { suite: context.deps.suite, sha256 };
  const verdict = await verifyNewGroup(verifier, groupInfo, creationRules(context));
  if (verdict.kind === 'refused') throw invalidCommit(verdict.reason);
  if (!equalBytes(publicGroupIdOf(verdict.group), group)) throw invalidCommit('wrong-group');
  checkAppointments(verdict.group);
  return verdict.group;
}
