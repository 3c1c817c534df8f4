import { describe, expect, it } from 'vitest';
import { toProblem } from '../../src/api/http/problem.ts';
import { LogError, type LogErrorCode } from '../../src/log/errors.ts';
import { ProjectionError } from '../../src/projections/errors.ts';
import { ProblemError } from '../../src/wire/problems.ts';

describe('whatever is thrown', () => {
  it('becomes one problem with the right code, and a time to come again where that helps', () => {
    const cases: [LogErrorCode, string, boolean][] = [
      ['storage-full', 'storage-full', true],
      ['too-large', 'payload-too-large', false],
      ['overloaded', 'not-ready', true],
      ['unavailable', 'not-ready', true],
      ['aborted', 'not-ready', true],
      ['closed', 'not-ready', true],
      ['invalid-event', 'internal', false],
    ];
    for (const [code, expected, hasTime] of cases) {
      const problem = toProblem(new LogError(code, '/a/secret/path'));
      expect([code, problem.code, problem.retryAfterSeconds !== undefined]).toEqual([code, expected, hasTime]);
    }
    expect(toProblem(new ProjectionError('closed', 'x')).code).toBe('not-ready');
    expect(toProblem(new DOMException('late', 'TimeoutError')).code).toBe('not-ready');
    const own = new ProblemError('name-taken', 'taken');
    expect(toProblem(own)).toBe(own);
  });

  it('inside shows nothing of the inside', () => {
    const inside = ['a text', new Error('/a/secret/path'), undefined, new LogError('storage-full', '/a/secret/path')];
    for (const thrown of inside) {
      const text = JSON.stringify(toProblem(thrown).toProblem());
      expect(text).not.toContain('secret');
      expect(text).not.toContain('a text');
    }
  });
});
