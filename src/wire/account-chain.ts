import { z } from 'zod';
import {
  parseRegistration,
  type RegistrationStatement,
  statementDevice,
  statementName,
  statementToSign,
} from './account-statement.ts';
import { concatBytes, equalBytes, toUtf8 } from './bytes.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { type AccountId, accountIdOf, type DeviceId, deviceIdOf, type Sha256 } from './ids.ts';
import { accountIdSchema, deviceIdSchema } from './schemas/common.ts';

/**
 * An account is the chain of its signed statements: the first registers it, each later one names the hash of the one
 * before and is signed by a device that the chain itself has made valid. Whoever folds the chain from its beginning
 * needs no trust in the server that served it: a swapped key or a ghost device has no valid place in it.
 */
export interface SignedStatement {
  readonly statement: Uint8Array;
  /** Ed25519 by the device (or recovery key) that `by` names, over {@link statementToSign}. */
  readonly signature: Uint8Array;
  /** `add-device`: the new device's consent, over {@link offerToSign}. */
  readonly countersignature?: Uint8Array;
}

interface Chained {
  readonly v: 1;
  readonly account: AccountId;
  /** SHA-256 of the statement before. */
  readonly previous: Uint8Array;
  /** The device that signs, or the account's recovery key. */
  readonly by: DeviceId | 'recovery';
  /** Client time, milliseconds since 1970. */
  readonly time: number;
}

export type AccountStatement =
  | RegistrationStatement
  | (Chained & { readonly type: 'rename'; readonly name: string })
  | (Chained & { readonly type: 'add-device'; readonly device: RegistrationStatement['device'] })
  | (Chained & { readonly type: 'revoke-device'; readonly device: DeviceId });

export interface ChainDevice {
  readonly id: DeviceId;
  readonly key: Uint8Array;
  readonly label: string;
  readonly signatureKeys: readonly Uint8Array[];
  readonly revoked: boolean;
}

/** What a chain comes to. */
export interface AccountChain {
  readonly id: AccountId;
  readonly domain: string;
  readonly name: string;
  readonly devices: readonly ChainDevice[];
  readonly recoveryKey?: Uint8Array;
  /** SHA-256 of the last statement: what the next one must name. */
  readonly head: Uint8Array;
  readonly length: number;
}

export interface ChainCrypto {
  readonly sha256: Sha256;
  /** Ed25519; false for a bad signature or key, never throws. */
  readonly verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean | Promise<boolean>;
}

export type ChainStep = { ok: true; chain: AccountChain } | { ok: false; reason: string };

const OFFER_CONTEXT = toUtf8('mlsd device offer v1\0');
export const DEVICES_MAX = 32;
const HASH_BYTES = 32;

const chained = {
  v: z.literal(1),
  account: accountIdSchema,
  previous: z.instanceof(Uint8Array).refine((bytes) => bytes.length === HASH_BYTES, 'a hash has 32 bytes'),
  by: z.union([z.literal('recovery'), deviceIdSchema]),
  time: z.int().nonnegative(),
};
const laterStatement = z.discriminatedUnion('type', [
  z.strictObject({ ...chained, type: z.literal('rename'), name: statementName }),
  z.strictObject({ ...chained, type: z.literal('add-device'), device: statementDevice }),
  z.strictObject({ ...chained, type: z.literal('revoke-device'), device: deviceIdSchema }),
]);
export type LaterStatement = z.infer<typeof laterStatement>;

export function encodeStatement(statement: AccountStatement): Uint8Array {
  return encodeCbor(statement);
}

/** What a new device signs to agree to its addition. */
export function offerToSign(statement: Uint8Array): Uint8Array {
  return concatBytes(OFFER_CONTEXT, statement);
}

/** Parses a statement that is not the first; strict. */
export function parseLaterStatement(
  bytes: Uint8Array,
): { ok: true; statement: LaterStatement } | { ok: false; reason: string } {
  let value: unknown;
  try {
    value = decodeCbor(bytes);
  } catch {
    return { ok: false, reason: 'the statement is not well-formed CBOR' };
  }
  const parsed = laterStatement.safeParse(value);
  return parsed.success ? { ok: true, statement: parsed.data } : { ok: false, reason: z.prettifyError(parsed.error) };
}

