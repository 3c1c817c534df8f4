import { foldName } from '../../wire/names.ts';
import type { ChatClient, Done, GroupStatus, PersonOutcome } from '../chat-client.ts';
import { accountCommandRows } from './account-rows.ts';
import { type CommandName, helpRows } from './command-table.ts';
import { namesOf } from './format-line.ts';
import { neutralise } from './neutralise.ts';
import { PRIVATE_FLAG } from './parse-input.ts';

/** Where a command was typed, and what it can reach. */
export interface CommandContext {
  readonly client: ChatClient;
  /** The group talked in; `undefined` while waiting for an invitation. */
  readonly current: GroupStatus | undefined;
  /** Rows for the person who typed the command. Harmless already. */
  say(rows: readonly string[]): void;
  switchTo(group: GroupStatus): Promise<void>;
  quit(): void;
}

/** Runs one command and says what came of it. @throws what the client throws; nothing is changed then. */
export async function runCommand(name: CommandName, args: readonly string[], context: CommandContext): Promise<void> {
  const { client, say } = context;
  switch (name) {
    case 'help':
      return say(helpRows());
    case 'quit':
    case 'exit':
      return context.quit();
    case 'groups':
      return say(groupRows(await client.groups(), context.current));
    case 'switch':
      return switchGroup(args[0] ?? '', context);
    case 'rename':
    case 'devices':
    case 'revoke':
    case 'link':
      return say(await accountCommandRows(name, args, client));
    case 'create':
      return createGroup(args, context);
  }
  const { current } = context;
  if (current === undefined) return say([`/${name} needs a group, and you are in none yet; /switch NAME enters one`]);
  const group = `#${neutralise(current.name)}`;
  if (current.state === 'removed' && name !== 'rejoin') return say([`you are no longer a member of ${group}`]);
  switch (name) {
    case 'invite':
      return say((await client.invite(current.group, args)).map((each) => invited(each, group)));
    case 'remove':
      return say((await client.remove(current.group, args)).map((each) => removed(each, group)));
    case 'list':
      return say(await memberRows(client, current, group));
    case 'promote':
      return say((await client.promote(current.group, args)).map((each) => roleChanged(each, group, true)));
    case 'demote':
      return say((await client.demote(current.group, args)).map((each) => roleChanged(each, group, false)));
    case 'policy': {
      const invite = args[1] === 'members' ? 'members' : 'admins';
      const who = invite === 'members' ? 'every member' : 'only administrators';
      return say([done(await client.setPolicy(current.group, { invite }), `${who} may invite to ${group} now`)]);
    }
    case 'leave':
      return say([done(await client.leave(current.group), `you left ${group}`)]);
    case 'rotate':
      return say([done(await client.rotate(current.group), `your keys in ${group} are renewed`)]);
    case 'rejoin':
      return say([done(await client.rejoin(current.group), `you joined ${group} again`)]);
    default:
      return name satisfies never;
  }
}

async function createGroup(args: readonly string[], { client, say, switchTo }: CommandContext): Promise<void> {
  const [wanted = ''] = args;
  const options = args.includes(PRIVATE_FLAG) ? { handshakes: 'private' as const } : {};
  const outcome = await client.openGroup(wanted, options);
  if (outcome.kind !== 'created') return say([`there is a group #${neutralise(wanted)} already`]);
  const made = (await client.groups()).find((each) => each.group === outcome.group);
  if (made !== undefined) await switchTo(made);
}

async function switchGroup(wanted: string, { client, current, say, switchTo }: CommandContext): Promise<void> {
  const folded = foldName(wanted);
  const group = (await client.groups()).find((each) => foldName(each.name) === folded);
  if (group === undefined) return say([`you are in no group #${neutralise(wanted)}; /groups lists yours`]);
  if (group.group === current?.group) return say([`you are in #${neutralise(group.name)} already`]);
  return switchTo(group);
}

function groupRows(groups: readonly GroupStatus[], current: GroupStatus | undefined): string[] {
  if (groups.length === 0) return ['you are in no group yet'];
  return groups.map((each) => {
    const mark = each.group === current?.group ? '*' : ' ';
    const unread = each.unread > 0 ? `, ${each.unread} unread` : '';
    return `${mark} #${neutralise(each.name)}  ${each.members === 1 ? '1 member' : `${each.members} members`}${unread}${stateText(each)}`;
  });
}

function stateText(group: GroupStatus): string {
  if (group.state === 'removed') return ', you are no longer a member';
  return group.state === 'parked' ? `, stopped here: ${neutralise(group.parkedReason ?? 'an entry failed')}` : '';
}

async function memberRows(client: ChatClient, current: GroupStatus, group: string): Promise<string[]> {
  const members = await client.members(current.group);
  const administrators = members.filter((member) => member.role === 'admin');
  return [
    `${group} members: ${namesOf(members)}`,
    ...(administrators.length > 0 ? [`${group} administrators: ${namesOf(administrators)}`] : []),
    ...(current.invite === 'members' ? [`${group} every member may invite`] : []),
    ...(current.handshakes === undefined ? [] : [`${group} ${OPAQUE}`]),
  ];
}

/** What people should know of an opaque group: its server knows less, and can protect less. */
const OPAQUE = 'handshakes are private: the server believes its members who is in it, and checks no roles';

function roleChanged(outcome: PersonOutcome, group: string, promoted: boolean): string {
  const name = neutralise(outcome.name);
  switch (outcome.kind) {
    case 'done':
      return promoted ? `${name} administers ${group} now` : `${name} does not administer ${group} any more`;
    case 'already':
      return promoted ? `${name} administers ${group} already` : `${name} does not administer ${group}`;
    case 'unknown-user':
      return `no such user: ${name}`;
    case 'not-member':
      return `${name} is not in ${group}`;
    case 'refused':
      return `not done for ${name}: ${neutralise(outcome.reason)}`;
    default:
      return outcome satisfies never;
  }
}

function invited(outcome: PersonOutcome, group: string): string {
  const name = neutralise(outcome.name);
  switch (outcome.kind) {
    case 'done':
      return `${name} is invited to ${group}`;
    case 'already':
      return `${name} is in ${group} already`;
    case 'unknown-user':
      return `no such user: ${name}`;
    case 'not-member':
      return `${name} is not in ${group}`;
    case 'refused':
      return `${name} was not invited: ${neutralise(outcome.reason)}`;
    default:
      return outcome satisfies never;
  }
}

function removed(outcome: PersonOutcome, group: string): string {
  const name = neutralise(outcome.name);
  switch (outcome.kind) {
    case 'done':
      return `${name} is removed from ${group}`;
    case 'already':
    case 'not-member':
      return `${name} is not in ${group}`;
    case 'unknown-user':
      return `no such user: ${name}`;
    case 'refused':
      return `${name} was not removed: ${neutralise(outcome.reason)}`;
    default:
      return outcome satisfies never;
  }
}

function done(outcome: Done, text: string): string {
  return outcome.kind === 'done' ? text : `not done: ${neutralise(outcome.reason)}`;
}
