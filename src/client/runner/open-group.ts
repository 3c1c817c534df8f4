import { createGroup } from '../../mls/session/create.ts';
import { groupIdOf, newClientId } from '../../wire/ids.ts';
import { checkName } from '../../wire/names.ts';
import type { OpenOutcome } from '../chat-client.ts';
import { ClientError } from '../client-error.ts';
import type { EngineEnv, Group, Signal } from '../engine/types.ts';
import { emptyGroup } from '../engine/welcome.ts';
import type { ServerApi } from '../transport/server-api.ts';
import type { ChatState } from './chat-state.ts';
import { asClientError } from './failures.ts';
import { findByName } from './group-views.ts';
import type { Serial } from './serial.ts';
import type { Waiters } from './waiters.ts';

const GROUP_ID_BYTES = 32;
const CATCH_UP_TIMEOUT_MS = 60_000;
const CREATION_TIMEOUT_MS = 30_000;
/** How often a name may be taken and free again while we look. */
const ROUNDS_MAX = 4;

/**
 * A group by its name: the one this device is in; else an invitation that waits; else, when the name is free, a new
 * group with us as its administrator; else those who could invite us. Two who create at once: one does, the other
 * hears that the name is taken and whom to ask.
 *
 * @param options `handshakes: 'private'` makes a new group opaque; one that is there already stays what it is
 * @throws ClientError `invalid-name`, `unreachable`, `timeout`, `refused`
 */
export async function openGroupByName(
  world: {
    readonly env: EngineEnv;
    readonly api: ServerApi;
    readonly state: ChatState;
    readonly serial: Serial;
    readonly caughtUp: (timeoutMs: number) => Promise<void>;
    readonly creations: Waiters<Signal>;
  },
  typed: string,
  options: { readonly handshakes?: 'private' } = {},
): Promise<OpenOutcome> {
  const { api, state, caughtUp } = world;
  const check = checkName(typed);
  if (!check.ok) throw new ClientError('invalid-name', `${typed} is not a group name: ${check.reason}`);
  const { name } = check;
  const here = findByName(state.groups.values(), name);
  if (here?.phase === 'member' || here?.phase === 'parked') return { kind: 'member', group: here.id };
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    // an invitation that waits is in the log: it is used while catching up
    await caughtUp(CATCH_UP_TIMEOUT_MS);
    const joined = findByName(state.groups.values(), name);
    if (joined?.phase === 'member') return { kind: 'joined', group: joined.id };
    const { groups } = await api.groupsByName(name).catch((error: unknown) => {
      throw asClientError(error, 'looking for the group');
    });
    const [found] = groups;
    if (found !== undefined && !found.member) {
      return { kind: 'not-invited', administrators: found.administrators.map((person) => person.name) };
    }
    if (found === undefined) {
      const outcome = await create(world, name, joined?.phase === 'creating' ? joined : undefined, options);
      if (outcome !== undefined) return outcome;
    } else if (findByName(state.groups.values(), name) === undefined && round > 0) {
      throw new ClientError('refused', `this device is a member of #${name}, but its keys for it are lost`);
    }
  }
  if (findByName(state.groups.values(), name)?.phase === 'removed') {
    // left when nobody was there to commit that, see engine/leave.ts
    const until = 'counts as its member until somebody removes it; then it can be invited again';
    throw new ClientError('refused', `this device left #${name}, and ${until}`);
  }
  throw new ClientError('refused', `#${name} comes and goes; try again`);
}

async function create(
  world: Parameters<typeof openGroupByName>[0],
  name: string,
  begun: Group | undefined,
  options: { readonly handshakes?: 'private' },
): Promise<OpenOutcome | undefined> {
  const bytes = begun?.bytes ?? world.env.randomBytes(GROUP_ID_BYTES);
  const id = groupIdOf(bytes);
  const told = world.creations.wait(id, CREATION_TIMEOUT_MS);
  told.catch(() => {}); // looked at below, unless storing the group fails first
  if (begun === undefined) await beginCreation(world, name, bytes, options);
  const answer = await told;
  switch (answer.kind) {
    case 'created':
      return { kind: 'created', group: id };
    case 'creation-refused':
      throw new ClientError('refused', `the group was not created: ${answer.reason}`);
    default:
      return undefined; // somebody else was first: look again
  }
}

async function beginCreation(
  world: Parameters<typeof openGroupByName>[0],
  name: string,
  bytes: Uint8Array,
  options: { readonly handshakes?: 'private' },
): Promise<void> {
  const { env, serial, state } = world;
  const made = await createGroup(env.suite, env.config, {
    groupId: bytes,
    identity: env.me.identity,
    keys: env.me.keys,
    roles: { admins: [env.me.account], invite: 'admins', join: 'invite', ...options },
    now: env.now(),
  });
  const group: Group = {
    ...emptyGroup(bytes, name),
    ...options,
    phase: 'creating',
    mls: made.state,
    creation: { id: newClientId(env.now(), env.randomBytes), groupInfo: made.groupInfo },
  };
  await serial.run(async () => {
    const batch = state.begin();
    batch.take({ group, lines: [], signals: [], consumed: [] });
    await batch.commit();
  });
}
