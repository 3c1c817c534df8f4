import { encodeGroupContext } from 'ts-mls/groupContext.js';
import {
  changedNodes,
  decodePublicGroup,
  encodePublicGroup,
  type NodeRow,
} from '../../../src/mls/public-group/codec.ts';
import { foldCommit } from '../../../src/mls/public-group/commit.ts';
import { type PublicGroup, publicTreeBytesOf, reveal } from '../../../src/mls/public-group/group.ts';
import { verifyNewGroup } from '../../../src/mls/public-group/open.ts';
import { foldProposal, verifyProposal } from '../../../src/mls/public-group/proposal.ts';
import { type CommitRules, type Verifier, verifyCommit } from '../../../src/mls/public-group/verify.ts';
import { type GroupState, ratchetTreeBytesOf, unwrap } from '../../../src/mls/session/state.ts';
import type { Suite } from '../../../src/mls/suite.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { equalBytes } from '../../../src/wire/bytes.ts';
import { NOW } from './people.ts';
import type { Handshake } from './world.ts';

export const permissive = (caller: string): CommitRules => ({
  now: NOW,
  caller,
  isSignatureKeyOf: () => true,
  isClaimed: () => true,
  maxMembers: 2000,
});

/** A server that verifies every handshake, and compares what it knows with what the members know. */
export function createServer(suite: Suite) {
  const verifier: Verifier = { suite, sha256: nodeSha256 };
  let group: PublicGroup | undefined;
  let rows = new Map<number, NodeRow>();

  const follow = (next: PublicGroup) => {
    if (group === undefined) rows = new Map(encodePublicGroup(next).nodes.map((row) => [row.index, row]));
    else {
      const changed = changedNodes(group, next);
      for (const row of changed.put) rows.set(row.index, row);
      for (const index of changed.remove) rows.delete(index);
    }
    group = next;
  };
  /** As after a restart: from the rows alone. */
  const reopened = () => {
    const { header } = encodePublicGroup(group!);
    return decodePublicGroup({ header, nodes: [...rows.values()] }, nodeSha256);
  };

  return {
    group: () => group!,
    async onFounded(groupInfo: Uint8Array, caller: string) {
      const opened = await verifyNewGroup(verifier, groupInfo, permissive(caller));
      if (opened.kind === 'refused') throw new Error(`${opened.reason} ${opened.detail}`);
      follow(opened.group);
    },
    async onHandshake(handshake: Handshake, state: GroupState) {
      for (const { caller, bytes } of handshake.proposals) {
        const accepted = await verifyProposal(verifier, group!, bytes, permissive(caller));
        if (accepted.kind === 'refused') throw new Error(`proposal: ${accepted.reason} ${accepted.detail}`);
        const folded = foldProposal(reopened(), bytes, nodeSha256);
        if (folded.kind === 'refused') throw new Error(`proposal: ${folded.reason} ${folded.detail}`);
        follow(accepted.group);
      }
      const folded = foldCommit(reopened(), handshake.commit, nodeSha256);
      if (folded.kind === 'refused') throw new Error(`fold: ${folded.reason} ${folded.detail}`);
      const valid = await verifyCommit(verifier, group!, handshake, permissive(handshake.caller));
      if (valid.kind === 'refused') throw new Error(`commit: ${valid.reason} ${valid.detail}`);
      follow(valid.group);
      const members = encodeGroupContext(unwrap(state).groupContext);
      for (const known of [group!, folded.group]) {
        if (!equalBytes(encodeGroupContext(reveal(known).context), members)) throw new Error('another group context');
      }
      const isSameTree = equalBytes(publicTreeBytesOf(reopened()), ratchetTreeBytesOf(state));
      if (!isSameTree) throw new Error('another tree');
    },
  };
}
