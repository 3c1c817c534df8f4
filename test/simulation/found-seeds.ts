/**
 * Seeds whose histories showed a fault of the program, and what it was. They are played in every run; where the
 * simulation itself has changed since, a seed stands for another history, and the sentence for what to look for.
 */
export const FOUND_SEEDS: readonly { readonly seed: number; readonly fault: string }[] = [
  { seed: 2, fault: 'two texts went into one transaction; it failed, and one of the two was said to be stored' },
  {
    seed: 48,
    fault: 'a member joined again while texts were on their way: they were encrypted anew, and placed twice',
  },
  {
    seed: 77,
    fault: 'a node behind the log called an epoch it had not seen a conflict; texts were encrypted for nothing',
  },
  {
    seed: 240,
    fault: 'a commit that added two strangers at once left a rejection that nobody heard, which ends a process',
  },
  { seed: 333, fault: 'who was leaving dropped its own proposal, and could not read the commit that carried it out' },
  {
    seed: 350,
    fault: 'texts of a member that joined again were numbered twice, and their receivers missed the first numbers',
  },
  { seed: 380, fault: 'younger texts were numbered before older ones that had to be encrypted anew' },
  {
    seed: 1877,
    fault: 'whoever was taken out before the answer came was told that nothing was sent, though it was placed',
  },
];
