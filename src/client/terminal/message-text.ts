import type { HistoryLine } from '../chat-client.ts';
import { neutralise, neutraliseRows } from './neutralise.ts';

type MessageLine = Extract<HistoryLine, { kind: 'message' }>;

/** What stands for the sender: `<bob>` says something, `* bob` does something. */
export function speaker(name: string, line: HistoryLine): string {
  return line.kind === 'message' && line.action === true ? `* ${neutralise(name)}` : `<${neutralise(name)}>`;
}

/** What tells that somebody said what the group is about, or that it is about nothing in particular any more. */
export function topicText(topic: string): string {
  return topic === '' ? '[removed the topic]' : `[set the topic: ${neutralise(topic)}]`;
}

/** The rows of a message: its text, with marks for what it replies to and what became of it. */
export function messageRows(line: MessageLine): string[] {
  const { text, file, position, replaces, deleted, edited, topic } = line;
  if (topic === true) return [topicText(text)];
  if (deleted === true) return [replaces === undefined ? '[taken back]' : '[took back a message]'];
  // what it said was taken back since, or was said otherwise again
  if (replaces !== undefined && text === '') return ['[edited a message]'];
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
