import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { linkDevice, recoverAccount } from '../../../src/client/runner/new-device.ts';
import { nodePlatform } from '../../../src/client/runner/platform-node.ts';
import { openLmdbStore } from '../../../src/client/store/lmdb-store.ts';
import { createMemoryStore } from '../../../src/client/store/memory-store.ts';
import { createSealedStore } from '../../../src/client/store/sealed-store.ts';
import { startServer, type TestServer } from '../../support/server.ts';
import { DEVICE_SCENARIOS, SCENARIOS } from './scenarios.ts';
import { createStage, type Place } from './stage.ts';

let server: TestServer;
let folder: string;
let files = 0;
beforeAll(async () => {
  server = await startServer();
  folder = mkdtempSync(join(tmpdir(), 'acceptance-'));
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const inMemory = (): Place => {
  const rows = new Map<string, Uint8Array>();
  return () => createMemoryStore(rows);
};
const inFile = (): Place => {
  files += 1;
  const path = join(folder, String(files));
  return () => openLmdbStore(path);
};
const sealed = (): Place => {
  const open = inFile();
  const dataKey = new Uint8Array(randomBytes(32));
  return async () => createSealedStore(await open(), dataKey);
};
const STORES: readonly (readonly [string, () => Place])[] = [
  ['memory', inMemory],
  ['LMDB', inFile],
  ['LMDB, encrypted', sealed],
];

const stageOver = (place: () => Place) => createStage({ platform: nodePlatform(), server: server.url(), place });
const devices = { link: linkDevice, recover: recoverAccount };

describe.each(STORES)('a client over a store in %s', (_kind, place) => {
  for (const { claim, play } of SCENARIOS.filter(({ waits }) => waits !== true)) {
    test(claim, async () => {
      await using stage = stageOver(place);
      await play(stage);
    });
  }
});

describe.concurrent.each(STORES)('meanwhile, a client over a store in %s', (_kind, place) => {
  for (const { claim, play } of SCENARIOS.filter(({ waits }) => waits === true)) {
    test(claim, async () => {
      await using stage = stageOver(place);
      await play(stage);
    });
  }
  for (const { claim, play } of DEVICE_SCENARIOS) {
    test(claim, async () => {
      await using stage = stageOver(place);
      await play(stage, devices);
    });
  }
});

test('no scenario claims what another one does', () => {
  const claims = [...SCENARIOS, ...DEVICE_SCENARIOS].map(({ claim }) => claim);
  expect([...new Set(claims)]).toEqual(claims);
});
