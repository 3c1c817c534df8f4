import type { GroupId } from '../../src/wire/ids.ts';
import type { Scene } from './scene.ts';
import type { ServerNode } from './server-node.ts';
import type { SimulatedClient } from './simulated-client.ts';

/** What people do and what befalls the machines, each as one step of a history. */
export interface Happening {
  readonly weight: number;
  readonly happen: (scene: Scene) => void;
}

/** How long a trouble lasts at most, ms. */
export const TROUBLE_MS = 60_000;
/** A program or a node that is to be killed at a write is killed at one of its next so many. */
export const CRASH_WRITES = 6;

/** Those whose programs run. */
export const up = ({ clients }: Scene): SimulatedClient[] =>
  clients.filter(({ chat, hasFailed }) => chat !== undefined && !hasFailed);

/** Somebody who is in a group, as far as the own program knows. */
function somebody(scene: Scene): { readonly client: SimulatedClient; readonly group: GroupId } | undefined {
  const places = up(scene).flatMap((client) =>
    [...client.view.groups].flatMap(([group, { phase }]) => (phase === 'member' ? [{ client, group }] : [])),
  );
  return places.length === 0 ? undefined : scene.chance.pick(places);
}

export function withMember(act: (place: { client: SimulatedClient; group: GroupId }, scene: Scene) => void) {
  return (scene: Scene): void => {
    const place = somebody(scene);
    if (place !== undefined) act(place, scene);
  };
}

export function withClient(act: (client: SimulatedClient, scene: Scene) => void) {
  return (scene: Scene): void => {
    const there = up(scene);
    if (there.length > 0) act(scene.chance.pick(there), scene);
  };
}

export function withNode(act: (node: ServerNode, scene: Scene) => void) {
  return (scene: Scene): void => {
    const there = scene.nodes.filter(({ isUp }) => isUp);
    if (there.length > 0) act(scene.chance.pick(there), scene);
  };
}

/** A trouble that passes by itself. */
export function forAWhile({ time, chance }: Scene, end: () => void): void {
  time.after(chance.between(0, TROUBLE_MS), end);
}
