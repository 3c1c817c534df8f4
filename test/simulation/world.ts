import type { DeviceId } from '../../src/wire/ids.ts';
import type { Chance } from './chance.ts';
import type { FaultCounts, FaultKind, Weather } from './faults.ts';
import type { Violation } from './violation.ts';
import type { VirtualTime } from './virtual-time.ts';

/** Rules that can be broken on purpose, to see that the checks notice. */
export interface Mutations {
  /** The log takes every append, whatever it expects. */
  readonly logWithoutCompare?: boolean;
  /** A message that was lost on its way is answered all the same. */
  readonly answersWhatWasLost?: boolean;
  /** A server leaves out one entry of a page. */
  readonly skipsEntries?: boolean;
  /** A server answers everybody as if this device had asked. */
  readonly answersAs?: DeviceId;
  /** A server gives cursors that lead back. */
  readonly cursorsGoBack?: boolean;
  /** A client does not store how far its ratchets are. */
  readonly ratchetsNotStored?: boolean;
  /** A client's store says that something is durable, and it is not. */
  readonly durableLies?: boolean;
  /** A server says yes to everybody who wants to register a name. */
  readonly namesForAll?: boolean;
  /** A server hands out one key package again and again. */
  readonly claimsAgain?: boolean;
  /** A server goes on answering devices that were revoked. */
  readonly servesRevoked?: boolean;
  /** A client does not show what happens to accounts. */
  readonly accountsNotShown?: boolean;
  /** A server says that it no longer has what it has. */
  readonly gapsTooWide?: boolean;
  /** A server does not say what it no longer has. */
  readonly gapsHidden?: boolean;
  /** A client does not say what it missed. */
  readonly gapsNotTold?: boolean;
  /** A client says that it missed more than is gone. */
  readonly gapsOvertold?: boolean;
  /** A client says that it was taken out behind what it missed, and was not. */
  readonly endsOvertold?: boolean;
  /** A client names somebody else where members changed unseen. */
  readonly changesMisnamed?: boolean;
  /** A client that is taken out says that a text was not sent that was. */
  readonly sentDenied?: boolean;
  /** A client stores epochs that never were. */
  readonly epochsInvented?: boolean;
  /** A client leaves lines as they are that change later. */
  readonly changesNotStored?: boolean;
  /** A client keeps what a message said that was taken back. */
  readonly takenBackKept?: boolean;
  /** A client that takes a change has it change another message as well. */
  readonly changesSpread?: boolean;
  /** A client tells that everything was read that came. */
  readonly readInWord?: boolean;
  /** A client keeps that everything was read that was delivered. */
  readonly marksOverkept?: boolean;
  /** A client listens for its end again with whatever a stream brings. */
  readonly listensOn?: boolean;
  /** A client says that it left a group that others are in. */
  readonly leavesInWord?: boolean;
  /** Writing the log anew loses a message of those that are kept. */
  readonly rewritesTooMuch?: boolean;
  /** A server keeps from whoever is taken out of a group that it was. */
  readonly removalsHidden?: boolean;
  /** A committer of an opaque group does not declare whom it takes out. */
  readonly declaresLess?: boolean;
  /** One node does not keep all that it folds. */
  readonly nodeForgets?: boolean;
}

/** What all parts of one history share. */
export interface World {
  readonly time: VirtualTime;
  readonly chance: Chance;
  /** Milliseconds since 1970 at virtual time 0. */
  readonly epochMs: number;
  weather: Weather;
  readonly counts: FaultCounts;
  readonly mutations: Mutations;
  /** Keeps the account of a history, for whoever wants to read it. */
  note(text: string): void;
  fault(kind: FaultKind, about?: string): void;
  /** The history has shown something that must not be. */
  violate(violation: Violation): void;
}

/** The wall clock of somebody whose clock may be wrong. */
export interface Clock {
  skewMs: number;
  now(): number;
}

export function createClock(world: World, skewMs = 0): Clock {
  const clock: Clock = {
    skewMs,
    now: () => world.epochMs + Math.floor(world.time.now()) + clock.skewMs,
  };
  return clock;
}
