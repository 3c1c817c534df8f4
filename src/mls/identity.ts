import { type AccountId, type DeviceId, isShortId } from '../wire/ids.ts';

/** Who a leaf speaks for: one device of one account at one domain. */
export interface MlsIdentity {
  readonly domain: string;
  readonly account: AccountId;
  readonly device: DeviceId;
}

const DOMAIN_MAX_LENGTH = 253;
const IDENTITY = /^mimi:\/\/([^/]+)\/d\/([^/]+)\/([^/]+)$/;
/** Lower-case DNS labels, and a port for a server that has no name of its own. */
const DOMAIN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*(?::[1-9][0-9]{0,4})?$/;

/**
 * The text of a basic credential: `mimi://DOMAIN/d/ACCOUNT/DEVICE`.
 *
 * @throws RangeError when a part is not in its one valid form.
 */
export function formatIdentity(identity: { domain: string; account: string; device: string }): string {
  const text = `mimi://${identity.domain}/d/${identity.account}/${identity.device}`;
  if (parseIdentity(text) === undefined) throw new RangeError(`not an identity: ${text}`);
  return text;
}

/** Strict: exactly what {@link formatIdentity} gives, so one identity has one spelling; else `undefined`. */
export function parseIdentity(text: string): MlsIdentity | undefined {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  const identity = parse(text);
  if (identity === undefined) return undefined;
  if (parsed.size >= PARSED_MAX) parsed.clear();
  parsed.set(text, identity);
  return identity;
}

/** Valid identities that were asked for lately: every message asks for its sender's, some of them twice. */
const parsed = new Map<string, MlsIdentity>();
const PARSED_MAX = 4_096;

function parse(text: string): MlsIdentity | undefined {
  const [, domain, account, device] = IDENTITY.exec(text) ?? [];
  if (domain === undefined || account === undefined || device === undefined) return undefined;
  if (domain.length > DOMAIN_MAX_LENGTH || !DOMAIN.test(domain)) return undefined;
  if (!isShortId(account) || !isShortId(device)) return undefined;
  return { domain, account: account as AccountId, device: device as DeviceId };
}

/** The account that an identity speaks for; `undefined` when the text is no identity. */
export function accountOf(identity: string): AccountId | undefined {
  return parseIdentity(identity)?.account;
}
