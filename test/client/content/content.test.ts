import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  encodeContent,
  isMessageId,
  readContent,
  UNSHOWABLE,
  type Written,
} from '../../../src/client/content/content.ts';
import { messageIdOf } from '../../../src/client/content/message-id.ts';
import { decodeMimi, encodeMimi } from '../../../src/client/content/mimi-content.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { fromBase64Url, toBase64Url, toHex, toUtf8 } from '../../../src/wire/bytes.ts';
import { encodeCbor } from '../../../src/wire/cbor.ts';

const VECTORS = '../shared/vectors/mimi-content/examples.json';
const PLACE = { senderUri: 'mimi://chat.example/u/alice', roomUri: 'mimi://chat.example/r/tea' };
const salt = new Uint8Array(16).fill(5);
const ID = toBase64Url(new Uint8Array(32).fill(9));
const read = (bytes: Uint8Array) => readContent(bytes, PLACE, nodeSha256);

interface Example {
  readonly name: string;
  readonly hex: string;
  readonly id: string;
  readonly sender: string;
  readonly room: string;
}

describe.skipIf(!existsSync(VECTORS))('the examples of draft-ietf-mimi-content-08', () => {
  const examples = existsSync(VECTORS)
    ? (JSON.parse(readFileSync(VECTORS, 'utf8')) as { examples: readonly Example[] }).examples
    : [];
  const of = (name: string) => {
    const { hex, sender, room } = examples.find((each) => each.name === name)!;
    return readContent(new Uint8Array(Buffer.from(hex, 'hex')), { senderUri: sender, roomUri: room }, nodeSha256);
  };

  test.each(examples)('$name is read, and has the id that the draft states', ({ hex, id, sender, room }) => {
    const bytes = new Uint8Array(Buffer.from(hex, 'hex'));
    const message = decodeMimi(bytes)!;
    const place = { senderUri: sender, roomUri: room };
    expect(toHex(messageIdOf(bytes, message.salt, place, nodeSha256))).toBe(id);
    expect(toHex(fromBase64Url(readContent(bytes, place, nodeSha256)!.messageId!)!)).toBe(id);
  });

  test('show their text, say what they reply to, replace and delete, and hide nothing that cannot be shown', () => {
    expect(of('original')?.text).toBe('Hi everyone, we just shipped release 2.0. __Good  work__!');
    expect(of('reply')).toMatchObject({ inReplyTo: of('original')!.messageId });
    expect(of('edit')).toMatchObject({ replaces: of('reply')!.messageId, text: "Right on! _Congratulations_ y'all!" });
    expect(of('delete')).toMatchObject({ replaces: of('reply')!.messageId, deleted: true, text: '' });
    expect(of('attachment')?.text).toBe(UNSHOWABLE);
  });
});

test('what is written is what is shown, with an id of its own for each salt', () => {
  const written: Written[] = [
    { text: 'hello' },
    { text: 'yes', inReplyTo: ID },
    { text: 'hallo', replaces: ID },
    { text: '', replaces: ID, deleted: true },
    { text: 'waves', as: 'action' },
    { text: 'Assam', as: 'topic' },
  ];
  for (const each of written) {
    const shown = read(encodeContent(each, salt))!;
    expect(shown).toEqual({ ...each, messageId: shown.messageId });
    expect(isMessageId(shown.messageId!)).toBe(true);
    expect(read(encodeContent(each, new Uint8Array(16)))!.messageId).not.toBe(shown.messageId);
  }
  expect(read(encodeCbor({ v: 1, type: 'text', text: 'from before' }))).toEqual({ text: 'from before' });
});

test('an id names one sender in one group: nobody else’s message can have it', () => {
  const bytes = encodeContent({ text: 'hello' }, salt);
  const id = read(bytes)!.messageId;
  expect(readContent(bytes, { ...PLACE, senderUri: 'mimi://chat.example/u/bob' }, nodeSha256)!.messageId).not.toBe(id);
  expect(readContent(bytes, { ...PLACE, roomUri: 'mimi://chat.example/r/milk' }, nodeSha256)!.messageId).not.toBe(id);
});

test('parts that cannot be shown are said, alone or among others, as their meaning asks', () => {
  const text = (content: string) => [1, '', 1, 'text/plain', toUtf8(content)];
  const image = [4, '', 1, 'image/png', Uint8Array.of(1, 2)];
  const shown = (nested: unknown) => read(encodeCbor([salt, null, new Uint8Array(0), null, null, {}, nested]))?.text;
  expect(shown(image)).toBe(UNSHOWABLE);
  expect(shown([1, '', 1, 'text/plain;charset=latin1', Uint8Array.of(65)])).toBe(UNSHOWABLE);
  expect(shown([1, '', 1, 'text/plain', Uint8Array.of(0xff)])).toBe(UNSHOWABLE);
  expect(shown([1, '', 3, 0, [image, text('instead')]])).toBe('instead');
  expect(shown([1, '', 3, 1, [text('with'), image]])).toBe(UNSHOWABLE);
  expect(shown([1, '', 3, 2, [text('and'), image]])).toBe(`and\n${UNSHOWABLE}`);
  const nested = (depth: number): unknown =>
    depth === 0 ? text('deep') : [1, '', 3, 2, [nested(depth - 1), text('x')]];
  expect(shown(nested(3))).toContain('deep');
  expect(shown(nested(4))).toBeUndefined();
  expect(shown([1, '', 3, 2, Array.from({ length: 2000 }, () => text('x'))])).toBeUndefined();
});

test('nothing that a member sends makes reading it fail', () => {
  const anyValue = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constant(null),
      fc.boolean(),
      fc.integer(),
      fc.string(),
      fc.uint8Array({ maxLength: 40 }),
      fc.constant(new Uint8Array(16)),
      fc.constant(new Uint8Array(32)),
      fc.array(tie('value'), { maxLength: 8 }),
      fc.dictionary(fc.string(), tie('value'), { maxKeys: 3 }),
    ),
  })).value;
  const shape = fc.tuple(
    fc.constant(salt),
    fc.oneof(fc.constant(null), anyValue),
    fc.constant(new Uint8Array(0)),
    anyValue,
    anyValue,
    fc.oneof(fc.constant({}), anyValue),
    fc.oneof(fc.tuple(anyValue, anyValue, fc.integer({ min: 0, max: 4 }), anyValue, anyValue), anyValue),
  );
  const isHarmless = (bytes: Uint8Array): boolean => {
    const shown = read(bytes);
    return shown === undefined || typeof shown.text === 'string';
  };
  fc.assert(fc.property(fc.oneof(shape, anyValue), (value) => isHarmless(encodeCbor(value))));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), isHarmless));
  const whole = encodeMimi({ salt, part: { contentType: 'text/plain', content: toUtf8('hello') } });
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, value) => {
      const bytes = whole.slice();
      bytes[at] = value;
      return isHarmless(bytes);
    }),
  );
});
