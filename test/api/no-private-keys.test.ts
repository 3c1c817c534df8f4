import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { openApiDocument } from '../../src/api/openapi.ts';

/** Words that would name something which only its owner may have. */
const SECRET = /priv|secret|seed|mnemonic|recovery.?code|sign.?key$|init.?key$/i;

interface Field {
  readonly path: string;
  readonly name: string;
  readonly schema: Readonly<Record<string, unknown>>;
}

/** Every member of every body, parameter and answer, wherever it stands. */
function fieldsOf(value: unknown, path: string): Field[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]): Field[] => {
    const at = `${path}/${name}`;
    const own =
      path.endsWith('/properties') && typeof inner === 'object' && inner !== null
        ? [{ path: at, name, schema: inner as Record<string, unknown> }]
        : [];
    return [...own, ...fieldsOf(inner, at)];
  });
}

const document = openApiDocument('0.0.0-test');
const fields = fieldsOf(document, '');

test('S2: no field of the API is named or described as something private, and none takes more than a public key in its place', () => {
  expect(fields.length).toBeGreaterThan(50);
  const suspicious = fields.filter(
    ({ name, schema }) => SECRET.test(name) || /private key|secret|seed/i.test(String(schema['description'] ?? '')),
  );
  expect(suspicious.map(({ path }) => path)).toEqual([]);
});

test('S2: bodies take what they name and nothing beside it, so that nothing private can travel unseen', () => {
  const bodies = Object.entries(document.paths as Record<string, Record<string, unknown>>).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => {
      const { requestBody } = operation as { requestBody?: { content?: Record<string, { schema?: unknown }> } };
      const schema = requestBody?.content?.['application/json']?.schema as Record<string, unknown> | undefined;
      return schema === undefined ? [] : [{ what: `${method} ${path}`, closed: schema['additionalProperties'] }];
    }),
  );
  expect(bodies.length).toBeGreaterThan(8);
  expect(bodies.filter(({ closed }) => closed !== false)).toEqual([]);
});

test('S2: what a client keeps to itself is named in one type of its store, which no request is made from', () => {
  const source = readFileSync(new URL('../../src/client/transport/http-api.ts', import.meta.url), 'utf8');
  expect(source).not.toMatch(/signKey|signPrivate|privateBytes/);
});
