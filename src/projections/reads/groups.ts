import { nameLane } from '../../log/subjects.ts';
import { extractTree } from '../../mls/framing.ts';
import { toBase64Url } from '../../wire/bytes.ts';
import { decodeEntry } from '../../wire/entry.ts';
import type { DeviceId, GroupId, Position } from '../../wire/ids.ts';
import { compareClientIds } from '../fold/client-id-order.ts';
import { ENTRY_FRAMED_OFFSET, unframe } from '../fold/entry-row.ts';
import type { GroupState } from '../fold/group-state.ts';
import {
  groupInfos,
  groups,
  laneId,
  lanes,
  names,
  type PendingProposalRow,
  pendingProposals,
  unusedWelcomes,
} from '../fold/rows.ts';
import type { GroupView, PendingProposal, ReadModel } from '../read-model.ts';
import type { Tables } from '../store/tables.ts';
import { deviceNumber, groupState, logStartOf } from './lookup.ts';

type GroupReads = Pick<ReadModel, 'group' | 'groupByName' | 'groupsOf' | 'groupInfo' | 'tree' | 'messagePosition'>;

/** What is known of groups beside their entries. */
export function createGroupReads(tables: Tables): GroupReads {
  const view = (state: GroupState | undefined): GroupView | undefined =>
    state === undefined ? undefined : viewOf(tables, state);
  return {
    group: (id) => view(groupState(tables, id)),
    groupByName(name) {
      const holder = tables.get(names, nameLane('group', name).hash);
      return holder instanceof Uint8Array ? view(tables.get(groups, holder)) : undefined;
    },
    groupsOf(device) {
      const number = deviceNumber(tables, device);
      if (number === undefined) return [];
      const open = [...tables.deviceWindows(number)].filter(([, windows]) => windows.at(-1)?.to === undefined);
      return open
        .map(([group]) => view(tables.get(groups, tables.head(group)!.group)))
        .filter((group) => group !== undefined);
    },
    groupInfo(id) {
      const state = groupState(tables, id);
      if (state === undefined) return undefined;
      const { no, epoch } = state;
      const groupInfo = tables.get(groupInfos, { group: no, epoch });
      const ratchetTree = groupInfo === undefined ? undefined : extractTree(groupInfo);
      return groupInfo === undefined || ratchetTree === undefined ? undefined : { epoch, groupInfo, ratchetTree };
    },
    tree(id, epoch, device) {
      const state = groupState(tables, id);
      if (state === undefined || !mayHaveTree(tables, state, epoch, device)) return undefined;
      const groupInfo = tables.get(groupInfos, { group: state.no, epoch });
      return groupInfo === undefined ? undefined : extractTree(groupInfo);
    },
    messagePosition(group, device, id) {
      const state = groupState(tables, group);
      const number = deviceNumber(tables, device);
      if (state === undefined || number === undefined) return undefined;
      const sender = { group: state.no, device: number };
      const last = tables.lastMessageId(sender);
      if (last === undefined || compareClientIds(last, id) < 0) return undefined;
      return tables.messagePosition(sender, id) as Position | undefined;
    },
  };
}

/** A member gets the tree of the current epoch, and anybody that of an epoch an unused Welcome leads them into. */
function mayHaveTree(tables: Tables, state: GroupState, epoch: number, device: DeviceId): boolean {
  if (epoch === state.epoch && state.leaves.has(device)) return true;
  const number = deviceNumber(tables, device);
  const waiting = tables.get(unusedWelcomes, state.no) ?? [];
  return waiting.some((welcome) => welcome.device === number && welcome.epoch === epoch);
}

function viewOf(tables: Tables, state: GroupState): GroupView {
  const head = tables.head(state.no)!;
  const id = toBase64Url(state.id) as GroupId;
  const pending = tables.get(pendingProposals, state.no) ?? [];
  const start = logStartOf(tables, state.no);
  return {
    id,
    bytes: state.id,
    ...(state.name === undefined ? {} : { name: state.name }),
    epoch: state.epoch,
    position: head.position as Position,
    head: head.hash,
    logStart: (start?.position ?? 1) as Position,
    ...(start === undefined ? {} : { firstEpoch: start.epoch, headBeforeStart: start.head }),
    roles: state.roles,
    opaque: state.declared !== undefined,
    roster: state.members,
    proposals: new Map(pending.map((row) => [toBase64Url(row.ref), pendingProposal(tables, state, row)])),
    commitLaneSequence: tables.get(lanes, laneId('group-commit', id)) ?? 0,
  };
}

/** The proposal's message stands in the group's log; it is not stored twice. */
function pendingProposal(tables: Tables, state: GroupState, row: PendingProposalRow): PendingProposal {
  const entry = decodeEntry(unframe(tables.peekEntry(state.no, row.position).subarray(ENTRY_FRAMED_OFFSET)));
  return {
    ref: row.ref,
    senderLeaf: row.sender.kind === 'member' ? row.sender.leaf : -1,
    message: entry.payload as Uint8Array,
    position: row.position as Position,
  };
}
