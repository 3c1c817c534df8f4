import type { HistoryLine } from '../chat-client.ts';
import { neutralise, neutraliseRows } from './neutralise.ts';

type MessageLine = Extract<HistoryLine, { kind: 'message' }>;

/** What stands for the sender: `<bob>` says something, `* bob` does something. */
export function speaker(name: string, line: HistoryLine): string {
  return line.kind === 'message' && line.action === true ? `* ${neutralise(name)}` : `<${neutralise(name)}>`;
}

/** The rows of a message: its text, with marks for what it replies to and what became of it. */
export function messageRows(line: MessageLine): string[] {
  const { text, file, position, replaces, deleted, edited } = line;
  if (deleted === true) return [replaces === undefined ? '[taken back]' : '[took back a message]'];
  if (file !== undefined) {
    // a file that is not placed yet cannot be fetched
    return [position === undefined ? `[${neutralise(text)}]` : `[${neutralise(text)}, /save ${position}]`];
  }
  const [first = '', ...rest] = neutraliseRows(`${text}${edited === true ? ' [edited]' : ''}`);
  const mark = replaces === undefined ? '' : '[edited]';
  return [`${replyMark(line)}${mark}${mark !== '' && first !== '' ? ' ' : ''}${first}`, ...rest];
}

function replyMark({ inReplyTo, quote }: MessageLine): string {
  if (inReplyTo === undefined) return '';
  if (quote === undefined) return '[reply] ';
  const quoted = quote.text === '' ? '' : `: ${neutralise(quote.text)}`;
  return `[re ${neutralise(quote.name)}${quoted}] `;
}
