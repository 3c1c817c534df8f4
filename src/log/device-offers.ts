import type { AccountId } from '../wire/ids.ts';
import type { DeviceOfferId } from '../wire/link-code.ts';
import type { LogConnection } from './connection.ts';
import { openSideStream } from './side-stream.ts';

/**
 * Offers of new devices on their way to a device of their account: public data, for some minutes. Beside the log, because
 * nothing follows from them until a statement takes one up; the same for every node, because the two devices may ask
 * different ones.
 */
export interface OfferStore {
  /** Again the same: its time begins anew. @throws LogError `storage-full`, `unavailable`, `rejected` */
  put(account: AccountId, id: DeviceOfferId, offer: Uint8Array): Promise<void>;
  /** `undefined` when none of this account is there, or no longer. @throws LogError `unavailable`, `rejected` */
  get(account: AccountId, id: DeviceOfferId): Promise<Uint8Array | undefined>;
  /** All that wait for a device of the account. @throws LogError `unavailable`, `rejected` */
  waitingFor(account: AccountId): Promise<readonly DeviceOfferId[]>;
}

export interface OfferStoreOptions {
  /** How long an offer is kept, ms. */
  readonly retentionMs: number;
  /** Used when the stream is made. */
  readonly replicas: number;
}

const SUBJECT_ROOT = 'mlsoffers';
/** Offers at a time, of all who ask: some 10 MB. More are refused until older ones are forgotten, and none is pushed out. */
const OFFERS_MAX = 10_000;

/**
 * Finds the stream, or makes it.
 *
 * @throws LogError `unavailable`, `rejected`
 */
export async function openOfferStore(connection: LogConnection, options: OfferStoreOptions): Promise<OfferStore> {
  const stream = await openSideStream(connection, {
    ...options,
    name: 'MLS_OFFERS',
    description: 'offers of new devices of mlsd',
    root: SUBJECT_ROOT,
    maxMessages: OFFERS_MAX,
  });
  const subjectOf = (account: AccountId, id: DeviceOfferId | '*'): string => [SUBJECT_ROOT, account, id].join('.');
  return {
    put: (account, id, offer) => stream.put(subjectOf(account, id), offer),
    get: (account, id) => stream.get(subjectOf(account, id)),
    async waitingFor(account) {
      const subjects = await stream.subjects(subjectOf(account, '*'));
      return subjects.map((subject) => subject.slice(subject.lastIndexOf('.') + 1) as DeviceOfferId);
    },
  };
}
