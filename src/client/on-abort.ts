type Fire = () => void;

/** Who waits for a signal; of it all, the signal has one listener. */
const waiting = new WeakMap<AbortSignal, Fan>();

interface Fan {
  readonly fires: Set<Fire>;
  readonly fireAll: Fire;
}

/**
 * Calls back once: when the signal fires, or at once when it has fired before.
 *
 * However many wait for a signal, it has one listener of theirs, and none when the last has gone: Node holds eleven on one signal
 * for a leak, and says so on the terminal.
 *
 * @param fire must not throw
 * @returns ends the waiting, also when it is over
 */
export function onAbort(signal: AbortSignal, fire: Fire): () => void {
  if (signal.aborted) {
    fire();
    return () => undefined;
  }
  const { fires, fireAll } = waiting.get(signal) ?? createFan(signal);
  const own = (): void => fire(); // whoever waits twice is called twice
  fires.add(own);
  return () => {
    fires.delete(own);
    if (fires.size > 0 || waiting.get(signal)?.fires !== fires) return;
    waiting.delete(signal);
    signal.removeEventListener('abort', fireAll);
  };
}

function createFan(signal: AbortSignal): Fan {
  const fires = new Set<Fire>();
  const fireAll = (): void => {
    waiting.delete(signal);
    for (const fire of fires) fire(); // who stops waiting while the others are called is not called any more
  };
  const fan = { fires, fireAll };
  waiting.set(signal, fan);
  signal.addEventListener('abort', fireAll, { once: true });
  return fan;
}
