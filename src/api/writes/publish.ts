import type { StoredKeyPackage } from '../../log/events.ts';
import { formatIdentity } from '../../mls/identity.ts';
import { checkKeyPackage } from '../../mls/key-package-check.ts';
import type { ReadModel } from '../../projections/read-model.ts';
import { toBase64Url } from '../../wire/bytes.ts';
import type { AccountId, DeviceId } from '../../wire/ids.ts';
import type { KeyPackageStock, PublishResult } from '../../wire/schemas/key-packages.ts';
import type { ApiDeps } from '../deps.ts';
import type { Written } from './append-request.ts';

export interface Owner {
  readonly account: AccountId;
  readonly device: DeviceId;
  readonly signatureKeys: readonly Uint8Array[];
}

/** Packages of one request, sorted into those to store and those refused, by their index. */
export interface SortedPackages {
  readonly stored: readonly StoredKeyPackage[];
  readonly refused: readonly { readonly index: number; readonly reason: string }[];
  /** Reference of each package that could be read, by index. */
  readonly refs: ReadonlyMap<number, Uint8Array>;
}

/** Checks each package on its own: a bad one is refused with its reason and does not keep the others out (D9). */
export async function sortPackages(
  { deps, now }: { readonly deps: Pick<ApiDeps, 'domain' | 'limits' | 'readModel' | 'suite'>; readonly now: number },
  packages: readonly Uint8Array[],
  { owner, stock }: { readonly owner: Owner; readonly stock: KeyPackageStock },
): Promise<SortedPackages> {
  const { account, device, signatureKeys } = owner;
  const checks = await Promise.all(
    packages.map((bytes) =>
      checkKeyPackage(deps.suite, bytes, {
        now,
        expectedIdentity: formatIdentity({ domain: deps.domain, account, device }),
        allowedSignatureKeys: signatureKeys,
        maxLifetimeMs: deps.limits.keyPackageMaxLifetimeMs,
      }),
    ),
  );
  const stored: StoredKeyPackage[] = [];
  const refused: { index: number; reason: string }[] = [];
  const refs = new Map<number, Uint8Array>();
  const seen = new Set<string>();
  let room = deps.limits.keyPackagesPerDevice - stock.available;
  let lastResorts = 0;
  for (const [index, check] of checks.entries()) {
    const refuse = (reason: string): void => void refused.push({ index, reason });
    if (check.kind === 'refused') {
      refuse(check.reason);
      continue;
    }
    const ref = toBase64Url(check.ref);
    refs.set(index, check.ref);
    if (seen.has(ref) || deps.readModel.hasKeyPackage(check.ref)) refuse('already-published');
    else if (check.lastResort && lastResorts > 0) refuse('second-last-resort');
    else if (!check.lastResort && room <= 0) refuse('stock-full');
    else {
      seen.add(ref);
      if (check.lastResort) lastResorts += 1;
      else room -= 1;
      const { lastResort, notAfter } = check;
      stored.push({ ref: check.ref, keyPackage: packages[index]!, lastResort, notAfter });
    }
  }
  return { stored, refused, refs };
}

/**
 * The answer to a publication. Where `written` repeats an earlier request, what that one stored counts, however the
 * packages would be judged now.
 */
export function publishResult(
  readModel: ReadModel,
  device: DeviceId,
  packages: SortedPackages,
  written: Written<unknown>,
): PublishResult {
  const stock = readModel.stock(device);
  const result = written.kind === 'written' && written.repeated ? written.outcome.result : undefined;
  if (result?.kind !== 'done' || result.refs === undefined) {
    return { stored: packages.stored.length, refused: [...packages.refused], stock };
  }
  const stored = new Set(result.refs.map(toBase64Url));
  const isStored = (index: number): boolean => {
    const ref = packages.refs.get(index);
    return ref !== undefined && stored.has(toBase64Url(ref));
  };
  return { stored: stored.size, refused: packages.refused.filter(({ index }) => !isStored(index)), stock };
}
