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
 * The log was replaced: whether the server has what it said it took is open again, and where. Asked again with the same ids, it says
 * what stands in the log that it has now, and places what it lost (D16).
 */
export function askAgain(group: Group): Group {
  const { outbox, pending, leaving, creation } = group;
  if (creation !== undefined) return { ...group, creation: { ...creation, asked: (creation.asked ?? 0) + 1 } };
  if (!outbox.some(({ accepted }) => accepted) && pending?.accepted !== true && leaving?.accepted !== true)
    return group;
  return {
    ...group,
    outbox: outbox.map(asked),
    ...(pending === undefined ? {} : { pending: asked(pending) }),
    ...(leaving === undefined ? {} : { leaving: { ...leaving, accepted: false } }),
  };
}

function asked<Item extends { readonly accepted: boolean; readonly promisedAt?: number }>(
  item: Item,
): Omit<Item, 'promisedAt'> & { readonly accepted: false } {
  const { promisedAt: _at, ...rest } = item;
  return { ...rest, accepted: false };
}

/**
 * The log went back and ends at `end`, before what was read here. What comes after `end` from now on is another
 * history: an invitation or a rejoin may lead into it, nothing else. Of a group that was out of service before nothing is said, unless
 * what took this device out is lost too: whoever is shown the end of a group is a member of it.
 */
export function parkAtEnd(group: Group, end: number, time: number): Step {
  const reason = `The server's log went back: entry ${group.position}, which was read here, is no longer in it`;
  const back: Group = { ...withoutChain(askAgain(group)), position: end };
  const isBackIn = group.phase === 'removed' && end > 0;
  return group.phase === 'member' || isBackIn ? park(back, reason, time) : step(back);
}

/** A group whose log goes on in another history: the chain of this one leads nowhere, and where texts could stand was of it too. */
export function withoutChain(group: Group): Group {
  const { head: _head, heads: _heads, ...rest } = group;
  return { ...rest, isOfLost: true, outbox: rest.outbox.map(({ sealedAfter: _after, ...item }) => item) };
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
