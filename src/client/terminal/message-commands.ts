import type { ChatClient, GroupStatus, HistoryLine, SendAs } from '../chat-client.ts';
import type { CommandName } from './command-table.ts';

const MESSAGE_COMMANDS = ['reply', 'edit', 'delete', 'me', 'topic'] as const;

type MessageCommand = (typeof MESSAGE_COMMANDS)[number];

/** Whether a command's effect is a line of the conversation. */
export function isMessageCommand(name: CommandName): name is MessageCommand {
  return MESSAGE_COMMANDS.some((each) => each === name);
}

type Sent = Extract<HistoryLine, { kind: 'message' }> & { readonly messageId: string };

/** How a message id is written: 32 bytes in base64url, as `--json` has them. */
const MESSAGE_ID = /^[A-Za-z0-9_-]{43}$/;
/** Lines that `/reply`, `/edit` and `/delete` look back at. */
const LOOK_BACK_LINES = 500;

type Send = (text: string, how: SendAs) => Promise<unknown>;

/** Runs a command that sends something, by `send`; gives rows only when there is something to say. */
export async function messageCommandRows(
  name: MessageCommand,
  text: string,
  client: ChatClient,
  { group }: GroupStatus,
  send: Send,
): Promise<readonly string[]> {
  switch (name) {
    case 'me':
    case 'topic':
      await send(text, { as: name === 'me' ? 'action' : 'topic' });
      return [];
    case 'reply':
      return reply(text, (await messagesOf(client, group)).messages, send);
    case 'edit':
    case 'delete':
      return change(name, text, await messagesOf(client, group), send);
    default:
      return name satisfies never;
  }
}

/** Changes or takes back the own last message; never an earlier one because the last is not out yet. */
async function change(
  name: 'edit' | 'delete',
  text: string,
  { messages, waiting }: Found,
  send: Send,
): Promise<readonly string[]> {
  if (waiting) return [`your last message is not sent yet; when it is, /${name} works on it`];
  const last = messages.findLast(({ own }) => own);
  if (last === undefined) return ['you have sent nothing here that could be changed'];
  const { inReplyTo, action, file } = last;
  if (name === 'edit' && file !== undefined) {
    return ['your last message here is a file, which has no text to change; /delete takes it back'];
  }
  await (name === 'delete'
    ? send('', { replaces: last.messageId, deleted: true })
    : send(text, {
        replaces: last.messageId,
        ...(inReplyTo === undefined ? {} : { inReplyTo }),
        ...(action === undefined ? {} : { as: 'action' }),
      }));
  return [];
}

/** `N TEXT` replies to the N-th last message, `ID TEXT` to the one of that id, and `TEXT` to the last. */
async function reply(typed: string, messages: readonly Sent[], send: Send): Promise<readonly string[]> {
  const [, first = '', rest = ''] = /^(\S+)\s+(.+)$/s.exec(typed) ?? [];
  if (MESSAGE_ID.test(first)) {
    await send(rest, { inReplyTo: first });
    return [];
  }
  const isNumber = /^[1-9]\d{0,2}$/.test(first);
  const [back, body] = isNumber ? [Number(first), rest] : [1, typed];
  const target = messages.at(-back);
  if (target === undefined) return [`there is no message ${back} back here to reply to`];
  await send(body, { inReplyTo: target.messageId });
  return [];
}

interface Found {
  readonly messages: readonly Sent[];
  /** An own message here is not in the log yet. */
  readonly waiting: boolean;
}

/** Messages that others can name, oldest first: neither the news of a change nor what was taken back. */
async function messagesOf(client: ChatClient, group: GroupStatus['group']): Promise<Found> {
  const lines = await client.recent(group, LOOK_BACK_LINES);
  const messages = lines.filter((line): line is Sent => {
    if (line.kind !== 'message' || line.messageId === undefined || line.cursor === undefined) return false;
    return line.replaces === undefined && line.deleted === undefined;
  });
  return {
    messages,
    waiting: lines.some(
      (line) =>
        line.kind === 'message' && line.cursor === undefined && line.replaces === undefined && line.topic === undefined,
    ),
  };
}
