import { seeded } from '../../support/seeded.ts';

const PAGE = 8192;

/** Makes a damaged file from a good one, an earlier one of the same store, and a number. */
type Damage = (good: Buffer, earlier: Buffer, seed: number) => Buffer;

function changed(
  good: Buffer,
  change: (bytes: Buffer, random: ReturnType<typeof seeded>) => void,
  seed: number,
): Buffer {
  const bytes = Buffer.from(good);
  change(bytes, seeded(seed));
  return bytes;
}

export const DAMAGES = {
  'a bit is flipped': (good, _earlier, seed) =>
    changed(good, (bytes, random) => flip(bytes, random.below(bytes.length), random.below(8)), seed),
  'a bit is flipped in the first pages': (good, _earlier, seed) =>
    changed(good, (bytes, random) => flip(bytes, random.below(2) * PAGE + random.below(180), random.below(8)), seed),
  'bits are flipped': (good, _earlier, seed) =>
    changed(
      good,
      (bytes, random) => {
        for (let i = 0; i < 40; i += 1) flip(bytes, random.below(bytes.length), random.below(8));
      },
      seed,
    ),
  'it is cut short': (good, _earlier, seed) => {
    const random = seeded(seed);
    return Buffer.from(good.subarray(0, seed % 4 === 0 ? random.below(3 * PAGE) : random.below(good.length)));
  },
  'a page is zeroed': (good, _earlier, seed) =>
    changed(good, (bytes, random) => bytes.fill(0, ...pageOf(bytes, random.below(bytes.length / PAGE))), seed),
  'half a page is zeroed': (good, _earlier, seed) =>
    changed(
      good,
      (bytes, random) => {
        const half = random.below((bytes.length / PAGE) * 2);
        bytes.fill(0, (half * PAGE) / 2, ((half + 1) * PAGE) / 2);
      },
      seed,
    ),
  'a page is rubbish': (good, _earlier, seed) =>
    changed(
      good,
      (bytes, random) => {
        const [from, to] = pageOf(bytes, random.below(bytes.length / PAGE));
        for (let at = from; at < to; at += 1) bytes[at] = random.below(256);
      },
      seed,
    ),
  'a page is an earlier one': (good, earlier, seed) =>
    changed(
      good,
      (bytes, random) => {
        const number = random.below(Math.min(bytes.length, earlier.length) / PAGE);
        earlier.copy(bytes, number * PAGE, ...pageOf(earlier, number));
      },
      seed,
    ),
  'some pages are earlier ones': (good, earlier, seed) =>
    changed(
      good,
      (bytes, random) => {
        for (let i = 0; i < 6; i += 1) {
          const number = 2 + random.below(Math.min(bytes.length, earlier.length) / PAGE - 2);
          earlier.copy(bytes, number * PAGE, ...pageOf(earlier, number));
        }
      },
      seed,
    ),
  'it is something else': (_good, _earlier, seed) => {
    const random = seeded(seed);
    const texts = ['', 'hello', JSON.stringify({ v: 1 }), '\0'.repeat(3 * PAGE)];
    const text = texts[seed % (texts.length + 1)];
    return Buffer.from(text ?? Uint8Array.from({ length: 3 * PAGE }, () => random.below(256)));
  },
} as const satisfies Readonly<Record<string, Damage>>;

export type DamageKind = keyof typeof DAMAGES;

function pageOf(bytes: Buffer, number: number): [from: number, to: number] {
  return [number * PAGE, Math.min(bytes.length, (number + 1) * PAGE)];
}

function flip(bytes: Buffer, at: number, bit: number): void {
  bytes[at]! ^= 1 << bit;
}
