import { keyPackageRef } from '../../mls/handshake.ts';
import { parseIdentity } from '../../mls/identity.ts';
import type { Overreach } from '../../mls/session/overreach.ts';
import { type GroupState as MlsState, membersOf, pendingProposalsOf, rolesOf } from '../../mls/session/state.ts';
import type { HandshakeEntry } from '../../wire/entry.ts';
import type { DeviceId } from '../../wire/ids.ts';
import type { AddedPackage, DeclaredRoster } from './commit-types.ts';
import type { EngineEnv, Group } from './types.ts';

/**
 * Whether this group keeps its handshakes private. Its members say so in the group context; of a group without roles only
 * the server's word is known. Either is enough: a server cannot talk a member out of it.
 */
export function handshakesOf(group: Pick<Group, 'handshakes' | 'mls'>): { readonly handshakes?: 'private' } {
  const stated = group.mls === undefined ? undefined : rolesOf(group.mls)?.handshakes;
  return stated === 'private' || group.handshakes === 'private' ? { handshakes: 'private' } : {};
}

export function isOpaque(group: Pick<Group, 'handshakes' | 'mls'>): boolean {
  return handshakesOf(group).handshakes !== undefined;
}

/**
 * What the server is told about a private commit: the devices that come, each with its key package, and those that go.
 *
 * @param packages those that the commit adds beside what others proposed
 */
export function declaredRoster(
  { sha256 }: Pick<EngineEnv, 'sha256'>,
  before: MlsState,
  after: MlsState,
  packages: readonly AddedPackage[],
): DeclaredRoster {
  const had = identitiesOf(membersOf(before));
  const has = identitiesOf(membersOf(after));
  const refs = new Map<string, Uint8Array | undefined>();
  for (const { proposal } of pendingProposalsOf(before)) {
    if (proposal.kind === 'add') refs.set(proposal.identity, proposal.keyPackageRef);
  }
  for (const { identity, keyPackage } of packages) refs.set(identity, keyPackageRef(keyPackage, sha256));
  const added = [...has].flatMap((identity) => {
    const [ref, device] = [refs.get(identity), deviceOf(identity)];
    return had.has(identity) || ref === undefined || device === undefined ? [] : [{ device, ref }];
  });
  return { added, removed: [...had].flatMap((identity) => (has.has(identity) ? [] : (deviceOf(identity) ?? []))) };
}

interface Change {
  readonly added: readonly { readonly identity: string }[];
  readonly removed: readonly { readonly identity: string }[];
}

/** How a private commit differs from what its committer told the server, as a sentence; `undefined` when it does not. */
export function declarationBreach(
  { directory }: Pick<EngineEnv, 'directory'>,
  { roster }: HandshakeEntry,
  by: string,
  { added, removed }: Change,
): string | undefined {
  if (roster === undefined) return undefined;
  const came = identitiesOf(added);
  const went = identitiesOf(removed);
  const differences = [
    ...differing(
      'added',
      [...came].filter((identity) => !went.has(identity)),
      roster.added,
    ),
    ...differing(
      'removed',
      [...went].filter((identity) => !came.has(identity)),
      roster.removed,
    ),
  ];
  return differences.length === 0
    ? undefined
    : `${by} told the server otherwise than it did: ${differences.join(', ')}`;

  function differing(done: string, real: readonly string[], declared: readonly DeviceId[]): readonly string[] {
    const devices = new Set(real.map(deviceOf));
    const hidden = real.filter((identity) => !declared.includes(deviceOf(identity) ?? ('' as DeviceId)));
    const invented = declared.filter((device) => !devices.has(device));
    return [
      ...hidden.map((identity) => `${done} ${directory.personOf(identity).name} without a word`),
      ...invented.map((device) => `claims to have ${done} the device ${device}`),
    ];
  }
}

/** What the roles did not allow, a sentence for each who did it: who committed what another had proposed is named beside. */
export function overreachTexts(
  { directory }: Pick<EngineEnv, 'directory'>,
  committer: string,
  overreach: readonly Overreach[],
): readonly string[] {
  const proposers = new Set(overreach.map(({ proposer }) => proposer));
  return [...proposers].flatMap((proposer) => {
    const parts = overreach.flatMap((each) => (each.proposer === proposer ? deed(directory, each) : []));
    if (parts.length === 0) return [];
    const done = parts.join(', ');
    if (proposer === undefined) return [`${committer} did what its role does not allow: ${done}`];
    const who = directory.personOf(proposer).name;
    return [`${who} proposed what its role does not allow, and ${committer} committed it: ${done}`];
  });
}

function deed(directory: EngineEnv['directory'], each: Overreach): readonly string[] {
  switch (each.kind) {
    case 'adds':
      return [`added ${directory.personOf(each.identity).name}`];
    case 'removes': // a device that its account has revoked may be removed by anybody
      return isRevoked(directory, each.identity) ? [] : [`removed ${directory.personOf(each.identity).name}`];
    case 'joins':
      return ['joined without an invitation'];
    case 'roles':
      return ['changed the roles'];
    case 'orphans':
      return ['left the group without an administrator'];
    default:
      return each satisfies never;
  }
}

function isRevoked(directory: EngineEnv['directory'], identity: string): boolean {
  const parsed = parseIdentity(identity);
  const account = parsed === undefined ? undefined : directory.get(parsed.account);
  return account?.devices.some((device) => device.id === parsed?.device && device.revoked) ?? false;
}

function identitiesOf(members: readonly { readonly identity: string }[]): ReadonlySet<string> {
  return new Set(members.map(({ identity }) => identity));
}

function deviceOf(identity: string): DeviceId | undefined {
  return parseIdentity(identity)?.device;
}
