import { createChance } from './chance.ts';

/**
 * What a history has besides messages, commits and members that come and go. A history without any of it is made of the
 * same draws as ever, so seeds of such histories keep their meaning.
 */
export interface Theme {
  /** People register, link devices, revoke them, and take other names. */
  readonly accounts: boolean;
  /** The operator ends what is served of groups, and writes the log anew. */
  readonly compaction: boolean;
  /** The first group keeps its handshakes private: the server orders by what members declare. */
  readonly opaque: boolean;
  /** People change, take back and answer messages. */
  readonly changes: boolean;
  /** The log loses its newest events, and goes on as a new incarnation. */
  readonly restored: boolean;
}

export const PLAIN: Theme = { accounts: false, compaction: false, opaque: false, changes: false, restored: false };
export const THEMES = [
  'accounts',
  'compaction',
  'opaque',
  'changes',
  'restored',
] as const satisfies readonly (keyof Theme)[];

/** As the command line takes it. */
export function nameTheme(theme: Theme): string {
  return THEMES.filter((name) => theme[name]).join() || 'plain';
}

const OWN_SOURCE = 0x7e3e;
const LIKELINESS = {
  accounts: 0.3,
  compaction: 0.3,
  opaque: 0.2,
  changes: 0.3,
  restored: 0.15,
} as const satisfies Record<keyof Theme, number>;

/** The same for the same seed; takes nothing from the source that everything else is drawn from. */
export function drawTheme(seed: number): Theme {
  const chance = createChance(seed ^ OWN_SOURCE);
  const theme = {
    accounts: chance.hits(LIKELINESS.accounts),
    compaction: chance.hits(LIKELINESS.compaction),
    opaque: chance.hits(LIKELINESS.opaque),
    changes: chance.hits(LIKELINESS.changes), // what is drawn last changes nothing of what was drawn before
  };
  // a log that goes back is a theme of its own: what it does to the others is not known to the checks
  const isPlain = Object.values(theme).every((has) => !has);
  return { ...theme, restored: chance.hits(LIKELINESS.restored) && isPlain };
}
