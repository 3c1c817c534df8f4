import type { GroupId } from '../../src/wire/ids.ts';
import {
  CRASH_WRITES,
  forAWhile,
  type Happening,
  TROUBLE_MS,
  up,
  withClient,
  withMember,
  withNode,
} from './happening.ts';
import type { Scene } from './scene.ts';
import type { SimulatedClient } from './simulated-client.ts';

const GROUP_NAMES = ['tea', 'cocoa'];
const CLOCK_OFF_MS = 100_000;

let texts = 0;
export function resetTexts(): void {
  texts = 0;
}

/** A text that nobody typed before in this history. */
export function nextText({ persona: { name } }: SimulatedClient): string {
  texts += 1;
  return `${name} ${texts}`;
}

function type({ client, group }: { client: SimulatedClient; group: GroupId }, { chance }: Scene): void {
  for (let i = 0; i <= chance.below(3); i += 1) client.type(group, nextText(client));
}

function others({ clients, chance, ledger }: Scene, { persona }: SimulatedClient): string {
  const { account, user } = chance.pick(clients.filter((client) => client.persona.account !== persona.account)).persona;
  return ledger.accounts.nameOf(account) ?? user;
}

/** What happens in every history. */
export const HAPPENINGS: readonly Happening[] = [
  { weight: 12, happen: withMember(type) },
  {
    weight: 3,
    happen: withMember(({ client, group }, scene) => {
      const who = others(scene, client);
      client.do(`invites ${who}`, (chat) => chat.invite(group, [who]));
    }),
  },
  {
    weight: 2,
    happen: withMember(({ client, group }, scene) => {
      const who = others(scene, client);
      client.do(`removes ${who}`, (chat) => chat.remove(group, [who]));
    }),
  },
  { weight: 1, happen: withMember(({ client, group }) => client.do('leaves', (chat) => chat.leave(group))) },
  { weight: 2, happen: withMember(({ client, group }) => client.do('rotates', (chat) => chat.rotate(group))) },
  { weight: 1, happen: withMember(({ client, group }) => client.do('rejoins', (chat) => chat.rejoin(group))) },
  {
    // everybody in a group at one moment
    weight: 2,
    happen: withMember(({ group }, scene) => {
      for (const client of up(scene)) {
        if (client.view.groups.get(group)?.phase === 'member') client.do('rotates', (chat) => chat.rotate(group));
      }
    }),
  },
  {
    weight: 1,
    happen: withClient((client, { chance }) => {
      const name = chance.pick(GROUP_NAMES);
      client.do(`opens #${name}`, (chat) => chat.openGroup(name));
    }),
  },
  {
    weight: 1,
    happen: withClient((client, { chance }) => {
      client.disk.crash = { in: 1 + chance.below(CRASH_WRITES), applied: chance.hits(0.5) };
    }),
  },
  { weight: 1, happen: withClient((client) => client.kill()) },
  {
    weight: 1,
    happen: withClient((client, { world }) => {
      world.fault('client lost its power', `${client.persona.name}, ${client.disk.unflushed} not flushed`);
      client.kill();
      client.disk.losePower();
      client.view.reload(client.disk.rows);
    }),
  },
  { weight: 1, happen: withClient((client) => void client.quit()) },
  {
    weight: 0.5,
    happen: withClient((client, scene) => {
      scene.world.fault('client disk full', client.persona.name);
      client.disk.isFull = true;
      forAWhile(scene, () => {
        client.disk.isFull = false;
      });
    }),
  },
  {
    weight: 1,
    happen: withClient((client, scene) => {
      const { network } = client;
      scene.world.fault('client cut off', client.persona.name);
      network.isCutOff = true;
      if (scene.chance.hits(0.5)) network.breakStreams();
      forAWhile(scene, () => {
        network.isCutOff = false;
      });
    }),
  },
  {
    weight: 2,
    happen: withClient(({ network }, { chance, nodes }) => {
      network.node = chance.pick(nodes);
      network.breakStreams();
    }),
  },
  {
    weight: 1,
    happen: withClient((client, { world, time, chance }) => {
      world.fault('slow reader', client.persona.name);
      client.network.slowUntil = time.now() + chance.between(0, TROUBLE_MS);
    }),
  },
  {
    weight: 1,
    happen: withClient((client, { world, chance }) => {
      world.fault('clock set', client.persona.name);
      client.network.clock.skewMs = Math.round(chance.between(-CLOCK_OFF_MS, CLOCK_OFF_MS));
    }),
  },
  {
    weight: 0.5,
    happen: withNode((node, { world, chance }) => {
      world.fault('clock set', node.name);
      node.clock.skewMs = Math.round(chance.between(-CLOCK_OFF_MS, CLOCK_OFF_MS));
    }),
  },
  {
    weight: 2,
    happen: withNode((node, { chance }) => {
      const place = chance.pick(['write', 'append'] as const);
      node.crash = { place, in: 1 + chance.below(CRASH_WRITES), applied: chance.hits(0.5) };
    }),
  },
  {
    weight: 1,
    happen: withNode((node, scene) => {
      scene.world.fault('node cut off from the log', node.name);
      node.cut();
      forAWhile(scene, () => node.mend());
    }),
  },
  {
    weight: 2,
    happen: withNode((node, { world, time, chance }) => {
      world.fault('node behind', node.name);
      node.behindUntil = time.now() + chance.between(0, TROUBLE_MS);
    }),
  },
  {
    weight: 0.5,
    happen(scene) {
      scene.world.fault('log full');
      scene.log.isFull = true;
      forAWhile(scene, () => {
        scene.log.isFull = false;
      });
    },
  },
];

export function happen(scene: Scene): void {
  let left = scene.chance.next() * scene.happenings.reduce((sum, { weight }) => sum + weight, 0);
  for (const { weight, happen: act } of scene.happenings) {
    left -= weight;
    if (left > 0) continue;
    act(scene);
    return;
  }
}
