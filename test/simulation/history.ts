import { linkAll } from './account-happenings.ts';
import { finalViolations, unrest } from './at-rest.ts';
import type { BaseImage } from './base-image.ts';
import { FAIR_WEATHER, type FaultCounts } from './faults.ts';
import { up } from './happening.ts';
import { happen, resetTexts } from './happenings.ts';
import { LEAK_WARNING } from './listeners.ts';
import { operate, settleRestored } from './restored-happenings.ts';
import { createScene, type Scene } from './scene.ts';
import { drawTheme, type Theme } from './theme.ts';
import type { Violation } from './violation.ts';
import { installVirtualTime } from './virtual-time.ts';
import type { Mutations } from './world.ts';

const MEETING_MS = 5_000;
const STEPS_MIN = 15;
const STEPS_MAX = 40;
const PAUSES_MS = [0, 5, 50, 500, 3_000];
/** Everything that waits with a bound gives up before. */
const REST_MAX_MS = 20 * 60 * 1000;
const REST_SLICE_MS = 1_000;

export interface HistoryOptions {
  /** Drawn from the seed where nothing is said. */
  readonly theme?: Theme;
  readonly mutations?: Mutations;
  readonly onNote?: (text: string) => void;
}

/** What one history came to. */
export interface HistoryResult {
  readonly seed: number;
  /** Things that happened, packets and timers included. */
  readonly events: number;
  readonly virtualMs: number;
  readonly entries: number;
  readonly commits: number;
  readonly faults: FaultCounts;
  readonly violations: readonly Violation[];
  /** The account of it, line by line: equal for equal seeds. */
  readonly notes: readonly string[];
}

/** Plays the history of a seed. The same seed over the same code gives the same history. */
export async function playHistory(
  image: BaseImage,
  seed: number,
  { theme = drawTheme(seed), mutations = {}, onNote = () => {} }: HistoryOptions = {},
): Promise<HistoryResult> {
  resetTexts();
  const scene = createScene(image, seed, theme, mutations, onNote);
  const uninstall = installVirtualTime(scene.time, scene.world.epochMs, scene.world.chance.fork().next);
  const onRejection = (error: unknown): void => {
    const text = `nobody hears: ${error instanceof Error ? error.stack : String(error)}`;
    scene.world.violate({ rule: 'no internal failure', text });
  };
  const onWarning = ({ name, stack }: Error): void => {
    if (name === LEAK_WARNING) scene.world.violate({ rule: 'no internal failure', text: String(stack) });
  };
  process.on('unhandledRejection', onRejection);
  process.on('warning', onWarning);
  try {
    await meet(scene);
    if (scene.violations.length === 0) await live(scene);
    if (scene.violations.length === 0) await rest(scene);
    tell(scene);
  } finally {
    for (const client of scene.clients) client.kill();
    for (const node of scene.nodes) node.kill();
    await scene.time.advance(0);
    process.off('unhandledRejection', onRejection);
    process.off('warning', onWarning);
    uninstall();
  }
  const truths = [...scene.ledger.groups.values()];
  return {
    seed,
    events: scene.time.steps,
    virtualMs: scene.time.now(),
    entries: truths.reduce((sum, { entries }) => sum + entries.length, 0),
    commits: truths.reduce((sum, { epoch }) => sum + epoch, 0),
    faults: scene.counts,
    violations: scene.violations,
    notes: scene.notes,
  };
}

/** People start their programs, make a group and invite each other; in half of the histories the weather is bad by then. */
async function meet(scene: Scene): Promise<void> {
  const { nodes, clients, time, chance, world, forecast } = scene;
  for (const node of nodes) node.start();
  await time.advance(1_000);
  if (chance.hits(0.5)) world.weather = forecast;
  const registered = clients.filter(({ persona }) => persona.kind === 'registered');
  for (const client of registered) client.start();
  await time.advance(1_000);
  const [first, ...others] = registered;
  const kind = scene.theme.opaque ? ({ handshakes: 'private' } as const) : {};
  first?.do('opens #tea', (chat) => chat.openGroup('tea', kind));
  await time.advance(MEETING_MS);
  for (const [group] of first?.view.groups ?? []) {
    const names = others.map(({ persona }) => persona.name);
    first?.do(`invites ${names.join(', ')}`, (chat) => chat.invite(group, names));
  }
  if (chance.hits(0.7)) await time.advance(MEETING_MS);
  if (scene.theme.accounts && chance.hits(0.6)) await linkAtOnce(scene);
  world.weather = forecast;
}

/** Further devices are there from the beginning, as far as the weather lets them. */
async function linkAtOnce(scene: Scene): Promise<void> {
  for (const client of scene.clients) if (client.persona.kind === 'further') client.start();
  await scene.time.advance(1_000);
  for (const client of up(scene)) linkAll(scene, client);
  await scene.time.advance(MEETING_MS);
}

async function live(scene: Scene): Promise<void> {
  const { time, chance, nodes, clients, violations } = scene;
  const steps = STEPS_MIN + Math.floor(chance.next() ** 2 * (STEPS_MAX - STEPS_MIN + 1));
  for (let i = 0; i < steps && violations.length === 0; i += 1) {
    for (const node of nodes) if (!node.isUp && chance.hits(0.5)) node.start();
    if (scene.theme.restored) operate(scene, 0.3);
    for (const client of clients) {
      if (client.hasFailed && chance.hits(0.5)) client.kill();
      if (client.chat === undefined && time.now() >= client.awayUntil && chance.hits(0.5)) client.start();
    }
    happen(scene);
    await time.advance(chance.next() * chance.pick(PAUSES_MS));
  }
}

/** All troubles end and nobody does anything any more: everything has to come to where it belongs. */
async function rest(scene: Scene): Promise<void> {
  const { world, time, nodes, clients, log, violations } = scene;
  world.note('all troubles end');
  world.weather = FAIR_WEATHER;
  log.isFull = false;
  for (const node of nodes) {
    node.crash = undefined;
    node.behindUntil = 0;
    node.clock.skewMs = 0;
    node.mend();
    node.start();
  }
  for (const { disk, network, hasFailed, kill } of clients) {
    disk.crash = undefined;
    disk.isFull = false;
    network.isCutOff = false;
    network.slowUntil = 0;
    network.clock.skewMs = 0;
    if (hasFailed) kill();
  }
  const end = time.now() + REST_MAX_MS;
  let moving: readonly Violation[] = [];
  do {
    for (const client of clients) {
      if (client.hasFailed) client.kill();
      client.start();
    }
    if (scene.theme.restored) settleRestored(scene);
    await time.advance(REST_SLICE_MS);
    if (violations.length > 0) return;
    moving = unrest(scene);
  } while (moving.length > 0 && time.now() < end);
  for (const violation of [...moving, ...(moving.length === 0 ? finalViolations(scene) : [])]) world.violate(violation);
}

/** What is in the log in the end, for whoever wants to know how it came to that. */
function tell({ ledger, clients, world }: Scene): void {
  const names = new Map(clients.map(({ persona }) => [persona.device, persona.name]));
  for (const [id, { entries }] of ledger.groups) {
    world.note(`group ${id}`);
    for (const { entry } of entries) {
      const epoch = 'epoch' in entry ? ` of epoch ${entry.epoch}` : '';
      const text = ledger.textAt(id, entry.position);
      const said = text === undefined ? '' : ` "${text}"`;
      world.note(`  ${entry.position} ${entry.kind}${epoch} by ${names.get(entry.sender)}${said}`);
    }
  }
}
