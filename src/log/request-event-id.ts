import { createHash } from 'node:crypto';
import type { ClientId, DeviceId } from '../wire/ids.ts';

/**
 * Id of the event that a request becomes: the same request of the same device always gives the same event, so a retry
 * finds the original answer, after a restart and on another node too.
 *
 * @param part tells apart the events of one request that becomes several (the account of one claim, say)
 * @returns 43 characters of base64url
 */
export function requestEventId(device: DeviceId, requestId: ClientId, part = ''): string {
  return createHash('sha256').update(`mlsd request v1\0${device}\0${requestId}\0${part}`).digest('base64url');
}
