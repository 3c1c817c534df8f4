import type { Suite } from '../../mls/suite.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { Sha256 } from '../../wire/ids.ts';
import { decodeReceipt, openSignature, type Receipt, type SignedReceipt } from '../../wire/receipt.ts';
import type { CheckedReceipt } from '../engine/witness.ts';
import type { ClientStore } from '../store/client-store.ts';
import { loadServerKey, pinServerKey } from '../store/receipt-rows.ts';
import type { ServerApi } from '../transport/server-api.ts';

/** What an answer says that its receipt has to say as well. */
export interface AnsweredPlace {
  readonly group: Uint8Array;
  readonly position: number;
  /** Where the answer has it. */
  readonly head?: Uint8Array;
  /** Of the entry that was asked for. */
  readonly id?: string;
}

export interface ReceiptBook {
  /**
   * Verifies a receipt with the server's key: the one that was pinned at the registration, or, in a folder from before there
   * were pins, the first one that is seen.
   *
   * @throws what asking the server for its key throws
   */
  check(signed: SignedReceipt | undefined, place: AnsweredPlace): Promise<CheckedReceipt>;
}

export function createReceiptBook(world: {
  readonly store: ClientStore;
  readonly api: Pick<ServerApi, 'serverInfo'>;
  readonly suite: Suite;
  readonly sha256: Sha256;
  readonly domain: string;
}): ReceiptBook {
  const { store, api, domain } = world;
  let serverKey: Uint8Array | undefined;
  const keyOf = async (): Promise<Uint8Array> => {
    serverKey ??= (await loadServerKey(store)) ?? (await pinServerKey(store, (await api.serverInfo()).serverKey));
    return serverKey;
  };
  return {
    check: async (signed, place) => {
      const unproven = (reason: string): CheckedReceipt => ({ kind: 'unproven', position: place.position, reason });
      if (signed === undefined) return unproven('there is none');
      const reason = await flawOf(world, await keyOf(), signed);
      if (reason !== undefined) return unproven(reason);
      const said = receiptIn(signed.receipt);
      if (said === undefined || !isAbout(said, place, domain)) return unproven('it is about something else');
      const { receipt, signature } = signed;
      const { position, head } = said;
      return { kind: 'good', position, head, receipt, signature, ...(place.id === undefined ? {} : { id: place.id }) };
    },
  };
}

/** What is wrong with the signature of a receipt; `undefined` when nothing is. */
export async function flawOf(
  { suite, sha256 }: { readonly suite: Suite; readonly sha256: Sha256 },
  key: Uint8Array,
  signed: SignedReceipt,
): Promise<string | undefined> {
  try {
    const opened = openSignature(signed, sha256);
    if (opened === undefined) return 'its signature has no form that is known';
    const valid = await suite.signature.verify(key, opened.message, opened.signature);
    return valid ? undefined : 'it is not signed by the key that the server had when this device met it';
  } catch {
    return 'its signature, or the key that the server gave for it, is none'; // a library throws over what is no key, or no bytes
  }
}

function receiptIn(bytes: Uint8Array): Receipt | undefined {
  let value: unknown;
  try {
    value = decodeReceipt(bytes);
  } catch {
    return undefined; // a server can sign anything
  }
  const { domain, group, position, head, time } = Object(value) as Partial<Record<keyof Receipt, unknown>>;
  const isReceipt =
    typeof domain === 'string' &&
    group instanceof Uint8Array &&
    Number.isSafeInteger(position) &&
    head instanceof Uint8Array &&
    typeof time === 'number';
  return isReceipt ? (value as Receipt) : undefined;
}

function isAbout(said: Receipt, place: AnsweredPlace, domain: string): boolean {
  return (
    said.domain === domain &&
    equalBytes(said.group, place.group) &&
    said.position === place.position &&
    (place.head === undefined || equalBytes(said.head, place.head))
  );
}
