import { inspectMessage } from '../../mls/framing.ts';
import type { CommitSummary, LeafSummary } from '../../mls/handshake.ts';
import { encodeRoles } from '../../mls/roles.ts';
import { type Roster, rosterOfGroupInfo } from '../../mls/roster.ts';
import { BASE_SUITE } from '../../mls/suite.ts';
import type { GroupView } from '../../projections/read-model.ts';
import { equalBytes, toBase64Url } from '../../wire/bytes.ts';
import type { After } from './check-members.ts';
import { invalidCommit } from './refusal.ts';

/** There is a Welcome exactly when somebody is added, and it names exactly the added key packages. */
export function checkWelcome(welcome: Uint8Array | undefined, { adds }: CommitSummary): void {
  if (welcome === undefined) {
    if (adds.length > 0) throw invalidCommit('welcome-missing');
    return;
  }
  if (adds.length === 0) throw invalidCommit('welcome-unexpected');
  const inspected = inspectMessage(welcome);
  if (inspected.kind !== 'welcome') throw invalidCommit('malformed-welcome');
  if (inspected.suite !== BASE_SUITE) throw invalidCommit('wrong-suite');
  const named = new Set(inspected.refs.map(toBase64Url));
  const isExact =
    inspected.refs.length === adds.length &&
    named.size === adds.length &&
    adds.every(({ keyPackageRef }) => named.has(toBase64Url(keyPackageRef)));
  if (!isExact) throw invalidCommit('welcome-mismatch');
}

/** The GroupInfo is of the epoch that the commit begins, and states the members and roles that the commit makes (D7). */
export function checkGroupInfo(groupInfo: Uint8Array, group: GroupView, after: After): void {
  const info = inspectMessage(groupInfo);
  if (info.kind !== 'group-info') throw invalidCommit('malformed-group-info');
  if (!equalBytes(info.groupId, group.bytes)) throw invalidCommit('wrong-group');
  if (info.epoch !== group.epoch + 1) throw invalidCommit('wrong-epoch');
  if (info.suite !== BASE_SUITE) throw invalidCommit('wrong-suite');
  if (!info.hasTree) throw invalidCommit('tree-missing');
  if (!info.hasExternalPub) throw invalidCommit('external-pub-missing');
  if (info.signer !== after.committer) throw invalidCommit('wrong-signer');
  if (info.roles === undefined || !equalBytes(encodeRoles(info.roles), encodeRoles(after.roles))) {
    throw invalidCommit('wrong-roles');
  }
  if (!isSameRoster(rosterOfGroupInfo(groupInfo), after.roster)) throw invalidCommit('wrong-roster');
}

function isSameRoster(stated: Roster | undefined, expected: Roster): boolean {
  if (stated?.length !== expected.length) return false;
  return stated.every((leaf, index) => isSameLeaf(leaf, expected[index] ?? null));
}

function isSameLeaf(a: LeafSummary | null, b: LeafSummary | null): boolean {
  if (a === null || b === null) return a === b;
  return a.identity === b.identity && equalBytes(a.signatureKey, b.signatureKey);
}
