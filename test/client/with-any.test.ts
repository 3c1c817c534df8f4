import { describe, expect, it } from 'vitest';
import { withAny } from '../../src/client/runner/with-any.ts';
import { leftIn } from '../support/left-in-signal.ts';

const never = new AbortController().signal;
const untilAborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    signal.addEventListener('abort', () => resolve(signal.reason));
  });

describe('work under one of several signals', () => {
  it('ends with the first that fires, for its reason, also when that was before', async () => {
    const late = new AbortController();
    const working = withAny([never, late.signal], untilAborted);
    late.abort('enough');
    expect(await working).toBe('enough');
    expect(await withAny([never, AbortSignal.abort('long ago')], untilAborted)).toBe('long ago');
  });

  it('leaves nothing behind in a signal that lives on, however often and however it ended', async () => {
    const { signal } = new AbortController();
    for (let i = 0; i < 100; i += 1) {
      expect(await withAny([signal], async () => leftIn(signal))).toBe(1);
      await expect(withAny([signal], () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    }
    expect(leftIn(signal)).toBe(0);
    const derived = AbortSignal.any([signal]); // so that nobody looks in the wrong place
    expect([leftIn(signal), derived.aborted]).toEqual([1, false]);
  });
});
