import type { HistoryLine } from '../../src/client/chat-client.ts';
import type { Shown } from '../../src/client/content/content.ts';
import type { AccountId, DeviceId, GroupId } from '../../src/wire/ids.ts';
import type { Violation } from './violation.ts';

/** A device at which a message was shown. */
interface Hearing {
  readonly device: DeviceId;
  readonly account: AccountId;
  readonly group: GroupId;
  readonly id: string;
  readonly position: number;
  isRead: boolean;
}

type Reader = Pick<Hearing, 'device' | 'account'>;

/** Up to where somebody got and read own messages, as a client keeps it. */
export interface Mark {
  readonly account: AccountId;
  readonly delivered: number;
  readonly read: number;
}

/** Who was shown what, and looked at it: receipts must not say more. */
export interface ReceiptTruth {
  heard(reader: Reader, line: HistoryLine & { readonly kind: 'message' }): void;
  /** Somebody begins to look at a group. @returns what to call when the program has noted it */
  looks(reader: Reader, group: GroupId): () => void;
  /** Somebody's program is about to tell this. */
  told(who: string, reader: Reader, group: GroupId, statuses: NonNullable<Shown['statuses']>): void;
  /** Somebody's program keeps this of others. */
  kept(who: string, group: GroupId, marks: readonly Mark[]): void;
}

export function createReceiptTruth(violate: (violation: Violation) => void): ReceiptTruth {
  const hearings: Hearing[] = [];
  const looking: { readonly device: DeviceId; readonly group: GroupId }[] = [];
  const isRead = (hearing: Hearing): boolean =>
    hearing.isRead || looking.some(({ device, group }) => device === hearing.device && group === hearing.group);
  const wrong = (text: string): void => violate({ rule: 'receipts are of what was shown', text });

  return {
    heard({ device, account }, { group, messageId: id, position }) {
      if (id === undefined || position === undefined) return;
      const isKnown = hearings.some((one) => one.device === device && one.group === group && one.id === id);
      if (!isKnown) hearings.push({ device, account, group, id, position, isRead: false });
    },
    looks({ device }, group) {
      const look = { device, group };
      looking.push(look);
      return () => {
        looking.splice(looking.indexOf(look), 1);
        for (const hearing of hearings) {
          if (hearing.device === device && hearing.group === group) hearing.isRead = true;
        }
      };
    },
    told(who, { device }, group, statuses) {
      for (const { id, is } of statuses) {
        const found = hearings.find((one) => one.device === device && one.group === group && one.id === id);
        if (found === undefined) wrong(`${who} tells in ${group} that a message came, and shows none`);
        else if (is === 'read' && !isRead(found)) wrong(`${who} tells that ${found.position} of ${group} was read`);
      }
    },
    kept(who, group, marks) {
      for (const { account, delivered, read } of marks) {
        const at = (position: number): readonly Hearing[] =>
          hearings.filter((one) => one.account === account && one.group === group && one.position === position);
        if (delivered > 0 && at(delivered).length === 0)
          wrong(`${who} keeps that ${delivered} of ${group} was delivered`);
        if (read > 0 && !at(read).some(isRead)) wrong(`${who} keeps that ${read} of ${group} was read`);
      }
    },
  };
}
