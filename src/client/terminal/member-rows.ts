import type { ChatClient, GroupStatus, LastHeard, MemberStatus, Verified } from '../chat-client.ts';
import { namesOf } from './format-line.ts';
import { neutralise } from './neutralise.ts';

/** Members described one by one; the others are only named. */
const DESCRIBED_MAX = 50;

/** What people should know of an opaque group: its server knows less, and can protect less. */
const OPAQUE = 'handshakes are private: the server believes its members who is in it, and checks no roles';

/** Who is in a group: all names, then each with role, devices, whether compared, and when last heard of. */
export async function memberRows(client: ChatClient, current: GroupStatus, group: string): Promise<string[]> {
  const [members, heard] = await Promise.all([client.members(current.group), client.lastHeard(current.group)]);
  const administrators = members.filter((member) => member.role === 'admin');
  const byAccount = new Map(heard.map((each) => [each.account, each]));
  const width = Math.max(0, ...members.slice(0, DESCRIBED_MAX).map(({ name }) => neutralise(name).length));
  const hidden = members.length - DESCRIBED_MAX;
  return [
    `${group} members: ${namesOf(members)}`,
    ...(current.topic === undefined ? [] : [`${group} topic: ${neutralise(current.topic)}`]),
    ...(administrators.length > 0 ? [`${group} administrators: ${namesOf(administrators)}`] : []),
    ...members
      .slice(0, DESCRIBED_MAX)
      .map(
        (member) => `  ${neutralise(member.name).padEnd(width)}  ${describe(member, byAccount.get(member.account))}`,
      ),
    ...(hidden > 0 ? [`  and ${hidden} more`] : []),
    ...(current.invite === 'members' ? [`${group} every member may invite`] : []),
    ...(current.join === 'open' ? [`${group} everybody may join`] : []),
    ...(current.handshakes === undefined ? [] : [`${group} ${OPAQUE}`]),
  ];
}

function describe(member: MemberStatus, heard: LastHeard | undefined): string {
  const devices = member.devices.length === 1 ? '1 device' : `${member.devices.length} devices`;
  const role = member.role === 'admin' ? 'administrator' : 'member';
  const trust = member.me ? 'you' : TRUST[member.verified];
  const last = heard === undefined ? 'not heard of yet' : `last heard at entry ${heard.position}`;
  return [role, devices, trust, last, ...marksOf(member)].join(', ');
}

function marksOf({ marks }: MemberStatus): readonly string[] {
  if (marks === undefined || marks.delivered === 0) return [];
  return [marks.read === 0 ? `got yours up to entry ${marks.delivered}` : `read yours up to entry ${marks.read}`];
}

const TRUST: Readonly<Record<Verified, string>> = {
  yes: 'verified',
  no: 'not verified',
  changed: 'KEYS CHANGED since verified',
};
