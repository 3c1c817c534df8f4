import { accountOf } from '../../mls/identity.ts';
import { type GroupRoles, isAdmin } from '../../mls/roles.ts';
import { type GroupState as MlsState, membersOf, rolesOf } from '../../mls/session/state.ts';
import type { AccountId } from '../../wire/ids.ts';
import type { IntentionKind } from './commit-types.ts';

/** What somebody who is the only administrator is told instead of being let go. */
export const LAST_ADMINISTRATOR = 'you are its only administrator; name another one first: /promote NAME';

/** Whether this account administers the group and nobody else who is in it does. */
export function isLastAdministrator(state: MlsState, account: AccountId): boolean {
  const roles = rolesOf(state);
  if (roles === undefined || !isAdmin(roles, account)) return false;
  return !membersOf(state).some(({ identity }) => {
    const other = accountOf(identity);
    return other !== undefined && other !== account && isAdmin(roles, other);
  });
}

/**
 * The roles that a change of them leads to, from what they are now. `undefined`: they are that already; a text: why not.
 */
export function rolesIntent(
  state: MlsState,
  { appoint, dismiss, invite, join }: Extract<IntentionKind, { kind: 'roles' }>,
): { readonly roles: GroupRoles } | string | undefined {
  const roles = rolesOf(state);
  if (roles === undefined) return 'this group has no roles';
  const members = new Set<string | undefined>(membersOf(state).map(({ identity }) => accountOf(identity)));
  if (appoint.some((account) => !members.has(account))) return 'only a member can administer the group';
  const admins = [...new Set([...roles.admins, ...appoint])].filter(
    (account) => !dismiss.includes(account as AccountId),
  );
  // who has left meanwhile administers nothing, and the server takes no role of a stranger
  const present = admins.filter((account) => members.has(account)).sort();
  if (present.length === 0) return 'the group would have no administrator; name another one first: /promote NAME';
  const next: GroupRoles = { ...roles, admins: present, invite: invite ?? roles.invite, join: join ?? roles.join };
  const isSame =
    next.invite === roles.invite && next.join === roles.join && present.join() === [...roles.admins].sort().join();
  return isSame ? undefined : { roles: next };
}

/**
 * The roles that a removal leaves, where it takes out an administrator: the roles of a group go on naming who has gone, and where everybody
 * may join, whoever was thrown out would come back as what it was.
 */
export function rolesWithout(
  state: MlsState,
  { accounts }: Extract<IntentionKind, { kind: 'remove' }>,
): { readonly roles?: GroupRoles } {
  const roles = rolesOf(state);
  if (roles === undefined || !accounts.some((account) => isAdmin(roles, account))) return {};
  const next = rolesIntent(state, { kind: 'roles', appoint: [], dismiss: accounts });
  return typeof next === 'object' ? next : {};
}
