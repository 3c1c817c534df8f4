import { openEnvironment, writeBatch } from '../../src/projections/store/environment.ts';

/** What a row has beside its value. */
const SUM_BYTES = 4;

/** Run with a limit on the size of files: writes until two batches in a row have failed, and says what became of it. */
const environment = await openEnvironment({ dir: process.argv[2]!, contract: 'full disk' });
const failures: string[] = [];
const standing = { contract: 'full disk', incarnation: '', eventId: '', groups: 0, devices: 0 };
for (let sequence = 1; sequence < 100 && failures.length < 2; sequence += 1) {
  const writes = Array.from({ length: 30 }, (_, i) => [Uint8Array.of(9, sequence, i), new Uint8Array(20_000)] as const);
  try {
    await writeBatch(environment.db, writes, { ...standing, sequence });
  } catch (error) {
    failures.push((error as { code: string }).code);
  }
}
const rows = environment.db.getBinary(Uint8Array.of(9, 1, 0))?.length === 20_000 + SUM_BYTES ? 'readable' : 'lost';
await environment.close();
process.stdout.write(JSON.stringify({ failures, rows, closed: true }));
// What the library still waits for must not keep this process.
process.exit(0);
