import type { Chance } from './chance.ts';

/** Every way in which something goes wrong here; counted, so that a run can show that it had them. */
export const FAULT_KINDS = [
  'client killed before a write',
  'client killed after a write',
  'client lost its power',
  'client disk full',
  'server killed before a write',
  'server killed after a write',
  'server killed before an append',
  'server killed after an append',
  'request lost',
  'request twice',
  'request twice, to another node',
  'request late',
  'answer lost',
  'stream cut',
  'client cut off',
  'node cut off from the log',
  'append lost',
  'acknowledgement lost',
  'node behind',
  'log full',
  'slow reader',
  'clock set',
  'two nodes at one lane',
  'one name wanted by all',
  'device revoked',
  'group compacted',
  'log written anew',
  'tables lost',
  'log restored',
  'log lost its end',
  'log went back under a node',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];
export type FaultCounts = Map<FaultKind, number>;

/** How unkind the world of one history is. Drawn anew for each: some worlds have one fault only, some have all. */
export interface Weather {
  /** Packets between client and server. */
  readonly requestLost: number;
  readonly requestTwice: number;
  readonly answerLost: number;
  readonly lateness: number;
  readonly streamCut: number;
  /** Messages between server and log. */
  readonly appendLost: number;
  readonly ackLost: number;
  /** Longest time a packet takes when nothing is wrong, ms. */
  readonly delayMs: number;
  /** Longest time a node takes to see what is in the log, ms. */
  readonly foldMs: number;
  /** Whether the stream refuses a repeated event by its expectation instead of by its id. */
  readonly comparesFirst: boolean;
}

export function drawWeather(chance: Chance): Weather {
  const maybe = (most: number): number => (chance.hits(0.5) ? 0 : chance.next() * most);
  return {
    requestLost: maybe(0.2),
    requestTwice: maybe(0.3),
    answerLost: maybe(0.2),
    lateness: maybe(0.2),
    streamCut: maybe(0.1),
    appendLost: maybe(0.2),
    ackLost: maybe(0.2),
    delayMs: chance.pick([2, 20, 200]),
    foldMs: chance.pick([1, 20, 500]),
    comparesFirst: chance.hits(0.5),
  };
}

export const FAIR_WEATHER: Weather = {
  requestLost: 0,
  requestTwice: 0,
  answerLost: 0,
  lateness: 0,
  streamCut: 0,
  appendLost: 0,
  ackLost: 0,
  delayMs: 2,
  foldMs: 1,
  comparesFirst: false,
};
