import { type Received, receive } from '../../mls/session/receive.ts';
import { epochOf } from '../../mls/session/state.ts';
import type { HandshakeEntry, MessageEntry } from '../../wire/entry.ts';
import { refuseAll } from './intentions.ts';
import { type EngineEnv, type Group, type LineDraft, type Step, step } from './types.ts';

/** Takes the group out of service at the entry after `position`: visible, and the other groups go on. */
export function park(group: Group, reason: string, time: number): Step {
  if (group.phase === 'parked') return step(group);
  const line: LineDraft = {
    kind: 'warning',
    time,
    text: `${reason}. Nothing after it can be read here; /rejoin joins the group again.`,
  };
  // the texts that wait stay: they can go out after a rejoin; commits cannot, they start from a state that is wrong
  const refused = refuseAll(group, 'the group is parked, /rejoin first');
  return step({ ...refused.group, phase: 'parked', parkedReason: reason }, { lines: [line], signals: refused.signals });
}

/**
 * The log went back and ends at `end`, before what was read here. What comes after `end` from now on is another
 * history: an invitation or a rejoin may lead into it, nothing else.
 */
export function parkAtEnd(group: Group, end: number, time: number): Step {
  const reason = `The server's log went back: entry ${group.position}, which was read here, is no longer in it`;
  const { head: _head, ...rest } = group;
  // where texts stood, or could stand, was of the history that is gone
  const outbox = group.outbox.map(({ sealedAfter: _after, promisedAt: _at, ...item }) => item);
  return park({ ...rest, outbox, position: end }, reason, time);
}

/** A rejection with accounts missing says nothing yet: see {@link Directory.takeMissing}. */
export async function receiveIn(env: EngineEnv, group: Group, entry: MessageEntry | HandshakeEntry): Promise<Received> {
  env.directory.takeMissing();
  if (group.mls === undefined) return { kind: 'rejected', code: 'not-active' };
  return receive(env.suite, group.mls, entry.payload);
}

/** Counters of epochs that can no longer be read are dropped, so the map stays as small as the retention. */
export function keepRecentGenerations(group: Group, pastEpochs: number): ReadonlyMap<string, number> {
  if (group.mls === undefined) return new Map();
  const oldest = epochOf(group.mls) - pastEpochs;
  return new Map([...group.generations].filter(([key]) => Number(key.slice(0, key.indexOf('/'))) >= oldest));
}