/** Folds a whole chain from its registration on. */
export async function foldAccountChain(
  statements: readonly SignedStatement[],
  crypto: ChainCrypto,
): Promise<ChainStep> {
  let chain: AccountChain | undefined;
  for (const [index, signed] of statements.entries()) {
    const step = await applyStatement(chain, signed, crypto);
    if (!step.ok) return { ok: false, reason: `statement ${index + 1}: ${step.reason}` };
    chain = step.chain;
  }
  return chain === undefined ? { ok: false, reason: 'the chain is empty' } : { ok: true, chain };
}

/** Adds one statement to a chain (`undefined`: to none yet). The chain handed in is never changed. */
export async function applyStatement(
  chain: AccountChain | undefined,
  signed: SignedStatement,
  crypto: ChainCrypto,
): Promise<ChainStep> {
  return chain === undefined ? register(signed, crypto) : extend(chain, signed, crypto);
}

async function register(signed: SignedStatement, crypto: ChainCrypto): Promise<ChainStep> {
  const parsed = parseRegistration(signed.statement);
  if (!parsed.ok) return parsed;
  const { domain, name, device, recoveryKey } = parsed.statement;
  if (!(await crypto.verify(device.key, statementToSign(signed.statement), signed.signature)))
    return bad('the signature is not by the device key');
  const first = { id: deviceIdOf(device.key, crypto.sha256), ...device, revoked: false };
  return {
    ok: true,
    chain: {
      id: accountIdOf(signed.statement, crypto.sha256),
      domain,
      name,
      devices: [first],
      ...(recoveryKey === undefined ? {} : { recoveryKey }),
      head: crypto.sha256(signed.statement),
      length: 1,
    },
  };
}

async function extend(chain: AccountChain, signed: SignedStatement, crypto: ChainCrypto): Promise<ChainStep> {
  const parsed = parseLaterStatement(signed.statement);
  if (!parsed.ok) return parsed;
  const { statement } = parsed;
  if (statement.account !== chain.id) return bad('it is about another account');
  if (!equalBytes(statement.previous, chain.head)) return bad('it does not follow the statement before');
  const signer = statement.by === 'recovery' ? chain.recoveryKey : activeDevice(chain, statement.by)?.key;
  if (signer === undefined) return bad('it is signed by no valid device of the account');
  if (!(await crypto.verify(signer, statementToSign(signed.statement), signed.signature)))
    return bad('the signature does not verify');
  const next = { ...chain, head: crypto.sha256(signed.statement), length: chain.length + 1 };
  switch (statement.type) {
    case 'rename':
      if (statement.by === 'recovery') return bad('a recovery key only adds and revokes devices');
      return { ok: true, chain: { ...next, name: statement.name } };
    case 'add-device': {
      const id = deviceIdOf(statement.device.key, crypto.sha256);
      if (chain.devices.some((device) => device.id === id)) return bad('the device was added before');
      if (chain.devices.length >= DEVICES_MAX) return bad(`an account has at most ${DEVICES_MAX} devices in its life`);
      const consent = signed.countersignature;
      if (
        consent === undefined ||
        !(await crypto.verify(statement.device.key, offerToSign(signed.statement), consent))
      ) {
        return bad('the new device has not countersigned');
      }
      return { ok: true, chain: { ...next, devices: [...chain.devices, { id, ...statement.device, revoked: false }] } };
    }
    case 'revoke-device': {
      if (activeDevice(chain, statement.device) === undefined) return bad('there is no such valid device');
      if (chain.devices.filter((device) => !device.revoked).length === 1)
        return bad('the last device cannot be revoked');
      const devices = chain.devices.map((device) =>
        device.id === statement.device ? { ...device, revoked: true } : device,
      );
      return { ok: true, chain: { ...next, devices } };
    }
  }
}

function activeDevice(chain: AccountChain, id: DeviceId): ChainDevice | undefined {
  return chain.devices.find((device) => device.id === id && !device.revoked);
}

function bad(reason: string): ChainStep {
  return { ok: false, reason };
}
