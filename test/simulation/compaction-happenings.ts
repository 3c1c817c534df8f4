import { encodeEvent } from '../../src/log/envelope.ts';
import type { GroupCompacted } from '../../src/log/events.ts';
import { laneSubject } from '../../src/log/subjects.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { beforeOpenProposals } from '../../src/tools/compact/plan.ts';
import { removeMessages } from '../../src/tools/compact/remove-messages.ts';
import { fromBase64Url, toBase64Url } from '../../src/wire/bytes.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import type { GroupTruth } from './group-truth.ts';
import { type Happening, TROUBLE_MS, withClient } from './happening.ts';
import type { Scene } from './scene.ts';
import type { ServerNode } from './server-node.ts';

/** What the operator does, and what makes it matter: that somebody is away meanwhile. */
export const COMPACTION_HAPPENINGS: readonly Happening[] = [
  {
    weight: 4,
    happen: withClient((client, { time, chance }) => {
      client.awayUntil = time.now() + chance.between(0, TROUBLE_MS);
      client.kill();
    }),
  },
  {
    weight: 5,
    happen: (scene) => {
      const groups = [...scene.ledger.groups.values()].filter(({ entries }) => entries.length > 2);
      if (groups.length > 0) compact(scene, scene.chance.pick(groups));
    },
  },
  {
    weight: 1.5,
    happen: (scene) => {
      const current = scene.nodes.find(({ tables }) => tables?.standing.sequence === scene.log.events.length);
      if (current !== undefined) rewrite(scene, current);
    },
  },
  {
    weight: 1,
    happen: (scene) => {
      const node = scene.chance.pick(scene.nodes);
      node.kill();
      loseTables(scene, node);
    },
  },
];

/** As `mlsd compact` does: the operator has seen the entry before `logStart`, whatever the nodes come to meanwhile. */
function compact({ world, chance, log }: Scene, { id, entries }: GroupTruth): void {
  const wanted = 2 + chance.below(entries.length - 1);
  const logStart = beforeOpenProposals(
    entries.slice(0, wanted - 1).map(({ entry }) => entry),
    wanted,
  );
  const group = fromBase64Url(id)!;
  const { head } = entries[logStart - 2]!;
  const eventId = `compact-${id.slice(0, 8)}-${logStart}`;
  const event: GroupCompacted = {
    ...{ v: 1, type: 'group-compacted', id: eventId, time: world.epochMs + Math.floor(world.time.now()) },
    ...{ group, logStart, head },
  };
  world.fault('group compacted', `up to ${logStart} of ${entries.length}`);
  const subject = laneSubject({ kind: 'group-proposal', group });
  log.publish({ subject, eventId, bytes: encodeEvent(event) });
}

/** As `mlsd compact` of a stopped server goes on: the ciphertexts leave the log, and a node that folds it anew comes to the same. */
function rewrite(scene: Scene, current: ServerNode): void {
  const { world, nodes, log } = scene;
  const { readModel } = current;
  if (readModel === undefined) return;
  const spare = world.mutations.rewritesTooMuch === true ? Number.POSITIVE_INFINITY : 0;
  const idOf = (group: Uint8Array): GroupId => toBase64Url(group) as GroupId;
  const placements = {
    positionOf: (group: Uint8Array, device: DeviceId, id: string) => readModel.messagePosition(idOf(group), device, id),
    logStartOf: (group: Uint8Array): number => Math.max(spare, readModel.group(idOf(group))?.logStart ?? 1),
  };
  const count = log.rewrite((event) =>
    event.type === 'messages-sent' || event.type === 'messages-compacted'
      ? removeMessages(event, placements, nodeSha256)
      : undefined,
  );
  for (const node of nodes) node.kill();
  if (count === 0) return;
  world.fault('log written anew', `${count} events`);
  loseTables(scene, scene.chance.pick(nodes));
}

/** Damaged or gone: the next start folds the log from its beginning. */
function loseTables({ world, ledger }: Scene, { name, disk }: ServerNode): void {
  world.fault('tables lost', name);
  disk.rows.clear();
  disk.keys = [];
  ledger.forgotten(name);
}
