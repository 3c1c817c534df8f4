/**
 * Run by `repair.test.ts`, because a damaged file may end a process: damages copies of a client's folder, one after another, opens each,
 * repairs it, and says what became of it.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClientError } from '../../../src/client/client-error.ts';
import { repairStore } from '../../../src/client/repair/repair-store.ts';
import type { ClientStore } from '../../../src/client/store/client-store.ts';
import { loadGroups } from '../../../src/client/store/group-rows.ts';
import { isSummed, kindOf, letterOf, rangeOf, stateTables } from '../../../src/client/store/keys.ts';
import { openStore } from '../../../src/client/store/open-store.ts';
import { unlockStore } from '../../../src/client/store/store-folder.ts';
import { createMlsConfig } from '../../../src/mls/config.ts';
import { toHex } from '../../../src/wire/bytes.ts';
import { DAMAGES, type DamageKind } from './damages.ts';
import { SECRET } from './scene.ts';

/** Kinds of damage, and how often each. */
const [good = '', plan = '{}'] = process.argv.slice(2);
const dir = join(good, '..', `damaged-${process.pid}`);
const image = readFileSync(join(good, 'store', 'data.mdb'));
const earlier = readFileSync(join(good, 'earlier.mdb'));
const ask = async (): Promise<Uint8Array> => SECRET;
const ALL = { from: Uint8Array.of(0), to: Uint8Array.of(0xff) };
/** What never changes once it is written: of these nothing else may be there. */
const LASTING = (['identity', 'account', 'line', 'cursor', 'message'] as const).map(letterOf);

const expected = await rowsOf(good);
const members = await membersOf(good);

for (const [kind, times] of Object.entries(JSON.parse(plan) as Readonly<Record<DamageKind, number>>)) {
  for (let seed = 0; seed < times; seed += 1) {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(join(dir, 'store'), { recursive: true });
    if (existsSync(join(good, 'store', 'key.json'))) {
      copyFileSync(join(good, 'store', 'key.json'), join(dir, 'store', 'key.json'));
    }
    writeFileSync(join(dir, 'store', 'data.mdb'), DAMAGES[kind as DamageKind](image, earlier, seed));
    process.stdout.write(`${kind} ${seed}: ${await outcome().catch(strangeness)}\n`);
  }
}
rmSync(dir, { recursive: true, force: true });
process.exit(0); // the library may keep timers

function strangeness(error: unknown): string {
  return `strange: ${String(error)} ${String((error as Error).cause)}`;
}

async function outcome(): Promise<string> {
  const before = await opens();
  const repaired = await repairStore(dir, { ask, agree: async () => true, now: () => 1_700_000_000_000 });
  // what a client may work with without noticing must be what was written
  if (before === 'whole') return repaired.kind === 'intact' ? 'intact' : 'repaired though whole';
  if (repaired.kind === 'intact') return `strange: ${before}, and not repaired`;
  if (repaired.kind !== 'repaired') return repaired.kind;
  const rows = await rowsOf(dir);
  const wrong = wrongRow(rows);
  if (wrong !== undefined) return `strange: ${wrong}`;
  const again = await repairStore(dir, { ask, agree: () => Promise.reject(new Error('asked')), now: Date.now });
  if (again.kind !== 'intact') return `strange: ${again.kind} the second time`;
  const now = await membersOf(dir);
  return `repaired ${now.length === members.length ? 'whole' : now.length === 0 ? 'anew' : 'in part'}`;
}

/** Opens the store and reads all of it, as it is. */
async function opens(): Promise<'whole' | 'refused'> {
  try {
    const rows = await rowsOf(dir);
    for (const [key, value] of [...expected, ...rows]) {
      // of the history an earlier page may have fewer lines, and none that says something else
      const isHistory = !isSummed(Number.parseInt(key.slice(0, 2), 16));
      const isAsItWas = rows.get(key) === expected.get(key) || (isHistory && !rows.has(key));
      if (!isAsItWas && !isHeads(key)) throw new Error(`another row: ${key} ${value}`);
    }
    return 'whole';
  } catch (error) {
    if (error instanceof ClientError && error.code === 'storage' && error.message.includes('mlschat repair'))
      return 'refused';
    throw error;
  }
}

function isHeads(key: string): boolean {
  return key.startsWith(toHex(rangeOf('heads').from));
}

async function open(folder: string): Promise<ClientStore> {
  return openStore(folder, await unlockStore(folder, { ask }));
}

async function rowsOf(folder: string): Promise<Map<string, string>> {
  await using store = await open(folder);
  // as a client does, which needs none of the history for it: what it knows of its groups at least is what it was
  for (const letter of stateTables()) await store.range({ from: Uint8Array.of(letter), to: Uint8Array.of(letter + 1) });
  return new Map((await store.range(ALL)).map(([key, value]) => [toHex(key), toHex(value)]));
}

/** Groups that go on with the keys they have. */
async function membersOf(folder: string): Promise<readonly string[]> {
  await using store = await open(folder);
  await store.range(rangeOf('identity'));
  const groups = await loadGroups(store, createMlsConfig({ validateCredential: () => true }));
  return groups.filter(({ mls }) => mls !== undefined).map(({ id }) => id);
}

/** Where nothing says any more how many lines there were, a new one may have the number of one that is lost. */
function isRepairLine(value: string): boolean {
  return Buffer.from(value, 'hex').includes('The keys of this group were damaged');
}

/** What a repaired store must not hold. */
function wrongRow(rows: ReadonlyMap<string, string>): string | undefined {
  const hex = (letter: number): string => toHex(Uint8Array.of(letter));
  const secrets = stateTables().filter((letter) => letter !== letterOf('group'));
  for (const [key, value] of rows) {
    const letter = Number.parseInt(key.slice(0, 2), 16);
    const was = expected.get(key);
    if (secrets.includes(letter) && was !== value) return `${kindOf(letter)} is not what was written last`;
    const isTold =
      letter !== letterOf('identity') && (was === undefined || letter !== letterOf('line') || isRepairLine(value));
    if (LASTING.includes(letter) && was !== value && !isTold) return `${kindOf(letter)} says something else`;
  }
  // a group that goes on does so with all of its keys
  for (const [key, value] of rows) {
    if (!key.startsWith(hex(letterOf('epochRecord'))) || value === '') continue;
    const group = key.slice(2);
    for (const letter of secrets) {
      const had = [...expected.keys()].filter((each) => each.startsWith(hex(letter) + group));
      if (had.some((each) => !rows.has(each))) return `${kindOf(letter)} is missing of a group that goes on`;
    }
    if (rows.get(hex(letterOf('group')) + group) !== expected.get(hex(letterOf('group')) + group))
      return 'another record';
  }
  return undefined;
}
