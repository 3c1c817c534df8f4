import type { AccountChanged } from '../../log/events.ts';
import type { AccountChain } from '../../wire/account-chain.ts';
import type { AccountChange } from '../../wire/entry.ts';
import type { Draft } from './draft.ts';
import { frameEntry } from './entry-row.ts';
import type { GroupState } from './group-state.ts';
import { inboxKey } from './keys.ts';
import { type Place, placeEntry, placeOf } from './place.ts';
import { groups } from './rows.ts';

/**
 * Everybody concerned sees the change (S5): one entry in each group that a device of the account is a member of, at one
 * place for all its members, and one in the inbox of each of the account's devices. So it costs as many entries as the
 * account has groups and devices, however many people are in those groups; the statement is in the entry, so that nobody has
 * to ask for it.
 */
export function tellAccountChange(draft: Draft, event: AccountChanged, chain: AccountChain, place: Place): void {
  const { statement, signature, countersignature } = event;
  const payload: AccountChange = {
    account: chain.id,
    statement,
    signature,
    ...(countersignature === undefined ? {} : { countersignature }),
  };
  for (const state of groupsOf(draft, chain)) {
    placeEntry(draft, state, place, (position) => ({
      kind: 'account',
      ...placeOf({ ...event, group: state.id }, position),
      payload,
    }));
  }
  const framed = frameEntry({ kind: 'account', time: event.time, payload });
  for (const { id, revoked } of chain.devices) {
    if (revoked) continue;
    draft.append(inboxKey(draft.deviceNo(id), place.sequence, place.index), framed);
    draft.touchedDevices.add(id);
    place.index += 1;
  }
}

/** The groups that a device of the account, revoked or not, is a member of now, in the order of their creation. */
function groupsOf(draft: Draft, chain: AccountChain): readonly GroupState[] {
  const found = new Map<number, GroupState>();
  for (const { id } of chain.devices) {
    for (const number of draft.openGroups(draft.deviceNo(id))) {
      const head = draft.head(number);
      const state = head === undefined ? undefined : draft.get(groups, head.group);
      if (state !== undefined) found.set(number, state);
    }
  }
  return [...found].sort(([a], [b]) => a - b).map(([, state]) => state);
}
