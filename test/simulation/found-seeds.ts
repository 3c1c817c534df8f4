import { PLAIN, type Theme } from './theme.ts';

const ACCOUNTS: Theme = { ...PLAIN, accounts: true };
const COMPACTION: Theme = { ...PLAIN, compaction: true };
const RESTORED: Theme = { ...PLAIN, restored: true };

/**
 * Seeds whose histories showed a fault of the program, or of the checks, and what it was. They are played in every run; where the
 * simulation itself has changed since, a seed stands for another history, and the sentence for what to look for.
 */
export const FOUND_SEEDS: readonly { readonly seed: number; readonly theme: Theme; readonly fault: string }[] = [
  {
    seed: 2,
    theme: PLAIN,
    fault: 'two texts went into one transaction; it failed, and one of the two was said to be stored',
  },
  {
    seed: 48,
    theme: PLAIN,
    fault: 'a member joined again while texts were on their way: they were encrypted anew, and placed twice',
  },
  {
    seed: 77,
    theme: PLAIN,
    fault: 'a node behind the log called an epoch it had not seen a conflict; texts were encrypted for nothing',
  },
  {
    seed: 240,
    theme: PLAIN,
    fault: 'a commit that added two strangers at once left a rejection that nobody heard, which ends a process',
  },
  {
    seed: 333,
    theme: PLAIN,
    fault: 'who was leaving dropped its own proposal, and could not read the commit that carried it out',
  },
  {
    seed: 350,
    theme: PLAIN,
    fault: 'texts of a member that joined again were numbered twice, and their receivers missed the first numbers',
  },
  { seed: 380, theme: PLAIN, fault: 'younger texts were numbered before older ones that had to be encrypted anew' },
  {
    seed: 1877,
    theme: PLAIN,
    fault: 'whoever was taken out before the answer came was told that nothing was sent, though it was placed',
  },
  {
    seed: 68,
    theme: ACCOUNTS,
    fault:
      'a program that was being closed told its person that the server cannot be trusted, for a record that was late',
  },
  {
    seed: 213,
    theme: ACCOUNTS,
    fault:
      'a device that had just been revoked stopped as if it had failed, and what it held could not be read any more',
  },
  {
    seed: 49,
    theme: COMPACTION,
    fault: 'the only member of a group could never use it again when an own text was compacted before it came back',
  },
  {
    seed: 59,
    theme: COMPACTION,
    fault: 'a text stayed in the outbox for ever when its group had ended for the device in what was compacted',
  },
  {
    seed: 154,
    theme: COMPACTION,
    fault: 'a group’s log was made to begin between a proposal and its commit, which a member could not process then',
  },
  {
    seed: 647,
    theme: { ...COMPACTION, accounts: true },
    fault: 'an own commit was compacted before it came back, and an only member cannot join its group again',
  },
  {
    seed: 1618,
    theme: { ...COMPACTION, opaque: true },
    fault:
      'an own commit was compacted before it was answered; what had ended the epoch was said to be somebody else’s',
  },
  {
    seed: 1068,
    theme: ACCOUNTS,
    fault:
      'a text was said to be not sent as its device was taken out; it was late, placed when the device was back, not shown',
  },
  {
    seed: 50346,
    theme: ACCOUNTS,
    fault: 'a text that was typed in the moment its group ended for the device stayed in the outbox for ever',
  },
  {
    seed: 1837,
    theme: COMPACTION,
    fault:
      'a member that was taken out behind what was compacted tried again and again to join, and was never told why',
  },
  {
    seed: 2728,
    theme: ACCOUNTS,
    fault:
      'an invitation was read while an own join from outside was on its way: that join was taken for a removal then',
  },
  {
    seed: 2780,
    theme: { ...PLAIN, accounts: true, opaque: true },
    fault: 'an account record that one node had not yet, and another had, was called a lie of the server',
  },
  {
    seed: 167,
    theme: COMPACTION,
    fault: 'a text was sent again after it was compacted; the answer had no receipt, which was held against the server',
  },
  {
    seed: 60382,
    theme: { ...PLAIN, accounts: true, opaque: true },
    fault:
      'a leave was taken, then the only other member was expelled: nobody could commit it, and it was asked for ever',
  },
  {
    seed: 3800,
    theme: COMPACTION,
    fault:
      'a text that was compacted unheard was encrypted anew without being asked for; a number was missing then, and told',
  },
  {
    seed: 200036,
    theme: { ...PLAIN, accounts: true, opaque: true },
    fault:
      'the only administrator’s only device was revoked and taken out: members were warned of it, and no leave was carried out any more',
  },
  {
    seed: 301873,
    theme: { ...PLAIN, accounts: true, compaction: true },
    fault:
      'the check of “never came” did not count what another device of the own account had sent as heard, and called a true warning false',
  },
  {
    seed: 401497,
    theme: PLAIN,
    fault:
      'a commit was placed and asked for again: a node that had not seen it called it invalid, and its maker could not read it',
  },
  {
    seed: 402535,
    theme: COMPACTION,
    fault:
      'texts without an answer were compacted unheard, then their sender was taken out: they were said to be not sent, and were in the log',
  },
  {
    seed: 9,
    theme: RESTORED,
    fault: 'a node that had not heard that its log went back answered new messages with the places of others',
  },
  {
    seed: 8,
    theme: RESTORED,
    fault: 'a group whose log went back by an epoch could not be joined again: the server offers an epoch that is over',
  },
  {
    seed: 7,
    theme: RESTORED,
    fault: 'whoever was taken out in what the log lost was never told that it is a member again',
  },
  {
    seed: 137,
    theme: RESTORED,
    fault:
      'an answer of the lost log came after the comparison: the text was never asked for again, the server accused',
  },
  {
    seed: 223,
    theme: RESTORED,
    fault:
      'a text placed in the new log by a request of before was not looked for there, and held up all that was typed later',
  },
  {
    seed: 563,
    theme: RESTORED,
    fault: 'an event that was appended and lost before any node had folded it was answered as a failure of the server',
  },
  {
    seed: 338,
    theme: RESTORED,
    fault: 'checks: a log that was away came back without its end after a backup had been restored that held less',
  },
  {
    seed: 507,
    theme: RESTORED,
    fault: 'checks: what was typed at a place of the lost history was held to be typed after a removal in the new one',
  },
  {
    seed: 234,
    theme: RESTORED,
    fault: 'checks: a group that was parked when its log went back was an offence after its disk had lost its newest',
  },
];
