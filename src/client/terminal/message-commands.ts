import type { ChatClient, GroupStatus, HistoryLine, SendAs } from '../chat-client.ts';

export type MessageCommand = 'reply' | 'edit' | 'delete' | 'me' | 'topic';

type Sent = Extract<HistoryLine, { kind: 'message' }> & { readonly messageId: string };

/** How a message id is written: 32 bytes in base64url, as `--json` has them. */
const MESSAGE_ID = /^[A-Za-z0-9_-]{43}$/;
/** Lines that `/reply`, `/edit` and `/delete` look back at. */
const LOOK_BACK_LINES = 500;

/** Runs a command that sends something; gives rows only when there is something to say. */
export async function messageCommandRows(
  name: MessageCommand,
  text: string,
  client: ChatClient,
  { group }: GroupStatus,
): Promise<readonly string[]> {
  const send = async (body: string, how: SendAs): Promise<readonly string[]> => {
    await client.send(group, body, how);
    return [];
  };
  switch (name) {
    case 'me':
      return send(text, { as: 'action' });
    case 'topic':
      return send(text, { as: 'topic' });
    case 'reply':
      return reply(text, await messagesOf(client, group), send);
    case 'edit':
    case 'delete': {
      const last = (await messagesOf(client, group)).findLast(({ own }) => own);
      if (last === undefined) return ['you have sent nothing here that could be changed'];
      const { inReplyTo, action } = last;
      if (name === 'delete') return send('', { replaces: last.messageId, deleted: true });
      return send(text, {
        replaces: last.messageId,
        ...(inReplyTo === undefined ? {} : { inReplyTo }),
        ...(action === undefined ? {} : { as: 'action' }),
      });
    }
    default:
      return name satisfies never;
  }
}

/** `N TEXT` replies to the N-th last message, `ID TEXT` to the one of that id, and `TEXT` to the last. */
async function reply(
  typed: string,
  messages: readonly Sent[],
  send: (body: string, how: SendAs) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const [, first = '', rest = ''] = /^(\S+)\s+(.+)$/s.exec(typed) ?? [];
  if (MESSAGE_ID.test(first)) return send(rest, { inReplyTo: first });
  const isNumber = /^[1-9]\d{0,2}$/.test(first);
  const [back, body] = isNumber ? [Number(first), rest] : [1, typed];
  const target = messages.at(-back);
  if (target === undefined) return [`there is no message ${back} back here to reply to`];
  return send(body, { inReplyTo: target.messageId });
}

/** Messages that others can name, oldest first: neither the news of a change nor what was taken back. */
async function messagesOf(client: ChatClient, group: GroupStatus['group']): Promise<readonly Sent[]> {
  const lines = await client.recent(group, LOOK_BACK_LINES);
  return lines.filter((line): line is Sent => {
    if (line.kind !== 'message' || line.messageId === undefined || line.cursor === undefined) return false;
    return line.replaces === undefined && line.deleted === undefined;
  });
}
