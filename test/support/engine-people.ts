/** Devices as the engine knows itself: keys, a directory of the others, and groups of them made without any server. */
import { createDirectory } from '../../src/client/engine/directory.ts';
import type { EngineEnv, Group, Needs, NeedsAnswer, Step } from '../../src/client/engine/types.ts';
import { emptyGroup } from '../../src/client/engine/welcome.ts';
import { createMlsConfig } from '../../src/mls/config.ts';
import { formatIdentity } from '../../src/mls/identity.ts';
import type { GroupRoles } from '../../src/mls/roles.ts';
import { createGroup } from '../../src/mls/session/create.ts';
import { createKeyPackage, generateSignatureKeys, type NewKeyPackage } from '../../src/mls/session/key-package.ts';
import type { GroupState } from '../../src/mls/session/state.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import type { AccountId, DeviceId } from '../../src/wire/ids.ts';

const DOMAIN = 'chat.example';
const DAY_MS = 86_400_000;
export const suite = createNodeSuite();
/** The time of everything in a test of the engine: its clock stands still. */
export const NOW = Date.now();

/** A device that knows nobody yet; its ids are its names, padded. */
export async function enginePerson(name: string, deviceName = `${name}d`): Promise<EngineEnv> {
  const account = name.padEnd(32, 'a') as AccountId;
  const device = deviceName.padEnd(32, 'a') as DeviceId;
  const directory = createDirectory(DOMAIN);
  return {
    suite,
    config: createMlsConfig({ validateCredential: (identity, key) => directory.validate(identity, key) }),
    sha256: nodeSha256,
    directory,
    me: {
      ...{ account, device, name, domain: DOMAIN, identity: formatIdentity({ domain: DOMAIN, account, device }) },
      keys: await generateSignatureKeys(suite),
    },
    now: () => NOW,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  };
}

/** Tells `to` (each of them, unless said otherwise) of the accounts of these devices, and which of these are revoked. */
export function introduce(
  devices: readonly EngineEnv[],
  { to = devices, revoked = [] }: { readonly to?: readonly EngineEnv[]; readonly revoked?: readonly EngineEnv[] } = {},
): void {
  for (const { directory } of to) {
    for (const { me } of devices) {
      const own = devices.filter((each) => each.me.account === me.account);
      directory.put({
        id: me.account,
        name: me.name,
        devices: own.map((each) => ({
          ...{ id: each.me.device, label: '', signatureKeys: [each.me.keys.signPublic] },
          revoked: revoked.includes(each),
        })),
        statements: [],
      });
    }
  }
}

export function keyPackageOf({ me }: EngineEnv): Promise<NewKeyPackage> {
  const { identity, keys } = me;
  return createKeyPackage(suite, { identity, keys, now: NOW, lifetimeMs: DAY_MS, lastResort: false });
}

/** A group that this device alone is in. It administers it, unless others are named. */
export async function newGroup(
  { me, config }: EngineEnv,
  { roles = {}, groupId = crypto.getRandomValues(new Uint8Array(32)) }: NewGroupOptions = {},
): Promise<{ readonly groupId: Uint8Array; readonly state: GroupState }> {
  const { account, identity, keys } = me;
  const all = { admins: [account], invite: 'admins', join: 'invite', ...roles } as const;
  const { state } = await createGroup(suite, config, { groupId, identity, keys, roles: all, now: NOW });
  return { groupId, state };
}

interface NewGroupOptions {
  readonly roles?: Partial<GroupRoles>;
  readonly groupId?: Uint8Array;
}

/** The group as the client has it who is in this state. */
export function memberOf(groupId: Uint8Array, mls: GroupState, more: Partial<Group> = {}): Group {
  return { ...emptyGroup(groupId, 'tea'), phase: 'member', mls, ...more };
}

/** What a step leads to; fails when it needs something first. */
export async function given(result: Promise<Outcome> | Outcome): Promise<Step> {
  const step = await result;
  if (!('lines' in step)) throw new Error(step.kind);
  return step;
}

type Outcome = Step | Needs | NeedsAnswer;
