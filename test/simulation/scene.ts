import { ACCOUNT_HAPPENINGS } from './account-happenings.ts';
import { type BaseImage, SIMULATED_SIGNER } from './base-image.ts';
import { type Chance, createChance } from './chance.ts';
import { CHANGES_HAPPENINGS } from './changes-happenings.ts';
import { COMPACTION_HAPPENINGS } from './compaction-happenings.ts';
import { drawWeather, FAIR_WEATHER, type FaultCounts, type Weather } from './faults.ts';
import type { Happening } from './happening.ts';
import { HAPPENINGS } from './happenings.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { createLogModel } from './log-model.ts';
import { createTablesDisk } from './memory-tables.ts';
import type { Persona } from './persona.ts';
import { RESTORED_HAPPENINGS } from './restored-happenings.ts';
import { createServerNode, type ServerNode } from './server-node.ts';
import { createSimulatedClient, type SimulatedClient } from './simulated-client.ts';
import { type CipherWatch, createCipherWatch } from './suite-watch.ts';
import type { Theme } from './theme.ts';
import type { Violation } from './violation.ts';
import { createVirtualTime, type VirtualTime } from './virtual-time.ts';
import type { Mutations, World } from './world.ts';

/** After the base image was made. */
const HISTORY_BEGINS_MS = 10 * 60 * 1000;
const NODES = ['north', 'south'];

/** All that takes part in one history, at its beginning. */
export interface Scene {
  readonly world: World;
  readonly time: VirtualTime;
  readonly chance: Chance;
  readonly ledger: Ledger;
  readonly log: ReturnType<typeof createLogModel>;
  readonly nodes: readonly ServerNode[];
  readonly clients: readonly SimulatedClient[];
  readonly counts: FaultCounts;
  readonly violations: readonly Violation[];
  /** What the weather will be once people have met. */
  readonly forecast: Weather;
  readonly notes: readonly string[];
  readonly theme: Theme;
  /** Backups that were made of the log as it is, and how many events each has. */
  readonly backups: {
    readonly end: number;
    readonly rows: ReadonlyMap<string, Buffer>;
    readonly keys: readonly string[];
  }[];
  /** How many events the log keeps at least when it goes back. */
  firstLosable(): number;
  /** What can happen at each step. */
  readonly happenings: readonly Happening[];
}

export function createScene(
  image: BaseImage,
  seed: number,
  theme: Theme,
  mutations: Mutations,
  onNote: (text: string) => void,
): Scene {
  const chance = createChance(seed);
  const counts: FaultCounts = new Map();
  const violations: Violation[] = [];
  const notes: string[] = [];
  const time = createVirtualTime(() => {});
  const note = (text: string): void => {
    const line = `${(time.now() / 1000).toFixed(3).padStart(9)} ${text}`;
    notes.push(line);
    onNote(line);
  };
  const world: World = {
    time,
    chance: chance.fork(),
    epochMs: image.epochMs + HISTORY_BEGINS_MS,
    weather: FAIR_WEATHER,
    counts,
    mutations,
    note,
    fault(kind, about) {
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
      note(`  ! ${kind}${about === undefined ? '' : ` (${about})`}`);
    },
    violate(violation) {
      violations.push(violation);
      note(`  VIOLATION ${violation.rule}: ${violation.text}`);
    },
  };
  const ledger = createLedger(world.violate);
  for (const { event } of image.events) ledger.accounts.stored(event);
  const log = createLogModel(world, image.events, (event, sequence) => {
    note(`  log ${sequence} ${event.type}${'epoch' in event ? ` of epoch ${event.epoch}` : ''}`);
    ledger.stored(event, sequence);
  });
  const watch: CipherWatch = createCipherWatch(image.suite);
  const nodes = NODES.map((name) =>
    createServerNode(world, log, {
      name,
      disk: createTablesDisk(image.tables),
      suite: watch.suite,
      signer: SIMULATED_SIGNER,
      onFolded: ledger.folded,
      ...(theme.restored ? { onForgotten: ledger.forgotten } : {}),
    }),
  );
  const people = image.personas.slice(0, 2 + chance.below(image.personas.length - 1));
  const clients = (theme.accounts ? withAccounts(image, people, chance.fork()) : people).map((persona) =>
    createSimulatedClient(world, persona, { nodes, watch, ledger }),
  );
  const forecast = drawWeather(chance);
  const happenings = [
    ...HAPPENINGS,
    ...(theme.accounts ? ACCOUNT_HAPPENINGS : []),
    ...(theme.compaction ? COMPACTION_HAPPENINGS : []),
    ...(theme.changes ? CHANGES_HAPPENINGS : []),
    ...(theme.restored ? RESTORED_HAPPENINGS : []),
  ];
  // what is known of a person is pinned by others: an account that goes back is a matter of its own
  const firstLosable = (): number =>
    Math.max(
      image.events.length,
      ...log.events.flatMap(({ event, sequence }) =>
        event.type === 'account-changed' || event.type === 'account-registered' ? [sequence] : [],
      ),
    );
  return {
    ...{ world, time, chance, ledger, log, nodes, clients, counts, violations, forecast, notes, theme, happenings },
    backups: [],
    firstLosable,
  };
}

/** Two people who are there, and machines that are about to register or to be linked. */
function withAccounts({ newcomers, further }: BaseImage, people: readonly Persona[], chance: Chance): Persona[] {
  const [first, second] = people;
  const pair = [first!, second!];
  if (chance.hits(0.4)) return [...pair, ...newcomers];
  const devices = further.filter(({ account }) => pair.some((person) => person.account === account));
  return [...pair, ...devices.slice(0, 1 + chance.below(devices.length))];
}
