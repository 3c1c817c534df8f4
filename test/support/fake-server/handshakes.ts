import type { CommitBody, ServerApi } from '../../../src/client/transport/server-api.ts';
import { extractTree } from '../../../src/mls/framing.ts';
import { type CommitSummary, summarizeCommit, summarizeProposal } from '../../../src/mls/handshake.ts';
import { parseIdentity } from '../../../src/mls/identity.ts';
import { foldRoster } from '../../../src/mls/roster.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import type { ClientId, DeviceId, Position } from '../../../src/wire/ids.ts';
import { ProblemError } from '../../../src/wire/problems.ts';
import type { FakeLine } from './line.ts';
import {
  accepted,
  accountOf,
  append,
  conflict,
  type FakeGroup,
  type FakeWorld,
  groupFor,
  knownGroup,
  place,
  readersOf,
} from './world.ts';

/** Commits, proposals, and words about commits. */
export function handshakeCalls(
  world: FakeWorld,
  { once }: FakeLine,
  device: DeviceId,
): Pick<ServerApi, 'postCommit' | 'postProposal' | 'postReport'> {
  return {
    postCommit: (key, id, body) =>
      once(device, 'postCommit', key, body, () => {
        const group = knownGroup(world, id);
        const commit = summarizeCommit(body.commit, group.proposals, nodeSha256);
        if (commit.kind !== 'commit') throw new ProblemError('invalid-commit', commit.reason);
        if (commit.epoch !== group.epoch) throw conflict(group, commit.epoch);
        takeCommit(world, group, { commit, body, key, by: device });
        welcome(world, group, { commit, body, by: device });
        return accepted(world, group);
      }),
    postProposal: (key, id, proposal) =>
      once(device, 'postProposal', key, proposal, () => {
        const group = groupFor(world, id, device);
        const seen = summarizeProposal(proposal, nodeSha256);
        if (seen.kind !== 'proposal') throw new ProblemError('invalid-request', seen.reason);
        const { epoch } = seen;
        if (epoch !== group.epoch) throw conflict(group, epoch);
        group.proposals.push({ ref: seen.ref, sender: seen.sender, proposal: seen.proposal });
        const about = { kind: 'proposal', group: group.bytes, id: key, sender: device, epoch } as const;
        place(world, group, (position, time) => ({ ...about, position, time, payload: proposal }));
        return accepted(world, group);
      }),
    postReport: (id, report) =>
      once(device, 'postReport', `report-${id}-${report.epoch}`, report, () => {
        const group = groupFor(world, id, device);
        const { sender } = group.entries[report.position - 1]!.entry;
        const payload = {
          ...report,
          position: report.position as Position,
          reporter: accountOf(world, device),
          committer: { account: accountOf(world, sender), device: sender },
        };
        const own = `report-${device}-${report.epoch}`;
        const about = { kind: 'report', group: group.bytes, id: own, sender: device, payload } as const;
        place(world, group, (position, time) => ({ ...about, position, time }));
        return accepted(world, group);
      }),
  };
}

interface Committing {
  readonly commit: CommitSummary;
  readonly body: CommitBody;
  readonly by: DeviceId;
}

/** Ends the epoch, or throws and leaves the group as it was. */
function takeCommit(
  world: FakeWorld,
  group: FakeGroup,
  { commit, body, key, by }: Committing & { readonly key: ClientId },
): void {
  if (commit.unknownRefs.length > 0) throw new ProblemError('invalid-commit', 'an unknown proposal');
  if (commit.referenced.length < group.proposals.length) {
    throw new ProblemError('invalid-commit', 'a proposal is left out');
  }
  const folded = foldRoster(group.roster, commit);
  if (folded.kind !== 'folded') throw new ProblemError('invalid-commit', folded.reason);
  const committer = folded.roster[folded.committer]!;
  if (parseIdentity(committer.identity)?.device !== by) throw new ProblemError('forbidden', 'not your leaf');
  const before = readersOf(group);
  group.roster = folded.roster;
  group.epoch += 1;
  group.proposals = [];
  group.groupInfo = body.groupInfo;
  group.trees.set(group.epoch, extractTree(body.groupInfo)!);
  if (commit.roles !== undefined) group.roles = commit.roles;
  const about = { kind: 'commit', group: group.bytes, id: key, sender: by, epoch: commit.epoch } as const;
  place(world, group, (position, time) => ({ ...about, position, time, payload: body.commit }), before);
}

/** Right behind its commit, to each device that was added. */
function welcome(world: FakeWorld, group: FakeGroup, { commit, body, by }: Committing): void {
  for (const joined of new Set(commit.adds.map((add) => parseIdentity(add.identity)!.device))) {
    const payload = {
      group: group.bytes,
      ...(group.name === undefined ? {} : { name: group.name }),
      position: group.position as Position,
      head: group.head,
      epoch: group.epoch,
      inviter: accountOf(world, by),
      welcome: body.welcome!,
    };
    append(world, [joined], { kind: 'welcome', time: world.clock, sender: by, payload });
  }
}
