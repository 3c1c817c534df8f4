import { describe, expect, it } from 'vitest';
import { onAbort } from '../../src/client/on-abort.ts';
import { pause } from '../../src/client/runner/retry.ts';
import { withAny } from '../../src/client/runner/with-any.ts';
import { leftIn } from '../support/left-in-signal.ts';

/** More than Node takes for a leak. */
const MANY = 30;
const LONG_MS = 600_000;

describe('who waits for a signal', () => {
  it('is called once when it fires, at once when it had fired, and not after it stopped waiting', () => {
    const controller = new AbortController();
    const { signal } = controller;
    const called: string[] = [];
    const stops = ['a', 'b', 'c', 'd'].map((name) => onAbort(signal, () => called.push(name)));
    const twice = (): void => void called.push('twice');
    const stopSecond = [onAbort(signal, twice), onAbort(signal, twice)][1]!;
    stops[1]!();
    stops[1]!();
    stopSecond();
    // one that is called ends the waiting of another that is still to be called
    onAbort(signal, () => stops[3]!());
    const last = onAbort(signal, () => called.push('last'));
    stops[3]!();
    expect(called).toEqual([]);
    controller.abort();
    expect(called).toEqual(['a', 'c', 'twice', 'last']);
    last();
    onAbort(signal, () => called.push('late'))();
    expect(called.slice(4)).toEqual(['late']);
    expect(leftIn(signal)).toBe(0);
  });

  it('leaves nothing behind in it, whoever stops first, and can wait anew', () => {
    const controller = new AbortController();
    const { signal } = controller;
    let calls = 0;
    const wait = (): (() => void) => onAbort(signal, () => (calls += 1));
    const first = wait();
    const second = wait();
    expect(leftIn(signal)).toBe(1);
    first();
    expect(leftIn(signal)).toBe(1);
    second();
    expect(leftIn(signal)).toBe(0);
    wait();
    first(); // what is over ends nothing of others
    second();
    expect(leftIn(signal)).toBe(1);
    controller.abort();
    expect(calls).toBe(1);
  });

  it('is one of many, and Node does not warn of a leak', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const warnings: string[] = [];
    const onWarning = ({ name, message }: Error): void => {
      if (name === 'MaxListenersExceededWarning') warnings.push(message);
    };
    process.on('warning', onWarning);
    try {
      const works = Array.from({ length: MANY }, () => [
        withAny([signal, new AbortController().signal], (either) => pause(LONG_MS, either)),
        pause(LONG_MS, signal),
      ]).flat();
      expect(leftIn(signal)).toBe(1);
      await new Promise<void>((resolve) => setImmediate(resolve)); // a warning is emitted on the next tick
      controller.abort();
      await Promise.all(works);
      expect(leftIn(signal)).toBe(0);
    } finally {
      process.off('warning', onWarning);
    }
    expect(warnings).toEqual([]);
  });
});
