import { foldName } from '../../wire/names.ts';
import type { ChatClient, Done, GroupPolicy, GroupStatus, HistoryLine } from '../chat-client.ts';
import { accountCommandRows, whoamiRows } from './account-rows.ts';
import { type CommandName, helpRows } from './command-table.ts';
import { exportHistory, wantsJson } from './export-history.ts';
import { saveFileRows, sendFileRows } from './file-rows.ts';
import { joinRows } from './join-rows.ts';
import { memberRows } from './member-rows.ts';
import { messageCommandRows } from './message-commands.ts';
import { neutralise } from './neutralise.ts';
import { awayNote } from './offline-note.ts';
import { invited, removed, roleChanged } from './outcome-rows.ts';
import { PRIVATE_FLAG } from './parse-input.ts';
import { statusRows } from './status-rows.ts';
import { verifyRows } from './verify-rows.ts';

/** Where a command was typed, and what it can reach. */
export interface CommandContext {
  readonly client: ChatClient;
  /** The group talked in; `undefined` while waiting for an invitation. */
  readonly current: GroupStatus | undefined;
  /** Rows for the person who typed the command. Harmless already. */
  say(rows: readonly string[]): void;
  /** Lines of the history, asked for. */
  show(lines: readonly HistoryLine[]): void;
  switchTo(group: GroupStatus): Promise<void>;
  quit(): void;
}

/** Runs one command and says what came of it. @throws what the client throws; nothing is changed then. */
export async function runCommand(name: CommandName, args: readonly string[], context: CommandContext): Promise<void> {
  const { client, say } = context;
  const note = awayNote(name, (await client.status()).connection);
  if (note !== undefined) say([note]);
  switch (name) {
    case 'help':
      return say(helpRows());
    case 'quit':
    case 'exit':
      return context.quit();
    case 'groups':
      return say(groupRows(await client.groups(), context.current));
    case 'status':
      return say(await statusRows(client, context.current));
    case 'receipts': {
      await client.setReceipts(args[0] === 'on');
      return say([args[0] === 'on' ? RECEIPTS_ON : 'nobody is told any more what came and was read here']);
    }
    case 'switch':
      return switchGroup(args[0] ?? '', context);
    case 'rename':
    case 'devices':
    case 'revoke':
    case 'link':
      return say(await accountCommandRows(name, args, client));
    case 'create':
      return createGroup(args, context);
    case 'join':
      return joinGroup(args[0] ?? '', context);
    case 'whoami':
      return say(await whoamiRows(client));
    case 'verify':
      return say(await verifyRows(args, client));
  }
  const { current } = context;
  if (current === undefined) return say([`/${name} needs a group, and you are in none yet; /switch NAME enters one`]);
  const group = `#${neutralise(current.name)}`;
  if (current.state === 'removed' && !OF_THE_PAST.has(name)) return say([`you are no longer a member of ${group}`]);
  switch (name) {
    case 'invite':
      return say((await client.invite(current.group, args)).map((each) => invited(each, group)));
    case 'remove':
      return say((await client.remove(current.group, args)).map((each) => removed(each, group)));
    case 'list':
      return say(await memberRows(client, current, group));
    case 'reply':
    case 'edit':
    case 'delete':
    case 'me':
    case 'topic':
      return say(await messageCommandRows(name, args[0] ?? '', client, current));
    case 'send':
      return say(await sendFileRows(args.join(' '), client, current));
    case 'save':
      return say(await saveFileRows(args, client, current));
    case 'history':
      return showHistory(args, current, context);
    case 'export': {
      const file = args.join(' ');
      const { rows, path } = await exportHistory(client, current.group, file, wantsJson(file));
      return say([`${rows} rows of ${group} are in ${neutralise(path)}`]);
    }
    case 'mute':
    case 'unmute': {
      await client.setMuted(current.group, name === 'mute');
      return say([name === 'mute' ? `${group} is muted; /unmute ends that` : `${group} is not muted any more`]);
    }
    case 'promote':
    case 'admin':
      return say((await client.promote(current.group, args)).map((each) => roleChanged(each, group, true)));
    case 'demote':
      return say((await client.demote(current.group, args)).map((each) => roleChanged(each, group, false)));
    case 'policy': {
      const [policy, text] = policyOf(args);
      return say([done(await client.setPolicy(current.group, policy), `${text} ${group} now`)]);
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

const RECEIPTS_ON = 'members are told what comes and is read here; /list shows what they tell, once they do the same';

/** Commands that ask nothing of the group's other members: also in a group that one was removed from. */
const OF_THE_PAST: ReadonlySet<CommandName> = new Set<CommandName>(['rejoin', 'history', 'export', 'mute', 'unmute']);

function policyOf([policy, value]: readonly string[]): readonly [GroupPolicy, string] {
  if (policy === 'join') {
    return value === 'open' ? [{ join: 'open' }, 'everybody may join'] : [{ join: 'invite' }, 'nobody joins uninvited'];
  }
  return value === 'members'
    ? [{ invite: 'members' }, 'every member may invite to']
    : [{ invite: 'admins' }, 'only administrators may invite to'];
}

/** Lines shown when no number is given. */
const HISTORY_LINES = 20;
/** Lines shown at most, and found at most. */
const HISTORY_LINES_MAX = 1000;
const FOUND_LINES_MAX = 50;

async function showHistory(args: readonly string[], current: GroupStatus, context: CommandContext): Promise<void> {
  const { client, say, show } = context;
  const group = `#${neutralise(current.name)}`;
  const text = args.join(' ');
  if (text === '' || /^\d{1,6}$/.test(text)) {
    const wanted = text === '' ? HISTORY_LINES : Math.min(Number(text), HISTORY_LINES_MAX);
    const lines = (await client.recent(current.group, wanted)).filter((line) => line.cursor !== undefined);
    say([`── the last ${lines.length} lines of ${group} ──`]);
    show(lines);
    return say(['── end of the history ──']);
  }
  const { lines, stoppedEarly } = await client.search(current.group, text, FOUND_LINES_MAX);
  const more = lines.length >= FOUND_LINES_MAX ? ', the newest' : '';
  say([
    `── ${lines.length === 1 ? '1 line' : `${lines.length} lines`} of ${group} with "${neutralise(text)}"${more} ──`,
  ]);
  show(lines);
  say([stoppedEarly ? '── older lines were not searched; /export FILE has them all ──' : '── end of the search ──']);
}

async function joinGroup(wanted: string, { client, say, switchTo, current }: CommandContext): Promise<void> {
  const outcome = await client.joinGroup(wanted);
  if (!('group' in outcome)) return say(joinRows(wanted, outcome));
  const group = (await client.groups()).find((each) => each.group === outcome.group);
  if (group === undefined) return;
  if (group.group === current?.group) return say([`you are in #${neutralise(group.name)} already`]);
  return switchTo(group);
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
    const unread = `${each.unread > 0 ? `, ${each.unread} unread` : ''}${each.muted === true ? ', muted' : ''}`;
    return `${mark} #${neutralise(each.name)}  ${each.members === 1 ? '1 member' : `${each.members} members`}${unread}${stateText(each)}`;
  });
}

function stateText(group: GroupStatus): string {
  if (group.state === 'removed') return ', you are no longer a member';
  return group.state === 'parked' ? `, stopped here: ${neutralise(group.parkedReason ?? 'an entry failed')}` : '';
}

function done(outcome: Done, text: string): string {
  return outcome.kind === 'done' ? text : `not done: ${neutralise(outcome.reason)}`;
}
