import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openApiDocument } from '../../src/api/openapi.ts';
import { ROUTES } from '../../src/api/routes.ts';

const root = new URL('../../', import.meta.url);

describe('the OpenAPI document', () => {
  it('that is committed is the one that the route table gives (vitest -u writes it anew)', async () => {
    const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string };
    const text = `${JSON.stringify(openApiDocument(version), null, 2)}\n`;
    await expect(text).toMatchFileSnapshot('../../openapi.json');
  });

  it('has every route once, with an id of its own', () => {
    const document = openApiDocument('0') as { paths: Record<string, Record<string, { operationId: string }>> };
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    expect(operations).toHaveLength(ROUTES.length);
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(ROUTES.length);
  });

  it('has no parameter in the first two segments of a path, by which requests find their router', () => {
    for (const { path } of ROUTES) expect(path.split('/').slice(1, 3).join('/')).not.toContain(':');
  });

  it('says of bytes how they are written, and of names their pattern', () => {
    const text = JSON.stringify(openApiDocument('0'));
    expect(text).toContain('"contentEncoding":"base64url"');
    expect(text).toContain('^[A-Za-z0-9_-]{22,43}$');
    expect(text).not.toContain('"schema":{}');
  });
});
