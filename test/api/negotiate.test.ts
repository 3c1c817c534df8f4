import { describe, expect, it } from 'vitest';
import { decodeBody, representationFor, streamFor } from '../../src/api/http/negotiate.ts';
import { toUtf8 } from '../../src/wire/bytes.ts';

describe('content negotiation', () => {
  it('gives JSON to whoever says nothing that we have, CBOR to whoever prefers it', () => {
    const cases: [string | undefined, string][] = [
      [undefined, 'json'],
      ['*/*', 'json'],
      ['text/html', 'json'],
      ['application/json', 'json'],
      ['application/cbor', 'cbor'],
      ['application/cbor, application/json;q=0.5', 'cbor'],
      ['application/json;q=0.2, application/*;q=0.9', 'cbor'],
      ['application/cbor;q=0', 'json'],
      ['nonsense;;;,,', 'json'],
    ];
    for (const [accept, expected] of cases) expect([accept, representationFor(accept)]).toEqual([accept, expected]);
  });

  it('opens a stream only for whoever asks for one by name', () => {
    const cases: [string | undefined, string | undefined][] = [
      [undefined, undefined],
      ['*/*', undefined],
      ['application/cbor', undefined],
      ['text/event-stream', 'event-stream'],
      ['application/cbor-seq', 'cbor-seq'],
      ['application/cbor-seq, application/cbor;q=0.1', 'cbor-seq'],
    ];
    for (const [accept, expected] of cases) expect([accept, streamFor(accept)]).toEqual([accept, expected]);
  });

  it('tells what cannot be understood from what is not well-formed', () => {
    const code = (type: string | undefined, body: Uint8Array): unknown => {
      try {
        return decodeBody(type, body);
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(code('application/json; charset=utf-8', toUtf8('{"a":1}'))).toEqual({ a: 1 });
    expect(code('application/json', toUtf8('{'))).toBe('invalid-request');
    expect(code('application/json', Uint8Array.of(0xff, 0xfe))).toBe('invalid-request');
    expect(code('application/cbor', Uint8Array.of(0xa1))).toBe('invalid-request');
    expect(code('text/plain', toUtf8('a'))).toBe('unsupported-media-type');
    expect(code(undefined, toUtf8('a'))).toBe('unsupported-media-type');
  });
});
