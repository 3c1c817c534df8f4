/** How fast this machine is at the moment: what one thread does when it does nothing but check Ed25519 signatures. */
import { createHash, generateKeyPairSync, sign, verify } from 'node:crypto';
import { perSecond, rate, round } from './figure.ts';

/** Of the machine that the absolute targets were set on: 106 µs a check, in the mean. */
const REFERENCE_CHECKS_PER_SECOND = 9_400;
const ROUNDS = 8;
/** Takes some 30 ms. */
const CHECKS_A_ROUND = 250;
/** Two measurements this far apart are of a machine that was slowed down in between. */
const STEADY_SHARE = 0.2;

export interface Machine {
  readonly checksPerSecond: number;
  /** Against the reference: 0.4 is a machine that takes 2.5 times as long. */
  readonly speed: number;
}

/** Best of several short rounds, which whoever else uses the machine disturbs least. */
export function measureMachine(): Machine {
  const timeChecks = createChecks();
  const rounds = Array.from({ length: ROUNDS }, timeChecks);
  return machineOf(perSecond(CHECKS_A_ROUND, Math.min(...rounds)));
}

/** A machine that did this many rounds of {@link createChecks} in the ms that each took. */
export function machineOfRounds(roundsMs: readonly number[]): Machine {
  const elapsedMs = roundsMs.reduce((sum, ms) => sum + ms, 0);
  return machineOf(perSecond(CHECKS_A_ROUND * roundsMs.length, elapsedMs));
}

function machineOf(checksPerSecond: number): Machine {
  return { checksPerSecond, speed: checksPerSecond / REFERENCE_CHECKS_PER_SECOND };
}

/** Does a round of checks, as many as always, and says how many ms it took. */
export function createChecks(): () => number {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const base = createHash('sha512').update('a signature base is a few hundred bytes').digest();
  const signature = sign(null, base, privateKey);
  return () => {
    const started = performance.now();
    for (let k = 0; k < CHECKS_A_ROUND; k += 1) {
      if (!verify(null, base, publicKey, signature)) throw new Error('does not verify');
    }
    return performance.now() - started;
  };
}

export function describeMachine({ checksPerSecond, speed }: Machine): string {
  return `${rate(checksPerSecond, 'Ed25519 checks')} on one thread, ${round(speed)} of the machine that absolute targets are of`;
}

/** What to tell of two measurements around a suite; `undefined` when they agree. */
export function describeChange(before: Machine, after: Machine): string | undefined {
  const [low, high] = [before.checksPerSecond, after.checksPerSecond].sort((a, b) => a - b) as [number, number];
  if (high - low <= STEADY_SHARE * high) return undefined;
  const [from, to] = [before, after].map((machine) => rate(machine.checksPerSecond, 'checks'));
  return `the machine changed its speed meanwhile (${from}, then ${to}): absolute figures of this suite say little`;
}

/** What a value has to reach on this machine, in words, and whether it does. */
export interface Target {
  readonly target: string;
  readonly met: (value: number) => boolean;
}

/** At least so many a second on the machine that targets are of; in proportion here. */
export function atLeastPerSecond({ speed }: Machine, count: number): Target {
  const here = count * speed;
  return { target: words('≥', `${count.toLocaleString('en')}/s`, rate(here, '')), met: (value) => value >= here };
}

/** Less than so many ms on the machine that targets are of; in proportion here. */
export function lessThanMs({ speed }: Machine, ms: number): Target {
  const here = ms / speed;
  return { target: words('<', `${ms.toLocaleString('en')} ms`, `${round(here)} ms`), met: (value) => value < here };
}

function words(sign: string, reference: string, here: string): string {
  return `${sign} ${reference} where Ed25519 checks run at ${rate(REFERENCE_CHECKS_PER_SECOND, '')}; here ${sign} ${here}`;
}
