import type { GroupId } from '../../src/wire/ids.ts';
import type { Scene } from './scene.ts';
import type { ServerNode } from './server-node.ts';
import type { SimulatedClient } from './simulated-client.ts';

/** What people do and what befalls the machines, each as one step of a history. */
interface Happening {
  readonly weight: number;
  readonly happen: (scene: Scene) => void;
}

const GROUP_NAMES = ['tea', 'cocoa'];
/** How long a trouble lasts at most, ms. */
const TROUBLE_MS = 60_000;
const CLOCK_OFF_MS = 100_000;
const CRASH_WRITES = 6;

const up = ({ clients }: Scene): SimulatedClient[] =>
  clients.filter(({ chat, hasFailed }) => chat !== undefined && !hasFailed);

/** Somebody who is in a group, as far as the own program knows. */
function somebody(scene: Scene): { readonly client: SimulatedClient; readonly group: GroupId } | undefined {
  const places = up(scene).flatMap((client) =>
    [...client.view.groups].flatMap(([group, { phase }]) => (phase === 'member' ? [{ client, group }] : [])),
  );
  return places.length === 0 ? undefined : scene.chance.pick(places);
}

function withMember(act: (place: { client: SimulatedClient; group: GroupId }, scene: Scene) => void) {
  return (scene: Scene): void => {
    const place = somebody(scene);
    if (place !== undefined) act(place, scene);
  };
}

function withClient(act: (client: SimulatedClient, scene: Scene) => void) {
  return (scene: Scene): void => {
    const there = up(scene);
    if (there.length > 0) act(scene.chance.pick(there), scene);
  };
}

function withNode(act: (node: ServerNode, scene: Scene) => void) {
  return (scene: Scene): void => {
    const there = scene.nodes.filter(({ isUp }) => isUp);
    if (there.length > 0) act(scene.chance.pick(there), scene);
  };
}

/** A trouble that passes by itself. */
function forAWhile({ time, chance }: Scene, end: () => void): void {
  time.after(chance.between(0, TROUBLE_MS), end);
}

let texts = 0;
export function resetTexts(): void {
  texts = 0;
}

function type({ client, group }: { client: SimulatedClient; group: GroupId }, { chance }: Scene): void {
  for (let i = 0; i <= chance.below(3); i += 1) {
    texts += 1;
    client.type(group, `${client.persona.name} ${texts}`);
  }
}

function others({ clients, chance }: Scene, { persona }: SimulatedClient): string {
  return chance.pick(clients.filter((client) => client.persona !== persona)).persona.name;
}

const HAPPENINGS: readonly Happening[] = [
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

const TOTAL_WEIGHT = HAPPENINGS.reduce((sum, { weight }) => sum + weight, 0);

export function happen(scene: Scene): void {
  let left = scene.chance.next() * TOTAL_WEIGHT;
  for (const { weight, happen: act } of HAPPENINGS) {
    left -= weight;
    if (left > 0) continue;
    act(scene);
    return;
  }
}
