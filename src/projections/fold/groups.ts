import type { GroupCreated } from '../../log/events.ts';
import { nameLane } from '../../log/subjects.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { Draft } from './draft.ts';
import { createGroupState } from './group-state.ts';
import type { Handshakes } from './handshakes.ts';
import { dropped, type Place, placed, placeEntry, placeOf, type Result } from './place.ts';
import { epochStarts, groupInfos, groups, names } from './rows.ts';
import { openWindow } from './windows.ts';

/** The first event with a group's id makes it, if nobody holds its name; anything later with that id is dropped. */
export function foldGroupCreated(draft: Draft, event: GroupCreated, place: Place, handshakes: Handshakes): Result {
  const hash = event.name === undefined ? undefined : nameLane('group', event.name).hash;
  if (draft.get(groups, event.group) !== undefined) {
    return dropped('already-exists', 'a group with this id exists');
  }
  if (hash !== undefined && draft.get(names, hash) !== undefined) {
    return dropped('name-taken', 'another group has this name');
  }
  const info = handshakes.groupInfo(event.groupInfo);
  if (info === undefined || !equalBytes(info.groupId, event.group)) {
    return dropped('invalid-request', 'the GroupInfo is not one of this group with its tree');
  }
  const { epoch, roster } = info;
  const roles = info.roles ?? { admins: [event.account], invite: 'admins', join: 'invite' };
  const name = event.name === undefined ? {} : { name: event.name };
  const id = event.group.slice(); // what is read from the log shares memory with its batch
  const state = createGroupState({ no: draft.counters.groups + 1, id, ...name, epoch, roles, roster });
  if (!state.leaves.has(event.device)) {
    return dropped('invalid-request', 'the creator is not a member of the group');
  }
  draft.newGroupNo();
  draft.put(groups, event.group, state);
  draft.put(groupInfos, { group: state.no, epoch }, event.groupInfo);
  draft.put(epochStarts, { group: state.no, epoch }, 1);
  if (hash !== undefined) draft.put(names, hash, id);
  const head = placeEntry(draft, state, place, (position) => ({
    kind: 'group-created',
    ...placeOf(event, position),
    payload: name,
  }));
  for (const device of state.leaves.keys()) openWindow(draft, state.no, device, head);
  return placed(state, head);
}
