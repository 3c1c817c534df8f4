/**
 * Runs after `turns` turns of the event loop. After a stall, timers run before sockets are read; whoever is about to call
 * something late lets what has arrived be read first.
 */
export function afterTurns(turns: number, run: () => void): void {
  setImmediate(() => {
    if (turns <= 1) run();
    else afterTurns(turns - 1, run);
  });
}
