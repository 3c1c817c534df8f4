import { inspectMessage } from '../../mls/framing.ts';
import { summarizeCommit } from '../../mls/handshake.ts';
import { parseIdentity } from '../../mls/identity.ts';
import type { GroupView } from '../../projections/read-model.ts';
import { equalBytes, toBase64Url } from '../../wire/bytes.ts';
import type { AccountId, DeviceId } from '../../wire/ids.ts';
import type { CommitRequest, CreateGroupRequest, DeclaredRoster } from '../../wire/schemas/groups.ts';
import { sha256 } from '../sha256.ts';
import type { RulesContext } from './commit-rules.ts';
import { memberOf } from './membership.ts';
import { invalidCommit } from './refusal.ts';

/** What a commit of an opaque group changes, as declared and checked against what was claimed. */
export interface DeclaredChange {
  readonly kind: 'declared';
  readonly added: readonly { readonly account: AccountId; readonly device: DeviceId }[];
  readonly removed: readonly DeviceId[];
}

/** A group that begins opaque: all that can be seen is whether its GroupInfo, if there is one, is of it. */
export function checkOpaqueCreation({ group, groupInfo }: Pick<CreateGroupRequest, 'group' | 'groupInfo'>): void {
  if (groupInfo !== undefined) checkInfo(groupInfo, group, 0);
}

/**
 * Judges a commit that the server cannot read, of the group's epoch as {@link opaqueMadeInEpoch} tells it: what it declares
 * has to fit the roster, the claims and the Welcome.
 *
 * @throws ProblemError `invalid-commit` with its reason
 */
export function checkOpaqueCommit(
  bundle: CommitRequest,
  { deps, readModel, caller, group }: RulesContext & { readonly group: GroupView },
): DeclaredChange {
  if (memberOf(group, caller.id) === undefined) throw invalidCommit('unknown-sender');
  const { roster } = bundle;
  if (roster === undefined) throw invalidCommit('roster-missing');
  if (inspectMessage(bundle.commit).kind === 'commit') checkReturn(bundle.commit, caller.id, roster);
  const change = checkRoster(roster, { deps, readModel, caller, group });
  if (bundle.groupInfo !== undefined) checkInfo(bundle.groupInfo, group.bytes, group.epoch + 1);
  checkWelcome(bundle.welcome, roster);
  return change;
}

/**
 * The epoch of a handshake that the server cannot read: a PrivateMessage of this group, or an external commit by which a
 * member replaces itself.
 *
 * @throws ProblemError `invalid-commit` with its reason for anything else
 */
export function opaqueMadeInEpoch(handshake: Uint8Array, group: GroupView, wanted: 'commit' | 'proposal'): number {
  const seen = inspectMessage(handshake);
  if (seen.kind === 'malformed') throw invalidCommit('malformed');
  // only who is not in the tree yet may commit in the open: there is nothing it could encrypt with
  const isExternal = wanted === 'commit' && seen.kind === 'commit' && seen.sender.kind === 'new-member-commit';
  if (!isExternal && (seen.kind !== 'private' || seen.contentType !== wanted)) {
    throw invalidCommit(wanted === 'commit' ? 'not-a-private-commit' : 'not-a-private-proposal');
  }
  if (!equalBytes(seen.groupId, group.bytes)) throw invalidCommit('wrong-group');
  return seen.epoch;
}

/** An external commit: a member that takes its own place again, and changes nothing else (D18). */
function checkReturn(commit: Uint8Array, caller: DeviceId, roster: DeclaredRoster): void {
  const summary = summarizeCommit(commit, [], sha256);
  if (summary.kind === 'malformed') throw invalidCommit('malformed');
  if (summary.committer === undefined) throw invalidCommit('path-missing');
  if (parseIdentity(summary.committer.identity)?.device !== caller) throw invalidCommit('wrong-sender');
  if (roster.added.length + roster.removed.length > 0) throw invalidCommit('roster-mismatch');
}

function checkRoster(
  roster: DeclaredRoster,
  { deps, readModel, caller, group }: Pick<RulesContext, 'deps' | 'readModel' | 'caller'> & { group: GroupView },
): DeclaredChange {
  const removed = new Set(roster.removed);
  if (removed.size < roster.removed.length) throw invalidCommit('roster-mismatch');
  if (removed.has(caller.id)) throw invalidCommit('removes-committer');
  if (roster.removed.some((device) => memberOf(group, device) === undefined)) throw invalidCommit('unknown-leaf');
  const added = roster.added.map(({ device, ref }) => {
    const claim = readModel.claimOf(ref, group.id);
    const known = readModel.device(device);
    if (claim?.group !== group.id || claim.device !== device || known === undefined) {
      throw invalidCommit('unclaimed-key-package');
    }
    if (memberOf(group, device) !== undefined && !removed.has(device)) throw invalidCommit('already-member');
    return { account: known.account, device };
  });
  if (new Set(added.map(({ device }) => device)).size < added.length) throw invalidCommit('already-member');
  const members = group.roster.filter((member) => member !== undefined).length;
  if (added.length > 0 && members - removed.size + added.length > deps.limits.groupMaxMembers) {
    throw invalidCommit('too-many-members');
  }
  return { kind: 'declared', added, removed: roster.removed };
}

/** Of this group and epoch, and good to join by: more cannot be known without the tree's history (D7). */
function checkInfo(groupInfo: Uint8Array, group: Uint8Array, epoch: number): void {
  const seen = inspectMessage(groupInfo);
  if (seen.kind !== 'group-info' || !equalBytes(seen.groupId, group) || seen.epoch !== epoch) {
    throw invalidCommit('bad-group-info');
  }
  if (!seen.hasTree) throw invalidCommit('bad-tree');
  if (!seen.hasExternalPub) throw invalidCommit('external-pub-missing');
}

function checkWelcome(welcome: Uint8Array | undefined, { added }: DeclaredRoster): void {
  if (welcome === undefined) {
    if (added.length > 0) throw invalidCommit('welcome-missing');
    return;
  }
  if (added.length === 0) throw invalidCommit('welcome-unexpected');
  const seen = inspectMessage(welcome);
  const refs = new Set(added.map(({ ref }) => toBase64Url(ref)));
  const isFor = seen.kind === 'welcome' && seen.refs.length === refs.size;
  if (!isFor || !seen.refs.every((ref) => refs.has(toBase64Url(ref)))) throw invalidCommit('welcome-mismatch');
}
