import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeCbor } from '../../src/wire/cbor.ts';
import { decodeEntry, type Entry } from '../../src/wire/entry.ts';
import { asStreamItem } from '../../src/wire/page.ts';

const id = 'abcdefghijklmnopqrst';
const device = 'a'.repeat(32);
const place = { group: new Uint8Array(16), position: 7, id, sender: device, time: 1_790_000_000_000 };
const change = { account: device, statement: new Uint8Array(9), signature: new Uint8Array(64) };

/** One of each kind with all of its members; those that may be missing are named after it. */
const EXAMPLES: Readonly<Record<Entry['kind'], readonly (readonly [entry: object, ...optional: string[]])[]>> = {
  'group-created': [
    [
      { kind: 'group-created', ...place, payload: { name: 'tea', handshakes: 'private' } },
      'payload.name',
      'payload.handshakes',
    ],
  ],
  commit: [
    [
      {
        kind: 'commit',
        ...place,
        epoch: 3,
        payload: new Uint8Array(5),
        roster: { added: [device], removed: [device] },
      },
      'roster',
    ],
  ],
  proposal: [[{ kind: 'proposal', ...place, epoch: 0, payload: new Uint8Array(5) }]],
  message: [[{ kind: 'message', ...place, epoch: 3, payload: new Uint8Array(5) }]],
  report: [
    [
      {
        kind: 'report',
        ...place,
        payload: {
          epoch: 4,
          position: 6,
          commit: new Uint8Array(32),
          reason: 'cannot-process',
          code: 'undecryptable',
          reporter: device,
          committer: { account: device, device },
        },
      },
    ],
  ],
  welcome: [
    [
      {
        kind: 'welcome',
        time: 5,
        sender: device,
        payload: {
          group: new Uint8Array(32),
          name: 'tea',
          handshakes: 'private',
          position: 2,
          head: new Uint8Array(32),
          epoch: 1,
          inviter: device,
          welcome: new Uint8Array(9),
        },
      },
      'payload.name',
      'payload.handshakes',
    ],
  ],
  account: [
    [
      { kind: 'account', ...place, payload: { ...change, countersignature: new Uint8Array(64) } },
      'payload.countersignature',
      'position', // without one it is the entry of the inbox
    ],
    [{ kind: 'account', time: 1, payload: change }],
  ],
  'key-packages-low': [[{ kind: 'key-packages-low', time: 1, payload: { available: 3, lastResortUsed: false } }]],
};
const examples = Object.values(EXAMPLES).flat();

const WRONG = [null, true, 'text', 7, [], {}, new Uint8Array(20), [null], { a: 1 }] as const;
const typeOf = (value: unknown): string =>
  value instanceof Uint8Array ? 'bytes' : Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value;

function pathsOf(value: unknown, prefix = ''): string[] {
  if (typeOf(value) === 'list') return [prefix, ...(value as unknown[]).map((_, i) => `${prefix}.${i}`)];
  if (typeOf(value) !== 'object') return [prefix];
  const inner = Object.entries(value as object).flatMap(([key, member]) =>
    pathsOf(member, prefix === '' ? key : `${prefix}.${key}`),
  );
  return prefix === '' ? inner : [prefix, ...inner];
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce((inner, key) => (inner as Record<string, unknown>)[key], value);
}

function replaced(value: unknown, path: readonly string[], by: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return by;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<string, unknown>;
  const member = replaced(copy[first], rest, by);
  if (member === undefined) delete copy[first];
  else copy[first] = member;
  return copy;
}

test('an example of each kind is read, with members of a later version beside its own', () => {
  for (const [entry] of examples) {
    expect(decodeEntry(encodeCbor(entry))).toEqual(entry);
    expect(decodeEntry(encodeCbor({ ...entry, later: [1] }))).toMatchObject(entry);
  }
});

test('a member of any entry that is missing or of another type makes it no entry, said as a SyntaxError', () => {
  const cases = examples.flatMap(([entry, ...optional]) =>
    pathsOf(entry).map((path) => ({ entry, path, isOptional: optional.includes(path) })),
  );
  fc.assert(
    fc.property(fc.constantFrom(...cases), fc.constantFrom(...WRONG, undefined), ({ entry, path, isOptional }, by) => {
      const keys = path.split('.');
      if (typeOf(by) === typeOf(at(entry, keys)) || (by === undefined && (isOptional || /\d$/.test(path)))) return;
      const bytes = encodeCbor(replaced(entry, keys, by));
      expect(() => decodeEntry(bytes), `${path} of ${JSON.stringify(entry)}`).toThrow(SyntaxError);
    }),
    { numRuns: 3_000 },
  );
});

test('numbers that count nothing, times that no calendar has and ids of another length are refused', () => {
  const [message] = EXAMPLES.message[0]!;
  const wrong = {
    position: [0, -1, 1.5, 2 ** 60],
    epoch: [-1, 0.5, 2 ** 60],
    time: [-1, 8.7e15],
    group: [new Uint8Array(15), new Uint8Array(33)],
    id: ['', 'x'.repeat(1_000)],
  };
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      expect(() => decodeEntry(encodeCbor({ ...message, [name]: value })), `${name} ${value}`).toThrow(SyntaxError);
    }
  }
});

test('whatever is decoded, nothing but a SyntaxError comes of it', () => {
  const kinds = fc.constantFrom<unknown>(...Object.keys(EXAMPLES), 'constructor', '__proto__', 5);
  const members = fc.dictionary(
    fc.constantFrom('group', 'position', 'id', 'sender', 'time', 'epoch', 'payload', 'toString', 'valueOf'),
    fc.oneof(fc.constantFrom<unknown>(...WRONG), fc.uint8Array({ maxLength: 40 })),
  );
  fc.assert(
    fc.property(kinds, members, (kind, rest) => {
      const value = { ...rest, kind };
      for (const read of [() => decodeEntry(encodeCbor(value)), () => asStreamItem({ ...value, type: kind })]) {
        try {
          read();
        } catch (error) {
          expect(error).toBeInstanceOf(SyntaxError);
        }
      }
    }),
  );
  const closing = { type: 'closing', reason: { toString: 5 }, resumable: true };
  expect(() => asStreamItem(closing)).toThrow(SyntaxError);
  const page = { entries: [], cursors: new Uint8Array(0), upToDate: true };
  const heads = [{ group: new Uint8Array(3), position: 1, hash: new Uint8Array(32) }];
  expect(() => asStreamItem({ type: 'page', ...page, cursor: 'c', heads })).toThrow('heads');
  expect(() => asStreamItem({ type: 'page', ...page, cursor: 'a b\ud800', heads: [] })).toThrow('cursor');
});
