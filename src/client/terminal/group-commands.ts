import { foldName } from '../../wire/names.ts';
import type { GroupStatus } from '../chat-client.ts';
import type { CommandContext } from './command-context.ts';
import { joinRows, notInvitedRows } from './join-rows.ts';
import { neutralise } from './neutralise.ts';
import { PRIVATE_FLAG } from './parse-input.ts';

/** `/join NAME`: goes there, or says why not and whom to ask. @throws what the client throws */
export async function joinGroup(wanted: string, { client, say, switchTo, current }: CommandContext): Promise<void> {
  const outcome = await client.joinGroup(wanted);
  if (!('group' in outcome)) return say(joinRows(wanted, outcome));
  const group = (await client.groups()).find((each) => each.group === outcome.group);
  if (group === undefined) return;
  if (group.group === current?.group) {
    return say([`you are in #${neutralise(group.name)} ${outcome.kind === 'joined' ? 'again' : 'already'}`]);
  }
  return switchTo(group);
}

/** `/create NAME [--private]`. A group that is there already is never made a second time. @throws what the client throws */
export async function createGroup(args: readonly string[], { client, say, switchTo }: CommandContext): Promise<void> {
  const [wanted = ''] = args;
  const options = args.includes(PRIVATE_FLAG) ? { handshakes: 'private' as const } : {};
  const outcome = await client.openGroup(wanted, options);
  const shown = neutralise(wanted);
  switch (outcome.kind) {
    case 'created': {
      const made = (await client.groups()).find((each) => each.group === outcome.group);
      if (made !== undefined) await switchTo(made);
      return;
    }
    case 'member':
    case 'joined':
      return say([`there is a group #${shown} already, and you are in it: /switch ${shown}`]);
    case 'not-invited':
      return say(notInvitedRows(wanted, outcome.administrators, 'announced'));
    default:
      return outcome satisfies never;
  }
}

/** `/switch NAME`, among the groups of this device. @throws what the client throws */
export async function switchGroup(wanted: string, { client, current, say, switchTo }: CommandContext): Promise<void> {
  const folded = foldName(wanted);
  const named = (await client.groups()).filter((each) => foldName(each.name) === folded);
  const group = named.find(({ state }) => state !== 'removed') ?? named[0];
  const shown = neutralise(wanted);
  if (group === undefined)
    return say([`you are in no group #${shown}; /groups lists yours, /join ${shown} tries to get in`]);
  if (group.group === current?.group) return say([`you are in #${neutralise(group.name)} already`]);
  return switchTo(group);
}

/** The groups of this device, the one talked in with a star. */
export function groupRows(groups: readonly GroupStatus[], current: GroupStatus | undefined): string[] {
  if (groups.length === 0) return ['you are in no group yet; /create NAME makes one'];
  const width = Math.max(...groups.map(({ name }) => neutralise(name).length));
  return groups.map((each) => {
    const mark = each.group === current?.group ? '*' : ' ';
    const state = [
      stateText(each),
      ...(each.unread > 0 ? [`${each.unread} unread`] : []),
      ...(each.muted === true ? ['muted'] : []),
    ];
    return `${mark} #${neutralise(each.name).padEnd(width)}  ${state.join(', ')}`;
  });
}

function stateText({ state, members, parkedReason }: GroupStatus): string {
  switch (state) {
    case 'removed':
      return 'you are no longer a member';
    case 'member':
      return members === 1 ? '1 member' : `${members} members`;
    case 'parked':
      return `stopped here: ${neutralise(parkedReason ?? 'an entry failed')}`;
    default:
      return state satisfies never;
  }
}
