import { encodeEvent } from '../../src/log/envelope.ts';
import type { LogStarted } from '../../src/log/events.ts';
import { LOG_LANE, laneSubject } from '../../src/log/subjects.ts';
import { asksToRejoin } from './gone-back.ts';
import type { Happening } from './happening.ts';
import { DOMAIN } from './node-api.ts';
import type { Scene } from './scene.ts';

/** How long the log is away when it loses its end, ms. */
const OUTAGE_MS = 5_000;
/** A power cut costs few events; a backup may be as old as the history. */
const LOST_MAX = 12;

/** Whoever is told to join a group again tries so often. */
const REJOINS = 2;

/** What befalls the log, and what its operator does about it. */
export const RESTORED_HAPPENINGS: readonly Happening[] = [
  {
    // a backup: the log up to here, and tables that it holds all of
    weight: 4,
    happen: (scene) => {
      const { nodes, log, chance } = scene;
      const whole = nodes.filter(({ isReady, isRefused }) => isReady && !isRefused);
      if (whole.length === 0) return;
      const { disk } = chance.pick(whole);
      scene.backups.push({ end: log.events.length, rows: new Map(disk.rows), keys: disk.keys.slice() });
      scene.world.note(`a backup of ${log.events.length} events`);
    },
  },
  { weight: 4, happen: restore },
  { weight: 3, happen: losePower },
];

/** Nodes that say that the log is not theirs are started again by somebody who accepts that. */
export function operate({ nodes, chance }: Scene, likeliness: number): void {
  for (const node of nodes) if (node.isRefused && chance.hits(likeliness)) node.acceptRollback();
}

/** As `mlsd restore` does: the log of a backup, as a new incarnation. Each node has the tables of the backup, none, or still its own. */
function restore({ nodes, log, world, ledger, chance, backups, firstLosable }: Scene): void {
  const possible = backups.filter(({ end }) => end >= firstLosable() && end < log.events.length);
  if (possible.length === 0) return;
  const backup = chance.pick(possible);
  for (const node of nodes) node.kill();
  world.fault('log restored', `${backup.end} of ${log.events.length} events`);
  log.goBack(backup.end);
  ledger.wentBack(log.events);
  for (const other of [...backups]) if (other.end > backup.end) backups.splice(backups.indexOf(other), 1);
  for (const { name, disk } of nodes) {
    const tables = chance.pick(['restored', 'none', 'stale'] as const);
    if (tables === 'stale') continue;
    disk.rows.clear();
    disk.keys = [];
    if (tables === 'restored') {
      for (const [key, value] of backup.rows) disk.rows.set(key, value);
      disk.keys = backup.keys.slice();
    }
    ledger.forgotten(name);
  }
  const id = `restored-${chance.below(0x1_0000_0000)}`;
  const time = world.epochMs + Math.floor(world.time.now());
  const started: LogStarted = { v: 1, type: 'log-started', id, time, incarnation: id, domain: DOMAIN };
  log.publish({ subject: laneSubject(LOG_LANE), eventId: id, bytes: encodeEvent(started) });
}

/** The log's own machine is away for a while, and comes back without its newest events; the nodes run on. */
function losePower(scene: Scene): void {
  const { nodes, log, world, ledger, chance, time, firstLosable } = scene;
  const lost = 1 + Math.floor(chance.next() ** 2 * LOST_MAX);
  const end = Math.max(log.events.length - lost, firstLosable());
  if (end >= log.events.length || nodes.some(({ isCut }) => isCut)) return;
  for (const node of nodes) node.cut();
  time.after(chance.between(0, OUTAGE_MS), () => {
    // what no node has seen nobody can miss; nor can a node where the tables went back with their log. A backup that was restored
    // meanwhile may have lost more
    const isSeen = nodes.some(({ tables }) => (tables?.standing.sequence ?? 0) > end);
    if (!isSeen || end >= log.events.length) {
      for (const node of nodes) node.mend();
      return;
    }
    world.fault('log lost its end', `${end} of ${log.events.length} events`);
    log.goBack(end);
    ledger.wentBack(log.events);
    for (const other of [...scene.backups]) if (other.end > end) scene.backups.splice(scene.backups.indexOf(other), 1);
    for (const node of nodes) node.mend();
  });
}

/** When all troubles are over: whoever is asked to join a group again does. */
export function settleRestored(scene: Scene): void {
  operate(scene, 1);
  for (const { view, deeds, persona, do: ask } of scene.clients) {
    for (const [group, { phase }] of view.groups) {
      const text = `rejoins ${group}`;
      const isAsked = deeds.some((deed) => deed.state === 'running' && deed.text === `${persona.name} ${text}`);
      const tries = deeds.filter((deed) => deed.state !== 'running' && deed.text === `${persona.name} ${text}`).length;
      const told = view.lines.filter((line) => line.group === group && asksToRejoin(line)).length;
      if (phase === 'parked' && !isAsked && tries < told * REJOINS) ask(text, (chat) => chat.rejoin(group));
    }
  }
}
