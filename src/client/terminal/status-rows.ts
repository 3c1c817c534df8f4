import type { ChatClient, ChatStatus, Difference, GroupStatus } from '../chat-client.ts';
import { neutralise } from './neutralise.ts';

/** Characters of a head that people compare by eye: 64 bits. */
const HEAD_SHOWN_CHARACTERS = 16;

/** How this client stands: connection, what is unsent, the current group, and whatever speaks against the server in any group. */
export async function statusRows(client: ChatClient, current: GroupStatus | undefined): Promise<readonly string[]> {
  const [status, groups] = await Promise.all([client.status(), client.groups()]);
  const present = groups.find(({ group }) => group === current?.group);
  return [
    connectionText(status),
    `${status.keyPackages} key packages to be invited with`,
    `cursor ${status.cursor}; ${status.unsent === 0 ? 'nothing is unsent' : `${status.unsent} unsent`}`,
    ...(present === undefined ? [] : [placeText(present)]),
    ...groups.flatMap((group) => (group.differences ?? []).map((each) => differenceText(group, each))),
  ];
}

function connectionText({ connection, server }: ChatStatus): string {
  const where = neutralise(server);
  switch (connection.state) {
    case 'online':
      return `connected to ${where}`;
    case 'connecting':
      return `connecting to ${where}`;
    case 'offline':
      return `not connected to ${where}: ${neutralise(connection.reason)}`;
    default:
      return connection satisfies never;
  }
}

function placeText({ name, epoch, position, head, topic }: GroupStatus): string {
  const shown = head === undefined ? '' : `, head ${head.slice(0, HEAD_SHOWN_CHARACTERS)}`;
  return `#${neutralise(name)}: epoch ${epoch}, entry ${position}${shown}${topic === undefined ? '' : `, topic: ${neutralise(topic)}`}`;
}

function differenceText({ name }: GroupStatus, difference: Difference): string {
  const where = `#${neutralise(name)} (entry ${difference.position})`;
  switch (difference.kind) {
    case 'split':
      return `! ${neutralise(difference.with)} and you were shown different histories of ${where}: the server is not to be trusted`;
    case 'receipt':
      return `! the server has signed another history of ${where} than it shows: mlschat audit prints the proof`;
    case 'unproven':
      return `! the server's receipt for ${where} is worth nothing: mlschat audit says why`;
    case 'history':
      return `! the server shows another history of ${where} than it did before`;
    default:
      return difference satisfies never;
  }
}
