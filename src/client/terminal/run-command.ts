import type { Done, GroupPolicy } from '../chat-client.ts';
import { accountCommandRows, whoamiRows } from './account-rows.ts';
import type { CommandContext } from './command-context.ts';
import { type CommandName, helpRows } from './command-table.ts';
import { exportHistory, wantsJson } from './export-history.ts';
import { saveFileRows, sendFileRows } from './file-rows.ts';
import { createGroup, groupRows, joinGroup, switchGroup } from './group-commands.ts';
import { showHistory } from './history-command.ts';
import { memberRows } from './member-rows.ts';
import { messageCommandRows } from './message-commands.ts';
import { neutralise } from './neutralise.ts';
import { awayNote } from './offline-note.ts';
import { invited, removed, roleChanged } from './outcome-rows.ts';
import { packRows, unpackRows } from './pack-rows.ts';
import { statusRows } from './status-rows.ts';
import { verifyRows } from './verify-rows.ts';

/** A command that is done or refused sooner says nothing of the server's being away. */
const AWAY_NOTE_AFTER_MS = 250;

/** Runs one command and says what came of it. @throws what the client throws; nothing is changed then. */
export async function runCommand(name: CommandName, args: readonly string[], context: CommandContext): Promise<void> {
  const note = awayNote(name);
  if (note === undefined || !context.away()) return perform(name, args, context);
  const timer = setTimeout(() => context.say([note]), AWAY_NOTE_AFTER_MS);
  try {
    await perform(name, args, context);
  } finally {
    clearTimeout(timer);
  }
}

async function perform(name: CommandName, args: readonly string[], context: CommandContext): Promise<void> {
  const { client, say } = context;
  switch (name) {
    case 'help':
      return say(helpRows(args[0]));
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
    case 'pack':
      return say(await packRows(args, client));
    case 'unpack':
      return say(await unpackRows(args, client));
    case 'whoami':
      return say(await whoamiRows(client));
    case 'verify':
      return say(await verifyRows(args, client));
  }
  const { current } = context;
  if (current === undefined) {
    return say([`/${name} needs a group, and you are in none yet; /create NAME makes one, /switch NAME enters one`]);
  }
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
      return say(await messageCommandRows(name, args[0] ?? '', client, current, context.send));
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

function done(outcome: Done, text: string): string {
  return outcome.kind === 'done' ? text : `not done: ${neutralise(outcome.reason)}`;
}
