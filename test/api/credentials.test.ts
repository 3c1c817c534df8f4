import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { creationRules } from '../../src/api/writes/commit-rules.ts';
import { chainOf, checkAccount } from '../../src/client/engine/account-check.ts';
import { createDirectory } from '../../src/client/engine/directory.ts';
import type { LogEvent } from '../../src/log/events.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import { parseLaterStatement } from '../../src/wire/account-chain.ts';
import { fromBase64Url } from '../../src/wire/bytes.ts';
import type { AccountId, ClientId } from '../../src/wire/ids.ts';
import { folded } from '../projections/open.ts';

interface Vectors {
  readonly domain: string;
  readonly accounts: readonly {
    readonly id: AccountId;
    readonly name: string;
    readonly statements: readonly Readonly<Record<'statement' | 'signature' | 'countersignature', string>>[];
  }[];
  readonly credentials: readonly {
    readonly what: string;
    readonly identity: string;
    readonly signatureKey: string;
    readonly verdict: string;
  }[];
}

const vectors = JSON.parse(readFileSync(new URL('../fixtures/credentials.json', import.meta.url), 'utf8')) as Vectors;
const suite = createNodeSuite();
const accounts = vectors.accounts.map(({ id, name, statements }) => ({
  id,
  name,
  devices: [],
  statements: statements.map(({ statement, signature, countersignature }) => ({
    statement: fromBase64Url(statement)!,
    signature: fromBase64Url(signature)!,
    ...(countersignature === undefined ? {} : { countersignature: fromBase64Url(countersignature)! }),
  })),
}));

/** The accounts as events of a log. */
function events(): LogEvent[] {
  return accounts.flatMap(({ id, statements }) => {
    const chain = chainOf(statements, nodeSha256)!;
    const [first] = chain.devices;
    return statements.map((signed, index): LogEvent => {
      const base = {
        v: 1,
        id: `${id}-${index}`,
        time: 1,
        account: id,
        device: first!.id,
        requestId: `request-${index}-00000000` as ClientId,
        requestDigest: new Uint8Array(32),
        keyPackages: [],
        ...signed,
      } as const;
      const parsed = parseLaterStatement(signed.statement);
      if (!parsed.ok) return { ...base, type: 'account-registered', name: id === accounts[0]!.id ? 'alice' : 'bob' };
      const { statement } = parsed;
      const name = statement.type === 'rename' ? { name: statement.name } : {};
      return { ...base, type: 'account-changed', owner: id, ...name };
    });
  });
}

test('S4: server and client come to one verdict on every credential: keys, devices, accounts, domain, revocation', async () => {
  const { read: readModel } = await folded(events());
  const caller = readModel.device(chainOf(accounts[0]!.statements, nodeSha256)!.devices[0]!.id)!;
  const deps = { domain: vectors.domain, suite, limits: { groupMaxMembers: 1 } };
  const server = creationRules({ deps, readModel, caller, now: 1 });
  const directory = createDirectory(vectors.domain);
  const verify = (key: Uint8Array, message: Uint8Array, signature: Uint8Array) =>
    suite.signature.verify(key, message, signature);
  for (const served of accounts) {
    const check = await checkAccount(served, undefined, vectors.domain, { sha256: nodeSha256, verify });
    expect(check).toMatchObject({ ok: true });
    if (check.ok) directory.put(check.account);
  }
  const verdicts = vectors.credentials.map(({ what, identity, signatureKey }) => {
    const key = fromBase64Url(signatureKey)!;
    const isReadable = directory.validate(identity, key);
    const isRevoked = isReadable && directory.isRevoked(identity);
    return { what, server: server.isSignatureKeyOf(identity, key), client: isReadable && !isRevoked, isRevoked };
  });
  expect(verdicts).toEqual(
    vectors.credentials.map(({ what, verdict }) => ({
      what,
      server: verdict === 'valid',
      client: verdict === 'valid',
      isRevoked: verdict === 'revoked',
    })),
  );
});
