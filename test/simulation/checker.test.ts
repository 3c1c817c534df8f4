import { beforeAll, describe, expect, test } from 'vitest';
import { keys } from '../../src/client/store/keys.ts';
import { type BaseImage, createBaseImage } from './base-image.ts';
import { createClientView } from './client-view.ts';
import { FOUND_SEEDS } from './found-seeds.ts';
import { playHistory } from './history.ts';
import { createLedger } from './ledger.ts';
import { playMany, range } from './play-many.ts';
import { PLAIN, type Theme } from './theme.ts';
import type { Rule } from './violation.ts';
import type { Mutations } from './world.ts';

/** A broken rule shows in one of this many histories, or the checks do not see it. */
const SEEDS_MAX = 60;
/** What can only be told where members changed in what is gone takes more histories to come up. */
const RARE_SEEDS_MAX = 250;
const ACCOUNTS: Theme = { ...PLAIN, accounts: true };
const COMPACTION: Theme = { ...PLAIN, compaction: true };
const CHANGES: Theme = { ...PLAIN, changes: true };
const OPAQUE: Theme = { ...PLAIN, opaque: true };

let image: BaseImage;
beforeAll(async () => {
  image = await createBaseImage();
});

/** The rules that histories break until one of them breaks this one. */
async function broken(rule: Rule, mutations: Mutations, theme: Theme, seeds: number): Promise<ReadonlySet<Rule>> {
  const rules = new Set<Rule>();
  for (const seed of range(1, seeds)) {
    const { violations } = await playHistory(image, seed, { mutations, theme });
    for (const violation of violations) rules.add(violation.rule);
    if (rules.has(rule)) break;
  }
  return rules;
}

describe('the simulation', () => {
  test('plays one history for one seed, step by step', async () => {
    for (const seed of [3, 5]) {
      const theme: Theme = { ...PLAIN, accounts: true, compaction: true, opaque: seed === 5, changes: seed === 5 };
      const first = await playHistory(image, seed, { theme });
      const again = await playHistory(image, seed, { theme });
      expect(first.notes.length).toBeGreaterThan(20);
      // keys are random and decide nothing, so the same account comes from another image too
      const elsewhere = await playHistory(await createBaseImage(), seed, { theme });
      expect(again.notes).toEqual(first.notes);
      expect(elsewhere.notes).toEqual(first.notes);
      expect(elsewhere.events).toBe(first.events);
    }
  });

  test('breaks no rule in the histories that once showed a fault', async () => {
    const summary = await playMany(FOUND_SEEDS);
    expect(summary.histories).toBe(FOUND_SEEDS.length);
  });
});

describe('what waits on a client’s disk', () => {
  test('is also a file that was not uploaded', () => {
    const view = createClientView(
      image.personas[0]!,
      createLedger(({ text }) => expect.fail(text)),
    );
    const key = keys.upload(new Uint8Array(32), 'upload');
    view.take([{ key, value: new Uint8Array(1) }]);
    expect(view.waiting.size).toBe(1);
    view.take([{ key, value: undefined }]);
    expect(view.waiting.size).toBe(0);
  });
});

