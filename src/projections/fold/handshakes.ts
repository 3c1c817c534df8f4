import { inspectMessage } from '../../mls/framing.ts';
import {
  type CommitSummary,
  type KnownProposal,
  type ProposalMessageSummary,
  summarizeCommit,
  summarizeProposal,
} from '../../mls/handshake.ts';
import type { GroupRoles } from '../../mls/roles.ts';
import { type FoldedRoster, foldRoster, type Roster, rosterOfGroupInfo } from '../../mls/roster.ts';
import type { Sha256 } from '../../wire/ids.ts';

/** What a GroupInfo says about the group it describes. */
export interface GroupInfoSummary {
  readonly groupId: Uint8Array;
  readonly epoch: number;
  readonly roster: Roster;
  /** Absent when the group context has none. */
  readonly roles?: GroupRoles;
}

/**
 * How the fold reads MLS handshakes: pure functions of public bytes. Handed in, so that a reducer can be tested
 * without a single real handshake.
 */
export interface Handshakes {
  /** `undefined` when the bytes are no GroupInfo that carries its ratchet tree. */
  groupInfo(bytes: Uint8Array): GroupInfoSummary | undefined;
  commit(
    bytes: Uint8Array,
    pending: readonly KnownProposal[],
  ): CommitSummary | { readonly kind: 'malformed'; readonly reason: string };
  proposal(bytes: Uint8Array): ProposalMessageSummary;
  foldRoster(roster: Roster, commit: CommitSummary): FoldedRoster;
}

/** The handshakes of src/mls. */
export function createMlsHandshakes(sha256: Sha256): Handshakes {
  return {
    groupInfo(bytes) {
      const inspected = inspectMessage(bytes);
      if (inspected.kind !== 'group-info') return undefined;
      const roster = rosterOfGroupInfo(bytes);
      if (roster === undefined) return undefined;
      const { groupId, epoch, roles } = inspected;
      return { groupId, epoch, roster, ...(roles === undefined ? {} : { roles }) };
    },
    commit: (bytes, pending) => summarizeCommit(bytes, pending, sha256),
    proposal: (bytes) => summarizeProposal(bytes, sha256),
    foldRoster,
  };
}
