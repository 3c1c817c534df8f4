import { isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { networkOf } from '../../src/api/http/caller-network.ts';

describe('what an address is counted under', () => {
  it('D13: is one for all the IPv6 addresses of a /64, however they are written, and another for the next /64', () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    // from 1 on: a first group of zero may belong to a mapped address
    const prefix = fc.tuple(fc.integer({ min: 1, max: 0xffff }), group, group, group);
    const host = fc.tuple(group, group, group, group);
    fc.assert(
      fc.property(prefix, host, host, fc.nat(3), (network, one, other, changed) => {
        const next = network.with(changed, network[changed]! ^ 0x8000) as typeof network;
        const counted = networkOf(long(network, one));
        expect(networkOf(long(network, other).toUpperCase())).toBe(counted);
        expect(networkOf(short(network, other))).toBe(counted);
        expect(networkOf(`${short(network, one)}%eth0`)).toBe(counted);
        expect(networkOf(short(next, one))).not.toBe(counted);
      }),
    );
  });

  it('is the IPv4 address, also where it is mapped into an IPv6 address', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
        const low = [a * 256 + b, c * 256 + d].map((part) => part.toString(16)).join(':');
        for (const text of [address, `::ffff:${address}`, `::FFFF:${low}`, `0:0:0:0:0:ffff:${address}`]) {
          expect(networkOf(text)).toBe(address);
        }
      }),
    );
  });

  it.each([
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:1:ffff::', '2001:db8:0:1::/64'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['', ''],
    ['unknown', 'unknown'],
  ])('of %j is %j', (address, counted) => {
    expect(networkOf(address)).toBe(counted);
  });

  it('comes of any text, and of every address that Node takes', () => {
    fc.assert(fc.property(fc.string(), (text) => typeof networkOf(text) === 'string'));
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        fc.pre(isIPv6(address));
        expect(networkOf(address)).toMatch(/^([0-9a-f]{1,4}:){4}:\/64$|^\d+\.\d+\.\d+\.\d+$/);
      }),
    );
  });
});

type Quarter = readonly [number, number, number, number];

function long(network: Quarter, host: Quarter): string {
  return [...network, ...host].map((group) => group.toString(16).padStart(4, '0')).join(':');
}

/** As the URL standard writes it, with `::` where there are zeros. */
function short(network: Quarter, host: Quarter): string {
  return new URL(`http://[${long(network, host)}]/`).hostname.slice(1, -1);
}