describe('the checks see it when', () => {
  test.each<{ what: string; rule: Rule; mutations: () => Mutations; theme?: Theme; seeds?: number }>([
    {
      what: 'D1: the log does not compare',
      rule: 'one commit an epoch',
      mutations: () => ({ logWithoutCompare: true }),
    },
    {
      what: 'an answer says that something was taken that was not',
      rule: 'acknowledged is kept',
      mutations: () => ({ answersWhatWasLost: true }),
    },
    { what: 'D5: a server skips an entry', rule: 'nothing is parked', mutations: () => ({ skipsEntries: true }) },
    {
      what: 'D11: a server shows to all what is for one',
      rule: 'nothing outside the window',
      mutations: () => ({ answersAs: image.personas[0]!.device }),
    },
    { what: 'a server’s cursors lead back', rule: 'cursors only grow', mutations: () => ({ cursorsGoBack: true }) },
    {
      what: 'a client forgets how far its ratchets are',
      rule: 'no generation twice',
      mutations: () => ({ ratchetsNotStored: true }),
    },
    {
      what: 'a disk says too early that it has written',
      rule: 'nothing is parked',
      mutations: () => ({ durableLies: true }),
    },
    {
      what: 'D8: a server says yes to both who want a name',
      rule: 'one holder a name',
      mutations: () => ({ namesForAll: true }),
      theme: ACCOUNTS,
    },
    {
      what: 'D8: a server hands out one key package twice',
      rule: 'one claim a key package',
      mutations: () => ({ claimsAgain: true }),
    },
    {
      what: 'D18: a server goes on answering a device that was revoked',
      rule: 'nothing outside the window',
      mutations: () => ({ servesRevoked: true }),
      theme: ACCOUNTS,
    },
    {
      what: 'S5: a client does not show what happens to an account',
      rule: 'delivered exactly once',
      mutations: () => ({ accountsNotShown: true }),
      theme: ACCOUNTS,
    },
    {
      what: 'a server says that more is gone than is',
      rule: 'a gap is what was compacted',
      mutations: () => ({ gapsTooWide: true }),
      theme: COMPACTION,
    },
    {
      what: 'D5: a server does not say what is gone',
      rule: 'nothing is parked',
      mutations: () => ({ gapsHidden: true }),
      theme: COMPACTION,
    },
    {
      what: 'a client does not say what it missed',
      rule: 'delivered exactly once',
      mutations: () => ({ gapsNotTold: true }),
      theme: COMPACTION,
    },
    {
      what: 'a client says that it missed more than is gone',
      rule: 'no unexplained warning',
      mutations: () => ({ gapsOvertold: true }),
      theme: COMPACTION,
    },
    {
      what: 'a client says that it left a group that others are in',
      rule: 'who left is out',
      mutations: () => ({ leavesInWord: true }),
    },
    {
      what: 'a client says that it was taken out behind what it missed, and was not',
      rule: 'no unexplained warning',
      mutations: () => ({ endsOvertold: true }),
      theme: COMPACTION,
      seeds: RARE_SEEDS_MAX,
    },
    {
      what: 'a client names somebody else where members changed unseen',
      rule: 'no unexplained warning',
      mutations: () => ({ changesMisnamed: true }),
      theme: COMPACTION,
      seeds: RARE_SEEDS_MAX,
    },
    {
      what: 'a client says of a text in the log that it was not sent',
      rule: 'not sent is not there',
      mutations: () => ({ sentDenied: true }),
    },
    {
      what: 'a client stores an epoch that never was',
      rule: 'rosters are equal',
      mutations: () => ({ epochsInvented: true }),
    },
    {
      what: 'a client does not take a change of a message',
      rule: 'changes read alike',
      mutations: () => ({ changesNotStored: true }),
      theme: CHANGES,
    },
    {
      what: 'a client has a change change another message as well',
      rule: 'changes read alike',
      mutations: () => ({ changesSpread: true }),
      theme: CHANGES,
    },
    {
      what: 'a client keeps what a message said that was taken back',
      rule: 'changes read alike',
      mutations: () => ({ takenBackKept: true }),
      theme: CHANGES,
    },
    {
      what: 'a client tells that what came was read',
      rule: 'receipts are of what was shown',
      mutations: () => ({ readInWord: true }),
      theme: CHANGES,
    },
    {
      what: 'a client keeps that what was delivered was read',
      rule: 'receipts are of what was shown',
      mutations: () => ({ marksOverkept: true }),
      theme: CHANGES,
    },
    {
      what: 'a client listens again and again for one thing',
      rule: 'no internal failure',
      mutations: () => ({ listensOn: true }),
    },
    {
      what: 'a log that was written anew lost a message that is kept',
      rule: 'heads are equal',
      mutations: () => ({ rewritesTooMuch: true }),
      theme: COMPACTION,
    },
    {
      what: 'D11: a server keeps from a member that it was taken out',
      rule: 'all comes to rest',
      mutations: () => ({ removalsHidden: true }),
    },
    {
      what: 'D4: one node does not keep all that it folds',
      rule: 'tables are equal',
      mutations: () => ({ nodeForgets: true }),
    },
    {
      what: 'a committer of an opaque group does not declare whom it takes out',
      rule: 'rosters are equal',
      mutations: () => ({ declaresLess: true }),
      theme: OPAQUE,
    },
  ])('$what', async ({ rule, mutations, theme = PLAIN, seeds = SEEDS_MAX }) => {
    expect([...(await broken(rule, mutations(), theme, seeds))]).toContain(rule);
  });
});
