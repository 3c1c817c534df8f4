import type { AccountId, GroupId } from '../../wire/ids.ts';
import { ProblemError } from '../../wire/problems.ts';
import type { AccountBook } from './accounts.ts';
import { isPassing, isRevoked } from './failures.ts';
import { Aborted, backoffMs, pause } from './retry.ts';
import { createSerial } from './serial.ts';

/** Between two look-ups: 20 a second at most, a tenth of what a server gives a device, so that its texts and commits find room. */
const LOOKUP_GAP_MS = 50;

export interface MemberLookups {
  /**
   * Asks for each of these accounts as the log has it from now on, and resolves when each was answered, be it with a refusal. What
   * another group asks for at the same time is asked once.
   *
   * @throws Aborted when the signal fires
   */
  ask(ids: readonly AccountId[], about: { readonly group: GroupId; readonly signal: AbortSignal }): Promise<void>;
}

/** One queue for all groups, however large: one account at a time, and one that fails lets the others go first. */
export function createMemberLookups(options: {
  readonly accounts: Pick<AccountBook, 'fetch'>;
  readonly random: () => number;
}): MemberLookups {
  const { accounts, random } = options;
  const queue = createSerial();
  /** When each account was asked last: so many look-ups were begun before. */
  const askedAt = new Map<AccountId, number>();
  let begun = 0;
  let gap: Promise<void> = Promise.resolve();

  const lookUp = async (id: AccountId, since: number, group: GroupId, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) throw new Aborted();
    if ((askedAt.get(id) ?? -1) >= since) return;
    await gap;
    if (signal.aborted) throw new Aborted();
    gap = pause(LOOKUP_GAP_MS, signal);
    const at = begun;
    begun += 1;
    try {
      await accounts.fetch([id], { group, newest: true });
    } catch (error) {
      // who will not say is not asked without end: what comes in the log later is judged as ever
      if (!(error instanceof ProblemError) || isPassing(error) || isRevoked(error)) throw error;
    }
    askedAt.set(id, at);
  };

  return {
    ask: async (ids, { group, signal }) => {
      const since = begun;
      const waiting = [...ids];
      let failures = 0;
      for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
        const next = id;
        try {
          await queue.run(() => lookUp(next, since, group, signal));
          failures = 0;
        } catch (error) {
          if (signal.aborted) throw new Aborted();
          if (isRevoked(error)) return; // nothing will be answered to this device
          if (!isPassing(error)) throw error;
          waiting.push(next);
          const asked = error instanceof ProblemError ? (error.retryAfterSeconds ?? 0) * 1000 : 0;
          await pause(Math.max(asked, backoffMs(failures, random)), signal);
          failures += 1;
        }
      }
    },
  };
}
