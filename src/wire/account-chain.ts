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
  /** `add-device`: the new device's consent to be of this account, over {@link offerToSign}. */
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
/** In the life of an account, revoked ones included. */
export const DEVICES_MAX = 32;
/** A chain with this many statements takes no rename any more: only what devices need, which is bounded by their number. */
export const RENAMES_UNTIL_LENGTH = 512;
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

/**
 * What a new device signs to agree to its addition: the account it is to belong to and all that is said of it, so
 * that nobody can put it into another account or under another label.
 */
export function offerToSign(account: AccountId, device: RegistrationStatement['device']): Uint8Array {
  return concatBytes(OFFER_CONTEXT, encodeCbor({ v: 1, account, device }));
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
  const followed =
    chain === undefined
      ? beginChain(signed.statement, crypto.sha256)
      : followChain(chain, signed.statement, crypto.sha256);
  if (!followed.ok) return followed;
  for (const { by, message, signature, reason } of signaturesOf(chain, signed)) {
    if (signature === undefined || !(await crypto.verify(by, message, signature))) return bad(reason);
  }
  return followed;
}

/** The chain that a registration begins, by its rules alone: for a reducer, whose signatures were verified before. */
export function beginChain(statement: Uint8Array, sha256: Sha256): ChainStep {
  const parsed = parseRegistration(statement);
  if (!parsed.ok) return parsed;
  const { domain, name, device, recoveryKey } = parsed.statement;
  return {
    ok: true,
    chain: {
      id: accountIdOf(statement, sha256),
      domain,
      name,
      devices: [{ id: deviceIdOf(device.key, sha256), ...device, revoked: false }],
      ...(recoveryKey === undefined ? {} : { recoveryKey }),
      head: sha256(statement),
      length: 1,
    },
  };
}

/** The chain after a later statement, by its rules alone: for a reducer, whose signatures were verified before. */
export function followChain(chain: AccountChain, bytes: Uint8Array, sha256: Sha256): ChainStep {
  const parsed = parseLaterStatement(bytes);
  if (!parsed.ok) return parsed;
  const { statement } = parsed;
  if (statement.account !== chain.id) return bad('it is about another account');
  if (!equalBytes(statement.previous, chain.head)) return bad('it does not follow the statement before');
  if (signerOf(chain, statement.by) === undefined) return bad('it is signed by no valid device of the account');
  const next = { ...chain, head: sha256(bytes), length: chain.length + 1 };
  switch (statement.type) {
    case 'rename':
      if (statement.by === 'recovery') return bad('a recovery key only adds and revokes devices');
      if (chain.length >= RENAMES_UNTIL_LENGTH) return bad('the account was renamed too often');
      return { ok: true, chain: { ...next, name: statement.name } };
    case 'add-device': {
      const id = deviceIdOf(statement.device.key, sha256);
      if (chain.devices.some((device) => device.id === id)) return bad('the device was added before');
      if (chain.devices.length >= DEVICES_MAX) return bad(`an account has at most ${DEVICES_MAX} devices in its life`);
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

interface NeededSignature {
  readonly by: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array | undefined;
  readonly reason: string;
}

/** Whose signatures a statement needs that the rules let pass. */
function signaturesOf(chain: AccountChain | undefined, signed: SignedStatement): readonly NeededSignature[] {
  const message = statementToSign(signed.statement);
  const { signature } = signed;
  if (chain === undefined) {
    const parsed = parseRegistration(signed.statement);
    if (!parsed.ok) return [];
    return [{ by: parsed.statement.device.key, message, signature, reason: 'the signature is not by the device key' }];
  }
  const parsed = parseLaterStatement(signed.statement);
  const by = parsed.ok ? signerOf(chain, parsed.statement.by) : undefined;
  if (!parsed.ok || by === undefined) return [];
  const needed: NeededSignature[] = [{ by, message, signature, reason: 'the signature does not verify' }];
  if (parsed.statement.type === 'add-device') {
    const { device } = parsed.statement;
    needed.push({
      by: device.key,
      message: offerToSign(chain.id, device),
      signature: signed.countersignature,
      reason: 'the new device has not countersigned',
    });
  }
  return needed;
}

function signerOf(chain: AccountChain, by: DeviceId | 'recovery'): Uint8Array | undefined {
  return by === 'recovery' ? chain.recoveryKey : activeDevice(chain, by)?.key;
}

function activeDevice(chain: AccountChain, id: DeviceId): ChainDevice | undefined {
  return chain.devices.find((device) => device.id === id && !device.revoked);
}

function bad(reason: string): { ok: false; reason: string } {
  return { ok: false, reason };
}
