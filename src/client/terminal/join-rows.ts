import type { JoinOutcome } from '../chat-client.ts';
import { neutralise } from './neutralise.ts';

type NotJoined = Exclude<JoinOutcome, { kind: 'member' | 'joined' }>;

/** What becomes of an invitation that comes later. `ended`: nobody is here any more then. */
type Awaiting = 'opens' | 'announced' | 'ended';

/** Why a group was not joined, and what to do. */
export function joinRows(wanted: string, outcome: NotJoined, then: Awaiting = 'announced'): readonly string[] {
  const group = `#${neutralise(wanted)}`;
  switch (outcome.kind) {
    case 'no-such-group':
      return [`there is no group ${group}; /create ${neutralise(wanted)} makes it`];
    case 'not-invited':
      return notInvitedRows(wanted, outcome.administrators, then);
    case 'refused':
      return [`not joined: ${neutralise(outcome.reason)}`];
    default:
      return outcome satisfies never;
  }
}

/**
 * What somebody is told who wants into a group that is closed to them.
 *
 * @param then what happens when an invitation comes: the group that a chat was started for opens, others are announced
 */
export function notInvitedRows(wanted: string, administrators: readonly string[], then: Awaiting): string[] {
  const group = `#${neutralise(wanted)}`;
  const names = administrators.length > 0 ? administrators.map(neutralise).join(', ') : 'one of its administrators';
  return [
    `The group ${group} exists already, and there is no invitation for you.`,
    `Ask to be invited: ${names}.${NEXT[then]}`,
  ];
}

const NEXT: Readonly<Record<Awaiting, string>> = {
  opens: ' It opens here when the invitation comes.',
  announced: ' The invitation is announced here.',
  ended: '',
};
