import { offerToSign, parseLaterStatement } from '../../wire/account-chain.ts';
import { parseRegistration, statementToSign } from '../../wire/account-statement.ts';
import { decodeDeviceOffer } from '../../wire/device-offer.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { AddDeviceRequest, RegisterRequest } from '../../wire/schemas/accounts.ts';
import type { DeviceOfferBody } from '../../wire/schemas/device-offers.ts';
import type { OfferingDevice, RecoveringDevice, Registrant, Route } from '../route.ts';

/** The key that a device which nobody knows yet says is its own, what it says with it, and what it has signed itself. */
interface Newcomer {
  readonly key: Uint8Array;
  readonly says: Omit<Registrant | RecoveringDevice | OfferingDevice, 'device'>;
  readonly signed?: { readonly message: Uint8Array; readonly signature: Uint8Array };
}

/**
 * What the body of a request by such a device says; whether it is true is for the signatures to tell.
 *
 * @throws ProblemError `invalid-request` when the body holds no statement or offer of the kind that the route takes
 */
export function newcomerOf({ auth }: Route, body: unknown): Newcomer {
  if (auth === 'offer') {
    const offer = decodeDeviceOffer((body as DeviceOfferBody).offer);
    if (offer === undefined) throw new ProblemError('invalid-request', 'this is no offer of a device');
    const { account, device, countersignature: signature } = offer;
    return { key: device.key, says: { offer }, signed: { message: offerToSign(account, device), signature } };
  }
  if (auth === 'recovery') {
    const statement = addedBy((body as AddDeviceRequest).statement);
    return { key: statement.device.key, says: { statement } };
  }
  const { statement: bytes, signature } = body as RegisterRequest;
  const statement = registeredBy(bytes);
  return {
    key: statement.device.key,
    says: { statement },
    signed: { message: statementToSign(bytes), signature },
  };
}

function registeredBy(bytes: Uint8Array): Registrant['statement'] {
  const parsed = parseRegistration(bytes);
  if (!parsed.ok) throw new ProblemError('invalid-request', parsed.reason);
  return parsed.statement;
}

function addedBy(bytes: Uint8Array): RecoveringDevice['statement'] {
  const parsed = parseLaterStatement(bytes);
  if (!parsed.ok) throw new ProblemError('invalid-request', parsed.reason);
  if (parsed.statement.type !== 'add-device') {
    throw new ProblemError('invalid-request', 'the statement adds no device');
  }
  return parsed.statement;
}
