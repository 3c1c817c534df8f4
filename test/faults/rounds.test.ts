import { expect, test } from 'vitest';
import { playRounds } from './rounds.ts';

const SEED = Number(process.env['MLSD_TEST_SEED'] ?? 20_261_122);
const ROUNDS = Number(process.env['MLSD_TEST_ROUNDS'] ?? 10);
const PAUSE_MS = 3_000;

test(`ledger: over ${ROUNDS} rounds of kill -9 and SIGSTOP of server, nats-server and clients nothing acknowledged is lost or doubled (seed ${SEED})`, async () => {
  const { differences, acknowledged, chatLines } = await playRounds({ seed: SEED, rounds: ROUNDS, pauseMs: PAUSE_MS });
  expect(differences).toEqual([]);
  expect(acknowledged).toBeGreaterThan(ROUNDS);
  expect(chatLines).toBeGreaterThan(ROUNDS);
});
