import { isIPv4, isIPv6 } from 'node:net';

const GROUPS = 8;
const PREFIX_GROUPS = 4;
/** RFC 4291 §2.5.5.2: `::ffff:0:0/96`. */
const MAPPED_PREFIX = '0:0:0:0:0:ffff';

/**
 * What a network address is counted under: an IPv4 address itself, of an IPv6 address its /64, because whoever has one of these has
 * all the others in it (RFC 7421). An IPv4-mapped address is the IPv4 address, however a socket or a proxy writes it; what is no
 * address stays what it is.
 *
 * @example networkOf('2001:db8::1') === '2001:db8:0:0::/64'
 */
export function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const groups = groupsOf(address.split('%', 1)[0]!);
  if (groups.slice(0, 6).map(hex).join(':') === MAPPED_PREFIX) return toIPv4(groups[6]!, groups[7]!);
  return `${groups.slice(0, PREFIX_GROUPS).map(hex).join(':')}::/64`;
}

/** The eight groups of a well-formed address. */
function groupsOf(address: string): number[] {
  const [before = [], after] = address
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':').flatMap(valuesOf)));
  if (after === undefined) return before;
  const zeros = new Array<number>(GROUPS - before.length - after.length).fill(0);
  return [...before, ...zeros, ...after];
}

/** RFC 4291 §2.2: the last two groups may be written as an IPv4 address. */
function valuesOf(text: string): number[] {
  if (!isIPv4(text)) return [Number.parseInt(text, 16)];
  const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number);
  return [a * 256 + b, c * 256 + d];
}

function toIPv4(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

const hex = (group: number): string => group.toString(16);
