import { equalBytes } from '../wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../wire/cbor.ts';
import { isShortId } from '../wire/ids.ts';
import { accountOf } from './identity.ts';

/** Type of our group context extension, from the private-use range (RFC 9420 §17.3). */
export const ROLES_EXTENSION = 0xf0a1;
/** More administrators than a group has members would only be weight in every GroupInfo. */
const ADMINS_MAX = 2000;

/** Who may do what in a group. It lives in the group context, so it is signed, agreed on and changed by commits. */
export interface GroupRoles {
  /** Account ids, ascending, each once, at least one. */
  readonly admins: readonly string[];
  /** Who may add members. */
  readonly invite: 'admins' | 'members';
  /** `open`: anybody of the domain may join by external commit. */
  readonly join: 'invite' | 'open';
  /** Present for a group that keeps its handshakes private; fixed when the group is made. */
  readonly handshakes?: 'private';
}

/**
 * Deterministic CBOR of the roles; administrators are sorted here.
 *
 * @throws RangeError when there is no administrator, a duplicate, or something that is not an account id.
 */
export function encodeRoles(roles: GroupRoles): Uint8Array {
  const { invite, join, handshakes } = roles;
  const bytes = encodeCbor({ admins: [...roles.admins].sort(), invite, join, handshakes });
  if (decodeRoles(bytes) === undefined) throw new RangeError('not valid group roles');
  return bytes;
}

/** Strict: exactly the bytes {@link encodeRoles} gives for these roles; else `undefined`. */
export function decodeRoles(bytes: Uint8Array): GroupRoles | undefined {
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch {
    return undefined; // not CBOR at all: the same answer as CBOR of another shape
  }
  const roles = asRoles(value);
  if (roles === undefined) return undefined;
  return equalBytes(encodeCbor(roles), bytes) ? roles : undefined;
}

export function isAdmin(roles: GroupRoles, accountId: string): boolean {
  return roles.admins.includes(accountId);
}

/**
 * The roles of an epoch that would begin without an administrator: the first member of the tree that stays, its account, becomes the
 * only one. Whoever knows the tree before a commit and what the commit removes comes to the same. It may be the account of a revoked
 * device, which is not known here: the commit that removes that names the next. Nor is the place in the tree a merit: somebody who joins
 * again from outside may come into an earlier one.
 *
 * @param staying identities of members by leaf, ascending, without those that the commit removes or adds
 * @returns `undefined` when an administrator stays, or nobody does
 */
export function inheritedRoles(roles: GroupRoles, staying: readonly string[]): GroupRoles | undefined {
  const accounts = staying.flatMap((identity) => accountOf(identity) ?? []);
  const [heir] = accounts;
  if (heir === undefined || accounts.some((account) => isAdmin(roles, account))) return undefined;
  return { ...roles, admins: [heir] };
}

function asRoles(value: unknown): GroupRoles | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { admins, invite, join, handshakes, ...rest } = value as Record<string, unknown>;
  if (Object.keys(rest).length > 0 || !Array.isArray(admins)) return undefined;
  if (admins.length === 0 || admins.length > ADMINS_MAX) return undefined;
  if (!admins.every((id): id is string => typeof id === 'string' && isShortId(id))) return undefined;
  if (admins.some((id, i) => i > 0 && id <= admins[i - 1]!)) return undefined;
  if (invite !== 'admins' && invite !== 'members') return undefined;
  if (join !== 'invite' && join !== 'open') return undefined;
  if (handshakes === undefined) return { admins, invite, join };
  return handshakes === 'private' ? { admins, invite, join, handshakes } : undefined;
}
