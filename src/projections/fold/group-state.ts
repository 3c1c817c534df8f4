import { parseIdentity } from '../../mls/identity.ts';
import type { GroupRoles } from '../../mls/roles.ts';
import type { Roster } from '../../mls/roster.ts';
import type { AccountId, DeviceId } from '../../wire/ids.ts';
import type { MemberView } from '../read-model.ts';

/** A member of an opaque group, whose leaf nobody but members knows. */
export interface DeclaredMember {
  readonly account: AccountId;
  readonly device: DeviceId;
}

/** A group between two commits: what only a commit changes. */
export interface GroupState {
  /** Number of the group, given by the fold in the order of creation, from 1. */
  readonly no: number;
  /** MLS group_id. */
  readonly id: Uint8Array;
  readonly name?: string;
  readonly epoch: number;
  readonly roles: GroupRoles;
  /** Of the public handshakes; empty for an opaque group. */
  readonly roster: Roster;
  /** Present exactly for an opaque group: the roster as its members declared it; where nobody stands any more, `null`. */
  readonly declared?: readonly (DeclaredMember | null)[];
  /** By leaf index; blank leaves are `undefined`. */
  readonly members: readonly (MemberView | undefined)[];
  /** The leaf of each device. */
  readonly leaves: ReadonlyMap<DeviceId, number>;
}

const NO_KEY = new Uint8Array(0);

/** Adds what follows from the roster. Leaves whose identity is none of ours speak for nobody. */
export function createGroupState(row: Omit<GroupState, 'members' | 'leaves'>): GroupState {
  const leaves = new Map<DeviceId, number>();
  if (row.declared !== undefined) {
    const declared = row.declared.map((member, index): MemberView | undefined => {
      if (member === null) return undefined;
      leaves.set(member.device, index);
      return { leaf: index, ...member, signatureKey: NO_KEY };
    });
    return { ...row, members: declared, leaves };
  }
  const members = row.roster.map((leaf, index): MemberView | undefined => {
    const identity = leaf === null ? undefined : parseIdentity(leaf.identity);
    if (leaf === null || identity === undefined) return undefined;
    leaves.set(identity.device, index);
    const { account, device } = identity;
    return { leaf: index, account, device, signatureKey: leaf.signatureKey };
  });
  return { ...row, members, leaves };
}
