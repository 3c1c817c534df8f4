import { groupIdOf, newClientId } from '../../wire/ids.ts';
import { checkName } from '../../wire/names.ts';
import type { JoinOutcome } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import { addIntention } from '../engine/intentions.ts';
import { type EngineEnv, type Group, type IntentionOutcome, step } from '../engine/types.ts';
import { emptyGroup } from '../engine/welcome.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';
import { asClientError, reasonOf } from './failures.ts';
import { findByName } from './group-views.ts';
import type { Serial } from './serial.ts';
import type { Waiters } from './waiters.ts';

const CATCH_UP_TIMEOUT_MS = 60_000;
const JOIN_TIMEOUT_MS = 60_000;

interface World {
  readonly env: EngineEnv;
  readonly api: ServerApi;
  readonly state: ChatState;
  readonly serial: Serial;
  readonly caughtUp: (timeoutMs: number) => Promise<void>;
  readonly outcomes: Waiters<IntentionOutcome>;
}

/**
 * Gets into a group that is there: the one this device is in; else by an invitation that waits; else, where everybody
 * may join, by an external commit; else says who could invite.
 *
 * @throws ClientError `invalid-name`, `unreachable`, `timeout`, `refused`
 */
export async function joinGroupByName(world: World, typed: string): Promise<JoinOutcome> {
  const { api, state, caughtUp } = world;
  const check = checkName(typed);
  if (!check.ok) throw new ClientError('invalid-name', `${typed} is not a group name: ${check.reason}`);
  const { name } = check;
  const here = findByName(state.groups.values(), name);
  if (here?.phase === 'member' || here?.phase === 'parked') return { kind: 'member', group: here.id };
  // an invitation that waits is in the log: it is used while catching up
  await caughtUp(CATCH_UP_TIMEOUT_MS);
  const joined = findByName(state.groups.values(), name);
  if (joined?.phase === 'member') return { kind: 'joined', group: joined.id };
  const { groups } = await api.groupsByName(name).catch((error: unknown) => {
    throw asClientError(error, 'looking for the group');
  });
  const [found] = groups;
  if (found === undefined) return { kind: 'no-such-group' };
  // who left when nobody was there to commit that counts as a member still
  if (found.join === 'open' && (!found.member || joined?.phase === 'removed'))
    return joinOpen(world, found.group, found.name);
  return { kind: 'not-invited', administrators: found.administrators.map((person) => person.name) };
}

async function joinOpen(world: World, served: Uint8Array, name: string): Promise<JoinOutcome> {
  const { env, state, serial, outcomes } = world;
  const bytes = served.slice();
  const id = groupIdOf(bytes);
  const intention = newClientId(env.now(), env.randomBytes);
  const told = outcomes.wait(intention, JOIN_TIMEOUT_MS);
  told.catch(() => {}); // looked at below, unless storing it fails first
  let before: Group | undefined;
  await serial.run(async () => {
    const batch = state.begin();
    before = batch.group(id);
    if (before?.phase === 'member' || before?.phase === 'joining') return;
    batch.take(addIntention(emptyGroup(bytes, name), intention, { kind: 'rejoin' }));
    await batch.commit();
  });
  if (before?.phase === 'member') return { kind: 'joined', group: id };
  if (before?.phase === 'joining') return { kind: 'refused', reason: 'this is being tried already' };
  const outcome = await told.catch((error: unknown): IntentionOutcome => {
    return { kind: 'refused', reason: reasonOf(error), settled: [] };
  });
  if (outcome.kind === 'done') return { kind: 'joined', group: id };
  await serial.run(async () => {
    // as if it had never been tried: an invitation may lead there
    const batch = state.begin();
    const present = batch.group(id);
    if (present?.phase !== 'joining' || present.intentions.length > 0) return;
    if (before === undefined) batch.remove(id);
    else batch.take(step(before));
    await batch.commit();
  });
  return { kind: 'refused', reason: outcome.reason };
}
