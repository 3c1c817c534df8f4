import type { ServerApi } from '../../../src/client/transport/server-api.ts';
import { inspectMessage } from '../../../src/mls/framing.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { encodeCbor } from '../../../src/wire/cbor.ts';
import type { DeviceId } from '../../../src/wire/ids.ts';
import { ProblemError } from '../../../src/wire/problems.ts';
import type { ClaimResult } from '../../../src/wire/schemas/key-packages.ts';
import type { FakeLine } from './line.ts';
import { append, type FakeWorld, type Stock } from './world.ts';

const LOW_STOCK = 10;

export function publish({ stocks }: FakeWorld, device: DeviceId, keyPackages: readonly Uint8Array[]) {
  const stock = stocks.get(device) ?? { oneTime: [] };
  for (const bytes of keyPackages) {
    const seen = inspectMessage(bytes);
    if (seen.kind !== 'key-package') throw new ProblemError('invalid-key-package', 'not a key package');
    const one = { ref: nodeSha256(encodeCbor(bytes)), bytes };
    if (seen.lastResort) stock.lastResort = one;
    else stock.oneTime.push(one);
  }
  stocks.set(device, stock);
  return { stored: keyPackages.length, refused: [], stock: leftIn(stock) };
}

const leftIn = (stock: Stock | undefined) => ({
  available: stock?.oneTime.length ?? 0,
  lastResort: stock?.lastResort !== undefined,
});

/** Takes one package of a device, and tells it when few are left. */
function claim(world: FakeWorld, device: DeviceId) {
  const stock = world.stocks.get(device) ?? { oneTime: [] };
  const taken = stock.oneTime.shift() ?? stock.lastResort;
  const lastResort = taken !== undefined && taken === stock.lastResort;
  if (stock.oneTime.length < LOW_STOCK) {
    const payload = { available: stock.oneTime.length, lastResortUsed: lastResort };
    append(world, [device], { kind: 'key-packages-low', time: world.clock, payload });
  }
  if (taken === undefined) return { device, problem: 'exhausted' as const };
  return { device, keyPackage: taken.bytes as Uint8Array<ArrayBuffer>, lastResort };
}

export function keyPackageCalls(
  world: FakeWorld,
  { act, once }: FakeLine,
  device: DeviceId,
): Pick<ServerApi, 'stock' | 'publishKeyPackages' | 'claimKeyPackages'> {
  return {
    stock: () => act(device, 'stock', [], () => leftIn(world.stocks.get(device))),
    publishKeyPackages: (key, keyPackages) =>
      once(device, 'publishKeyPackages', key, keyPackages, () => publish(world, device, keyPackages)),
    claimKeyPackages: (key, group, wanted) =>
      once(device, 'claimKeyPackages', key, [group, wanted], () => {
        const results = wanted.flatMap((id): ClaimResult[] => {
          const account = world.accounts.get(id);
          if (account === undefined) return [{ account: id, problem: 'not-found' }];
          return account.devices.map((owner) => ({ account: id, ...claim(world, owner.id) }));
        });
        return { results };
      }),
  };
}
