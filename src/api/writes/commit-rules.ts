import { accountOf, formatIdentity, parseIdentity } from '../../mls/identity.ts';
import { type PublicGroup, publicRolesOf, publicRosterOf } from '../../mls/public-group/group.ts';
import type { CommitRules } from '../../mls/public-group/verify.ts';
import type { DeviceView, GroupView, ReadModel } from '../../projections/read-model.ts';
import { judgeCredential } from '../../wire/account-credential.ts';
import type { Limits } from '../../wire/limits.ts';
import type { ApiDeps } from '../deps.ts';
import { invalidCommit } from './refusal.ts';

/** What a public group cannot know: who calls, which device has which keys, and which packages were claimed. */
export interface RulesContext {
  readonly deps: Pick<ApiDeps, 'domain' | 'suite'> & { readonly limits: Pick<Limits, 'groupMaxMembers'> };
  readonly readModel: ReadModel;
  readonly caller: DeviceView;
  /** ms */
  readonly now: number;
}

type CreationRules = Pick<CommitRules, 'caller' | 'isSignatureKeyOf'>;

export function creationRules({ deps, readModel, caller }: RulesContext): CreationRules {
  return {
    caller: formatIdentity({ domain: deps.domain, account: caller.account, device: caller.id }),
    isSignatureKeyOf(identity, signatureKey) {
      const parsed = parseIdentity(identity);
      if (parsed === undefined) return false;
      const device = readModel.device(parsed.device);
      const known = device === undefined ? undefined : { ...device, revoked: false };
      return judgeCredential({ ...parsed, signatureKey }, deps.domain, known) === 'valid';
    },
  };
}

/** Keys and claims are asked for while signatures are verified: what came meanwhile counts (D8, D11). */
export function commitRules(context: RulesContext, group: Pick<GroupView, 'id'>): CommitRules {
  const { deps, readModel, now } = context;
  return {
    ...creationRules(context),
    now,
    maxMembers: deps.limits.groupMaxMembers,
    isRevoked(identity) {
      const parsed = parseIdentity(identity);
      return parsed !== undefined && readModel.isRevoked(parsed.device);
    },
    isClaimed(ref, identity) {
      const claim = readModel.claimOf(ref, group.id);
      return claim?.group === group.id && claim.device === deviceOf(deps.domain, readModel, identity)?.id;
    },
  };
}

/**
 * Roles are given to members only: nobody joins later as an administrator by a role that was given before. Whether
 * handshakes are private is said when a group is made, and this one's are not.
 *
 * @throws ProblemError `invalid-commit`
 */
export function checkAppointments(group: PublicGroup): void {
  const accounts = new Set<string | undefined>(
    publicRosterOf(group).map((member) => (member === null ? undefined : accountOf(member.identity))),
  );
  const { admins, handshakes } = publicRolesOf(group) ?? { admins: [] };
  if (handshakes !== undefined || !admins.every((admin) => accounts.has(admin))) throw invalidCommit('bad-roles');
}

/** The device that an identity names, when it is one of this server and not revoked. */
function deviceOf(domain: string, readModel: ReadModel, identity: string): DeviceView | undefined {
  const parsed = parseIdentity(identity);
  const device = parsed?.domain === domain ? readModel.device(parsed.device) : undefined;
  return device?.account === parsed?.account ? device : undefined;
}
