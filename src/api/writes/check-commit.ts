import { extractTree, inspectMessage } from '../../mls/framing.ts';
import type { PublicGroup } from '../../mls/public-group/group.ts';
import { type AcceptedProposal, verifyProposal } from '../../mls/public-group/proposal.ts';
import { verifyCommit } from '../../mls/public-group/verify.ts';
import type { GroupView } from '../../projections/read-model.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { CommitRequest } from '../../wire/schemas/groups.ts';
import { sha256 } from '../sha256.ts';
import { checkAppointments, commitRules, type RulesContext } from './commit-rules.ts';
import type { PublicGroups } from './public-groups.ts';
import { invalidCommit } from './refusal.ts';

/** What a handshake message is judged by: the group at one checkpoint, and who asks. */
export interface HandshakeContext extends RulesContext {
  readonly publicGroups: PublicGroups;
  readonly group: GroupView;
}

export interface CommitCheck {
  readonly kind: 'valid';
  readonly group: PublicGroup;
}

/**
 * Judges a commit bundle of the group's epoch by everything that can be known without the group's secrets (protocol.md,
 * "What the server checks"). The group itself is read before the first `await`.
 *
 * @returns the group as the commit makes it
 * @throws ProblemError `invalid-commit` with its reason
 */
export async function checkCommit(bundle: CommitRequest, context: HandshakeContext): Promise<CommitCheck> {
  const { deps, group, publicGroups, readModel } = context;
  const current = publicGroups.current(readModel, group);
  const { commit, welcome, groupInfo } = bundle;
  if (bundle.roster !== undefined) throw invalidCommit('roster-unexpected');
  if (groupInfo === undefined) throw invalidCommit('bad-group-info');
  const parts = { commit, groupInfo, ...(welcome === undefined ? {} : { welcome }) };
  const verdict = await verifyCommit({ suite: deps.suite, sha256 }, current, parts, commitRules(context, group));
  if (verdict.kind === 'refused') throw invalidCommit(verdict.reason);
  if (verdict.effect.rolesChanged) checkAppointments(verdict.group);
  // the tables keep the tree inside the GroupInfo; MLS would do without
  if (extractTree(groupInfo) === undefined) throw invalidCommit('bad-tree');
  return { kind: 'valid', group: verdict.group };
}

/** The same for a standalone proposal. @throws ProblemError `invalid-commit` with its reason */
export async function checkProposal(proposal: Uint8Array, context: HandshakeContext): Promise<AcceptedProposal> {
  const { deps, group, publicGroups, readModel } = context;
  const current = publicGroups.current(readModel, group);
  const verdict = await verifyProposal({ suite: deps.suite, sha256 }, current, proposal, commitRules(context, group));
  if (verdict.kind === 'refused') throw invalidCommit(verdict.reason);
  return verdict;
}

/**
 * The epoch that a handshake message of the group was made in; of anything else the group's own: it is refused for what it
 * is. Seen before the group is opened: who is late is told what it missed, whatever else is wrong.
 */
export function madeInEpoch(handshake: Uint8Array, group: GroupView): number {
  const seen = inspectMessage(handshake);
  if (seen.kind !== 'commit' && seen.kind !== 'proposal') return group.epoch;
  return equalBytes(seen.groupId, group.bytes) ? seen.epoch : group.epoch;
}
