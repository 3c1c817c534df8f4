import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concatBytes } from '../../src/wire/bytes.ts';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { readCborSequence } from '../../src/wire/cbor-sequence.ts';

async function* inChunks(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let from = 0;
  for (const cut of [...cuts].map((at) => at % (bytes.length + 1)).sort((a, b) => a - b)) {
    yield bytes.subarray(from, cut);
    from = cut;
  }
  yield bytes.subarray(from);
}
async function collect(chunks: AsyncIterable<Uint8Array>, maxBytes = 1_000_000): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of readCborSequence(chunks, maxBytes)) items.push(item);
  return items;
}

const value = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
    fc.string(),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value;

test('a sequence cut anywhere gives the items it was made of', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(value, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 8 }), async (items, cuts) => {
      const bytes = concatBytes(...items.map(encodeCbor));
      expect((await collect(inChunks(bytes, cuts))).map(encodeCbor)).toEqual(items.map(encodeCbor));
    }),
  );
});

test('random bytes end in a SyntaxError or in nothing, never otherwise', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
      await collect(inChunks(bytes, [])).catch((error: unknown) => expect(error).toBeInstanceOf(SyntaxError));
    }),
    { numRuns: 2000 },
  );
});

test('an item longer than the limit is refused before it is whole, and depth has an end', async () => {
  const long = encodeCbor(new Uint8Array(5000));
  await expect(collect(inChunks(long.subarray(0, 4000), []), 1000)).rejects.toThrow(SyntaxError);
  await expect(collect(inChunks(new Uint8Array(64).fill(0x81), []))).rejects.toThrow(/nested/);
});
