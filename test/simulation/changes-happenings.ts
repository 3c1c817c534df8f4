import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { type Happening, up, withMember } from './happening.ts';
import { nextText } from './happenings.ts';
import type { SimulatedClient } from './simulated-client.ts';

/** People change, take back and answer what was said last. */
const LAST = 6;

interface Named {
  readonly messageId: string;
  readonly text: string;
}

/** The last messages that are there and whose person did not take them back. */
function lastOf({ view }: SimulatedClient, group: GroupId, isWanted: (line: HistoryLine) => boolean): readonly Named[] {
  const messages = view.lines.flatMap((line): Named[] => {
    if (line.kind !== 'message' || line.group !== group || line.replaces !== undefined) return [];
    const { messageId, text, deleted } = line;
    return messageId === undefined || deleted === true || !isWanted(line) ? [] : [{ messageId, text }];
  });
  return messages.slice(-LAST);
}

function ownLast(client: SimulatedClient, group: GroupId): readonly Named[] {
  const { account } = client.persona;
  return lastOf(client, group, (line) => line.kind === 'message' && line.sender.account === account);
}

/** What people do with messages that were sent. */
export const CHANGES_HAPPENINGS: readonly Happening[] = [
  {
    // of several people, because who does not tell is told nothing
    weight: 4,
    happen: (scene) => {
      const { chance } = scene;
      for (const client of up(scene)) {
        if (chance.hits(0.2)) continue;
        const isOn = chance.hits(0.85);
        client.do(isOn ? 'wants receipts' : 'wants no receipts', (chat) => chat.setReceipts(isOn));
      }
    },
  },
  {
    weight: 6,
    happen: withMember(({ client, group }, { ledger }) => {
      client.do('reads', (chat) => {
        const noted = ledger.receipts.looks(client.persona, group);
        return chat.markRead(group).finally(noted);
      });
    }),
  },
  {
    weight: 8,
    happen: withMember(({ client, group }, { chance }) => {
      const own = ownLast(client, group);
      if (own.length === 0) return;
      const { messageId: replaces } = chance.pick(own);
      for (let i = 0; i <= chance.below(2); i += 1) client.type(group, nextText(client), { replaces });
    }),
  },
  {
    weight: 3,
    happen: withMember(({ client, group }, { chance }) => {
      const own = ownLast(client, group);
      if (own.length === 0) return;
      client.type(group, '', { replaces: chance.pick(own).messageId, deleted: true });
    }),
  },
  {
    weight: 2,
    happen: withMember(({ client, group }, { chance }) => {
      const others = lastOf(client, group, () => true);
      if (others.length > 0) client.type(group, nextText(client), { inReplyTo: chance.pick(others).messageId });
    }),
  },
];
