import { inspectMessage } from '../../mls/framing.ts';
import { formatIdentity } from '../../mls/identity.ts';
import { rosterOfGroupInfo } from '../../mls/roster.ts';
import { BASE_SUITE } from '../../mls/suite.ts';
import type { DeviceView } from '../../projections/read-model.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { CreateGroupRequest } from '../../wire/schemas/groups.ts';
import { invalidCommit } from './refusal.ts';

/**
 * A group begins with its creator alone: epoch 0, one leaf that is the caller's, and the caller as its administrator.
 *
 * @throws ProblemError `invalid-commit`
 */
export function checkCreation(domain: string, caller: DeviceView, { group, groupInfo }: CreateGroupRequest): void {
  const info = inspectMessage(groupInfo);
  if (info.kind !== 'group-info') throw invalidCommit('malformed-group-info');
  if (!equalBytes(info.groupId, group)) throw invalidCommit('wrong-group');
  if (info.epoch !== 0) throw invalidCommit('wrong-epoch');
  if (info.suite !== BASE_SUITE) throw invalidCommit('wrong-suite');
  if (!info.hasTree) throw invalidCommit('tree-missing');
  if (!info.hasExternalPub) throw invalidCommit('external-pub-missing');
  const [leaf, ...others] = rosterOfGroupInfo(groupInfo) ?? [];
  if (leaf === undefined || leaf === null || others.length > 0 || info.signer !== 0)
    throw invalidCommit('wrong-roster');
  const identity = formatIdentity({ domain, account: caller.account, device: caller.id });
  if (leaf.identity !== identity) throw invalidCommit('wrong-identity');
  if (!caller.signatureKeys.some((key) => equalBytes(key, leaf.signatureKey))) {
    throw invalidCommit('unknown-signature-key');
  }
  const admins = info.roles?.admins ?? [];
  if (admins.length !== 1 || admins[0] !== caller.account) throw invalidCommit('invalid-roles');
}
