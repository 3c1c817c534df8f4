import type { ChatClient, Done } from '../../src/client/chat-client.ts';
import { CRASH_WRITES, type Happening, up, withClient } from './happening.ts';
import type { Scene } from './scene.ts';
import type { SimulatedClient } from './simulated-client.ts';

/** Few, so that people are after the same ones. */
const WANTED_NAMES = ['anna', 'ben', 'eve', 'zoe', 'Zoe'];

/** Devices of the account that this client is a device of. */
function siblings({ clients }: Scene, { persona }: SimulatedClient): SimulatedClient[] {
  return clients.filter((other) => other.persona !== persona && other.persona.account === persona.account);
}

function offersTo(scene: Scene, client: SimulatedClient): SimulatedClient[] {
  const { accounts } = scene.ledger;
  return siblings(scene, client).filter(
    ({ offer, persona: { device } }) => offer !== undefined && !accounts.isValid(device) && !accounts.isRevoked(device),
  );
}

/** Adds all machines of the same account that show an offer. */
export function linkAll(scene: Scene, client: SimulatedClient): void {
  for (const { offer, persona } of offersTo(scene, client)) {
    client.do(`links ${persona.name}`, (chat) => chat.link(offer!));
  }
}

function revoke({ world }: Scene, client: SimulatedClient, { persona: { name, device } }: SimulatedClient): void {
  world.fault('device revoked', name);
  client.do(`revokes ${name}`, (chat) => chat.revoke(device));
}

function rename(client: SimulatedClient, name: string): void {
  client.do(`wants to be called ${name}`, (chat: ChatClient): Promise<Done> => chat.rename(name));
}

/** What people do with their accounts and devices. */
export const ACCOUNT_HAPPENINGS: readonly Happening[] = [
  {
    weight: 8,
    happen: (scene) => {
      const linking = up(scene).filter((client) => offersTo(scene, client).length > 0);
      if (linking.length > 0) linkAll(scene, scene.chance.pick(linking));
    },
  },
  {
    weight: 3,
    happen: (scene) => {
      const pairs = up(scene).flatMap((client) => siblings(scene, client).map((other) => ({ client, other })));
      const able = pairs.filter(({ other }) => scene.ledger.accounts.isValid(other.persona.device));
      if (able.length === 0) return;
      const { client, other } = scene.chance.pick(able);
      revoke(scene, client, other);
    },
  },
  {
    // two devices of one account, each against the other
    weight: 1,
    happen: (scene) => {
      for (const client of up(scene)) {
        for (const other of siblings(scene, client)) if (other.chat !== undefined) revoke(scene, client, other);
      }
    },
  },
  { weight: 1.5, happen: withClient((client, { chance }) => rename(client, chance.pick(WANTED_NAMES))) },
  {
    weight: 1.5,
    happen: (scene) => {
      const name = scene.chance.pick(WANTED_NAMES);
      scene.world.fault('one name wanted by all', name);
      for (const client of up(scene)) rename(client, name);
    },
  },
  {
    // those that are about to register or to be linked
    weight: 3,
    happen: ({ clients, chance }) => {
      const starting = clients.filter(({ persona, chat }) => persona.kind !== 'registered' && chat === undefined);
      if (starting.length === 0) return;
      chance.pick(starting).disk.crash = { in: 1 + chance.below(CRASH_WRITES), applied: chance.hits(0.5) };
    },
  },
];
