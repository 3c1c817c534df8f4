import { inspectMessage } from '../../mls/framing.ts';
import { type CommitSummary, type KnownProposal, summarizeCommit, summarizeProposal } from '../../mls/handshake.ts';
import { foldRoster, type Roster } from '../../mls/roster.ts';
import type { DeviceView, GroupView, MemberView, ReadModel } from '../../projections/read-model.ts';
import { equalBytes, toBase64Url } from '../../wire/bytes.ts';
import type { Limits } from '../../wire/limits.ts';
import type { CommitRequest } from '../../wire/schemas/groups.ts';
import { sha256 } from '../sha256.ts';
import { checkGroupInfo, checkWelcome } from './check-bundle.ts';
import { checkAdds, checkLeaves, checkRoles, identityOf } from './check-members.ts';
import { memberOf } from './membership.ts';
import { invalidCommit } from './refusal.ts';

/** What a commit is judged by: the group at one checkpoint, and who asks. */
export interface CommitContext {
  readonly domain: string;
  readonly limits: Limits;
  readonly readModel: ReadModel;
  readonly group: GroupView;
  readonly caller: DeviceView;
}

/** `epoch-conflict`: made in `epoch`, which is not the group's any more (or not yet). */
export type CommitCheck = { readonly kind: 'ok' } | { readonly kind: 'epoch-conflict'; readonly epoch: number };

/**
 * Judges a commit bundle by all that can be read out of it without the group's public state: framing, sender, roster,
 * roles, claims, and that the parts belong together (protocol.md, "What the server checks").
 *
 * @throws ProblemError `invalid-commit` with its reason
 */
export function checkCommit(bundle: CommitRequest, context: CommitContext): CommitCheck {
  const { group, caller } = context;
  const inspected = inspectMessage(bundle.commit);
  if (inspected.kind !== 'commit') throw invalidCommit('malformed-commit');
  if (!equalBytes(inspected.groupId, group.bytes)) throw invalidCommit('wrong-group');
  const member = memberOf(group, caller.id);
  checkSender(inspected.sender, member, group);
  if (inspected.epoch !== group.epoch) return { kind: 'epoch-conflict', epoch: inspected.epoch };

  const pending = pendingOf(group);
  const commit = summarizeCommit(bundle.commit, pending, sha256);
  if (commit.kind === 'malformed') throw invalidCommit('malformed-commit');
  checkProposals(commit, pending, member);
  const roster = rosterOf(context);
  const folded = foldRoster(roster, commit);
  if (folded.kind === 'impossible') throw invalidCommit('impossible-roster');
  const after = { roster: folded.roster, committer: folded.committer, roles: commit.roles ?? group.roles };
  checkLeaves(context, roster, commit);
  checkAdds(context, commit, folded.roster);
  checkRoles(context, commit, leavers(commit, pending), after);
  checkWelcome(bundle.welcome, commit);
  checkGroupInfo(bundle.groupInfo, group, after);
  return { kind: 'ok' };
}

/** Proposals that wait in the group's current epoch. */
function pendingOf(group: GroupView): readonly KnownProposal[] {
  return [...group.proposals.values()].flatMap(({ message }) => {
    const { kind, ...proposal } = summarizeProposal(message, sha256);
    return kind === 'proposal' ? [proposal as KnownProposal] : [];
  });
}

function checkSender(sender: CommitSummary['sender'], member: MemberView | undefined, group: GroupView): void {
  switch (sender.kind) {
    case 'member':
      if (member?.leaf !== sender.leaf) throw invalidCommit('wrong-sender');
      return;
    case 'new-member-commit':
      if (member === undefined && group.roles.join !== 'open') throw invalidCommit('not-allowed');
      return;
    default:
      throw invalidCommit('wrong-sender');
  }
}

function checkProposals(
  commit: CommitSummary,
  pending: readonly KnownProposal[],
  member: MemberView | undefined,
): void {
  if (commit.unknownRefs.length > 0) throw invalidCommit('unknown-proposal');
  if (commit.unsupported.length > 0) throw invalidCommit('unsupported-proposal');
  const touched = [...commit.removes, ...commit.updates.map(({ leaf }) => leaf)];
  if (new Set(touched).size !== touched.length) throw invalidCommit('impossible-roster');
  if (commit.sender.kind === 'new-member-commit') {
    checkExternal(commit, member);
    return;
  }
  if (commit.externalInit) throw invalidCommit('unsupported-proposal');
  const { leaf: own } = commit.sender as { leaf: number };
  if (touched.includes(own)) throw invalidCommit('impossible-roster');
  // RFC 9420 §12.4: only adds alone may go without a path
  const needsPath = touched.length > 0 || commit.rolesChanged || commit.adds.length === 0;
  if (needsPath && !commit.hasPath) throw invalidCommit('path-missing');
  checkCovered(commit, pending, own);
}

/** RFC 9420 §12.4.3.2: an external commit adds its sender and may remove that sender's former leaf. */
function checkExternal(commit: CommitSummary, member: MemberView | undefined): void {
  const { removes, adds, updates, referenced } = commit;
  if (!commit.externalInit || !commit.hasPath) throw invalidCommit('path-missing');
  if (adds.length + updates.length + referenced.length > 0 || commit.rolesChanged) {
    throw invalidCommit('unsupported-proposal');
  }
  const expected = member === undefined ? [] : [member.leaf];
  if (removes.length !== expected.length || removes[0] !== expected[0]) throw invalidCommit('resync-expected');
}

/** Every proposal that waits is in the commit, but for those that could not be in it with the others. */
function checkCovered(commit: CommitSummary, pending: readonly KnownProposal[], committer: number): void {
  const referenced = new Set(commit.referenced.map(toBase64Url));
  for (const { ref, sender, proposal } of pending) {
    if (referenced.has(toBase64Url(ref)) || sender.kind !== 'member') continue;
    if (sender.leaf === committer) continue; // a committer commits neither its own update nor its own leaving (§12.2)
    const leaf = proposal.kind === 'remove' ? proposal.leaf : sender.leaf;
    const isTouched = commit.removes.includes(leaf) || commit.updates.some((update) => update.leaf === leaf);
    if (!isTouched) throw invalidCommit('proposal-not-covered');
  }
}

/** Leaves that asked to be removed themselves. */
function leavers(commit: CommitSummary, pending: readonly KnownProposal[]): ReadonlySet<number> {
  const referenced = new Set(commit.referenced.map(toBase64Url));
  return new Set(
    pending.flatMap(({ ref, sender, proposal }) => {
      const isLeave = sender.kind === 'member' && proposal.kind === 'remove' && proposal.leaf === sender.leaf;
      return isLeave && referenced.has(toBase64Url(ref)) ? [sender.leaf] : [];
    }),
  );
}

function rosterOf({ domain, group }: CommitContext): Roster {
  return group.roster.map((member) =>
    member === undefined ? null : { identity: identityOf(domain, member), signatureKey: member.signatureKey },
  );
}
