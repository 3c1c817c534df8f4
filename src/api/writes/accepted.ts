import { fromBase64Url } from '../../wire/bytes.ts';
import type { GroupId, Position } from '../../wire/ids.ts';
import type { SignedReceipt } from '../../wire/receipt.ts';
import type { Accepted } from '../../wire/schemas/groups.ts';
import type { ApiDeps } from '../deps.ts';
import type { Written } from './append-request.ts';

/** The answer to a request that put an entry into a group's log, with the server's signed promise. */
export async function accepted(deps: Pick<ApiDeps, 'domain' | 'signer'>, result: Written<never>): Promise<Accepted> {
  if (result.kind !== 'written' || result.outcome.result.kind !== 'placed') {
    throw new Error('the event of a group has no place in it');
  }
  const { time, result: place } = result.outcome;
  const { group, position, head, epoch } = place;
  return { position, head, epoch, time, receipt: await receiptFor(deps, { group, position, head, time }) };
}

export function receiptFor(
  deps: Pick<ApiDeps, 'domain' | 'signer'>,
  promise: { readonly group: GroupId; readonly position: Position; readonly head: Uint8Array; readonly time: number },
): Promise<SignedReceipt> {
  const group = fromBase64Url(promise.group);
  if (group === undefined) throw new Error('a group id that is not base64url');
  const { position, head, time } = promise;
  return deps.signer.sign({ v: 1, domain: deps.domain, group, position, head, time });
}
