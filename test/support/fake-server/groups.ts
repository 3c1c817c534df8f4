import type { ServerApi } from '../../../src/client/transport/server-api.ts';
import { extractTree, inspectMessage } from '../../../src/mls/framing.ts';
import { rosterOfGroupInfo } from '../../../src/mls/roster.ts';
import { EMPTY_HEAD, isGroupEntry } from '../../../src/wire/entry.ts';
import { type AccountId, type DeviceId, type GroupId, groupIdOf, type Position } from '../../../src/wire/ids.ts';
import { DEFAULT_LIMITS } from '../../../src/wire/limits.ts';
import { foldName } from '../../../src/wire/names.ts';
import { ProblemError } from '../../../src/wire/problems.ts';
import type { FakeLine } from './line.ts';
import { accepted, accountOf, type FakeGroup, type FakeWorld, groupFor, hasAccount, isMember, place } from './world.ts';

type GroupCalls = Pick<
  ServerApi,
  'createGroup' | 'groupsByName' | 'accountGroups' | 'tree' | 'groupInfo' | 'endOf' | 'headAt' | 'putBlob' | 'blob'
>;

/** Creating groups, and looking at them. */
export function groupCalls(world: FakeWorld, { act, once }: FakeLine, device: DeviceId): GroupCalls {
  const { groups, accounts, blobs, log } = world;
  const named = (name: string): FakeGroup[] =>
    [...groups.values()].filter((group) => group.name !== undefined && foldName(group.name) === foldName(name));
  return {
    createGroup: (key, body) =>
      once(device, 'createGroup', key, body, () => {
        const { name } = body;
        accountOf(world, device);
        if (name !== undefined && named(name).length > 0) throw new ProblemError('name-taken', `#${name} is taken`);
        const group = foundGroup(body);
        groups.set(group.id, group);
        const payload = name === undefined ? {} : { name };
        const about = { kind: 'group-created', group: body.group, id: key, sender: device, payload } as const;
        place(world, group, (position, time) => ({ ...about, position, time }));
        return accepted(world, group);
      }),
    groupsByName: (name) =>
      act(device, 'groupsByName', [name], () => ({
        groups: named(name).map((group) => ({
          group: group.bytes as Uint8Array<ArrayBuffer>,
          name: group.name!,
          join: group.roles.join,
          member: isMember(group, device),
          administrators: group.roles.admins.map((id) => ({
            account: id as AccountId,
            name: accounts.get(id as AccountId)?.name ?? '?',
          })),
        })),
      })),
    accountGroups: () =>
      act(device, 'accountGroups', [], () => ({
        groups: [...groups.values()]
          .filter((group) => hasAccount(group, accountOf(world, device)))
          .map(({ bytes, name, epoch, position, head }) => ({
            group: bytes as Uint8Array<ArrayBuffer>,
            ...(name === undefined ? {} : { name }),
            epoch,
            position: position as Position,
            head: head as Uint8Array<ArrayBuffer>,
            handshakes: 'public' as const,
          })),
      })),
    tree: (id, epoch) =>
      act(device, 'tree', [id, epoch], () => {
        const tree = groups.get(id)?.trees.get(epoch);
        if (tree === undefined) throw new ProblemError('not-found', 'no such tree');
        return { epoch, ratchetTree: tree as Uint8Array<ArrayBuffer> };
      }),
    groupInfo: (id) =>
      act(device, 'groupInfo', [id], () => {
        const open = groups.get(id);
        const group = open?.roles.join === 'open' ? open : groupFor(world, id, device);
        const { epoch, groupInfo, position, head } = group;
        const ratchetTree = group.trees.get(epoch)!;
        return { epoch, handshakes: 'public', groupInfo, ratchetTree, position, head } as never;
      }),
    // known to its members alone
    endOf: (id) =>
      act(device, 'endOf', [id], () => {
        const group = groups.get(id);
        return group === undefined || !isMember(group, device) ? undefined : group.entries.length;
      }),
    headAt: (id, position) =>
      act(device, 'headAt', [id, position], () => {
        const shown = log.find(
          ({ readers, entry }) =>
            readers.has(device) && isGroupEntry(entry) && groupIdOf(entry.group) === id && entry.position >= position,
        )?.entry;
        if (shown === undefined || !isGroupEntry(shown)) return undefined;
        return shown.position === position ? groups.get(id)?.entries[position - 1]?.head : 'later';
      }),
    putBlob: (id, hash, blob) =>
      act(device, 'putBlob', [id, hash], () => {
        groupFor(world, id, device);
        blobs.set(blobKey(id, hash), blob.slice());
        return { size: blob.length, expires: world.clock + DEFAULT_LIMITS.attachmentRetentionMs };
      }),
    blob: (id, hash) =>
      act(device, 'blob', [id, hash], () => {
        groupFor(world, id, device);
        return blobs.get(blobKey(id, hash));
      }),
  };
}

const blobKey = (group: GroupId, hash: string): string => `${group}/${hash}`;

function foundGroup(body: Parameters<ServerApi['createGroup']>[1]): FakeGroup {
  const info = inspectMessage(body.groupInfo);
  if (info.kind !== 'group-info' || info.roles === undefined) {
    throw new ProblemError('invalid-request', 'no GroupInfo with roles');
  }
  return {
    id: groupIdOf(body.group),
    bytes: body.group,
    ...(body.name === undefined ? {} : { name: body.name }),
    epoch: 0,
    position: 0,
    head: EMPTY_HEAD,
    roles: info.roles,
    roster: rosterOfGroupInfo(body.groupInfo)!,
    groupInfo: body.groupInfo,
    trees: new Map([[0, extractTree(body.groupInfo)!]]),
    proposals: [],
    entries: [],
  };
}
