import { PUBLIC_GROUP_REFUSALS, type PublicGroupRefusal } from '../../mls/public-group/refusal.ts';
import { ProblemError } from '../../wire/problems.ts';

/** A commit, a proposal or the first GroupInfo is refused; `reason` of the problem says why. */
export function invalidCommit(reason: PublicGroupRefusal): ProblemError {
  return new ProblemError('invalid-commit', PUBLIC_GROUP_REFUSALS[reason], { members: { reason } });
}
