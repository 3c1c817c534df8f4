import { getEventListeners } from 'node:events';

const sizeOf = Object.getOwnPropertyDescriptor(Set.prototype, 'size')!.get!;

/** How much others have left in a signal: listeners, and entries of `AbortSignal.any`, which Node keeps in a set of its own kind. */
export function leftIn(signal: AbortSignal): number {
  const kept = Object.getOwnPropertySymbols(signal).map((symbol) => (signal as never)[symbol] as unknown);
  const entries = kept.reduce((sum: number, value) => sum + entriesOf(value), 0);
  return getEventListeners(signal, 'abort').length + entries;
}

function entriesOf(value: unknown): number {
  try {
    return sizeOf.call(value) as number;
  } catch {
    return 0; // no set
  }
}
