import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { finishSwap } from '../../src/log/swap-store.ts';
import { type TempFolder, tempFolder } from '../support/nats.ts';
import { holdLockAwhile } from '../support/orphan-lock.ts';
import { type ChildLines, spawnLines } from '../support/process.ts';
import { MLSD_PROGRAM, startServer, startServerProcess } from '../support/server.ts';
import { newId, okValue } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';
import { copyFolder } from '../tools/support.ts';
import { createLedger } from './ledger.ts';

const BESIDE = '.compacting';
const STREAM = join('nats', 'store', 'jetstream', '$G', 'streams', 'MLS');
const KEEP = 5;
const SENT = 24;
const MESSAGE_BYTES = 1_000;
const DIE_AT_STEP = join(import.meta.dirname, 'die-at-step.cjs');

/** A stopped server whose log has messages to remove. */
let template: TempFolder;
let url = '';
let members: readonly TestDevice[];
let group: Uint8Array;
const sent: { readonly id: string; readonly message: Uint8Array; readonly position: number }[] = [];

beforeAll(async () => {
  template = await tempFolder();
  await using server = await startServer({ folder: template.path });
  url = server.url();
  const alice = await TestDevice.register(() => url, 'alice');
  const bob = await TestDevice.register(() => url, 'bob');
  group = await alice.createGroup();
  await alice.invite(group, bob);
  await bob.catchUp();
  members = [alice, bob];
  for (let i = 0; i < SENT; i += 1) {
    const message = await alice.encrypt(group, 'x'.repeat(MESSAGE_BYTES));
    const id = newId();
    const { results } = okValue(await alice.postMessages(group, [{ id, message }]));
    sent.push({ id, message, position: results[0].position });
  }
});
afterAll(() => template[Symbol.asyncDispose]());

/** A command on a data folder that is killed at a step of what it does to the logs; the steps that it came to. */
async function dieAt(step: number, data: string, ...command: string[]) {
  await using notes = await tempFolder();
  const log = join(notes.path, 'steps');
  const env = {
    NODE_OPTIONS: `--require ${DIE_AT_STEP}`,
    MLSD_TEST_STEPS: log,
    MLSD_TEST_DIE_AT: String(step),
  };
  const child = mlsd(data, command, env);
  const code = await child.exited;
  const steps = existsSync(log) ? (await readFile(log, 'utf8')).trim().split('\n') : [];
  return { code, steps, said: [...child.lines, ...child.errors].join('\n') };
}

function mlsd(data: string, command: readonly string[], env: NodeJS.ProcessEnv = {}): ChildLines {
  return spawnLines(process.execPath, [MLSD_PROGRAM, ...command, '--data', data], env);
}

const COMPACT = ['compact', '--keep', String(KEEP)];

async function copied(): Promise<TempFolder> {
  const folder = await tempFolder();
  await copyFolder(template.path, folder.path);
  return folder;
}

/** Started again, whatever happened: the log, the tables and every chain hold, and nothing is left over. */
async function expectWhole(data: string, after: string): Promise<void> {
  const child = mlsd(data, ['verify']);
  const code = await child.exited;
  expect(code, `${after}\n${[...child.lines, ...child.errors].join('\n')}`).toBe(0);
  expect(existsSync(join(data, BESIDE)), after).toBe(false);
}

/** What was acknowledged is where it was: what is served by the ledger, what is not any more by sending it again. */
async function expectNothingLost(data: string): Promise<void> {
  await using server = await startServerProcess({ folder: data });
  url = server.url();
  const [alice] = members as [TestDevice];
  const again = okValue(
    await alice.postMessages(
      group,
      sent.map(({ id, message }) => ({ id, message })),
    ),
  );
  expect(again.results.map(({ position }: { position: number }) => position)).toEqual(
    sent.map(({ position }) => position),
  );
  const ledger = createLedger();
  for (const { id, position } of sent.slice(-KEEP)) ledger.acknowledge(id, position);
  const lastGone = sent.at(-KEEP - 1)!.position;
  expect(await ledger.differences(group, members, lastGone)).toEqual([]);
}

/** Whether the log of a data folder holds these bytes. */
async function isInLog(data: string, bytes: Uint8Array): Promise<boolean> {
  const files = await readdir(join(data, STREAM), { recursive: true, withFileTypes: true });
  for (const file of files) {
    if (file.isFile() && (await readFile(join(file.parentPath, file.name))).includes(Buffer.from(bytes))) return true;
  }
  return false;
}

/** From this step on the new log is the log. */
const DECIDED = 'open .compacting';
const FINISHING = [
  'rename MLS old',
  'rename MLS MLS',
  'open streams',
  'rm .compacting',
  'rm .compacting, half done',
] as const;
const STEPS = ['rm .compacting', 'rm .compacting', 'mkdir .compacting', 'writeFile ready', DECIDED, ...FINISHING];

/** Changes nothing on the disk but how safe it is there. */
const isSync = (step: string): boolean => step.startsWith('open ');

describe('mlsd compact, killed', () => {
  it('at every step of the swap that changes the disk leaves the one log or the other: the next start finds everything', async () => {
    for (const [step, name] of STEPS.entries()) {
      if (step < STEPS.indexOf('writeFile ready') || isSync(name)) continue; // what is on the disk is the same as at the next one
      await using folder = await copied();
      const { code, steps, said } = await dieAt(step, folder.path, ...COMPACT);
      expect({ code, steps }, said).toEqual({ code: undefined, steps: STEPS.slice(0, step + 1) });
      await expectWhole(folder.path, `killed at ${name}`);
      expect(await isInLog(folder.path, sent[0]!.message), name).toBe(step < STEPS.indexOf(DECIDED));
      if (name === FINISHING[1]) await expectNothingLost(folder.path);
    }
    await using folder = await copied();
    const { code, steps, said } = await dieAt(STEPS.length, folder.path, ...COMPACT);
    expect({ code, steps }, said).toEqual({ code: 0, steps: STEPS });
  });

  it('and killed again at every step of finishing it: the start after that finds everything', async () => {
    await using half = await copied();
    await dieAt(STEPS.indexOf(FINISHING[0]), half.path, ...COMPACT);
    for (const [step, name] of FINISHING.entries()) {
      if (step === 0 || isSync(name)) continue; // at the first it was killed before
      await using folder = await tempFolder();
      await copyFolder(half.path, folder.path);
      const { code, steps, said } = await dieAt(step, folder.path, 'verify');
      expect({ code, steps }, said).toEqual({ code: undefined, steps: FINISHING.slice(0, step + 1) });
      await expectWhole(folder.path, `killed again at ${name}`);
      expect(await isInLog(folder.path, sent[0]!.message), name).toBe(false);
    }
  });

  it.skipIf(process.platform !== 'linux')(
    'while it writes the new log: nobody touches that before its nats-server, which ends later, lets go of it',
    async () => {
      await using folder = await tempFolder();
      const done = join(folder.path, 'done');
      const orphan = await holdLockAwhile(join(folder.path, BESIDE, 'nats'), done);
      await finishSwap(folder.path);
      expect(existsSync(done)).toBe(true);
      expect(existsSync(join(folder.path, BESIDE))).toBe(false);
      await orphan.exited;
    },
  );
});
