import type { Write } from '../../../src/client/store/client-store.ts';
import { openLmdbStore } from '../../../src/client/store/lmdb-store.ts';

/** Run with a limit on the size of files: writes until two commits in a row have failed, and says what became of it. */
const store = await openLmdbStore(process.argv[2]!);
const failures: string[] = [];
for (let batch = 1; batch < 100 && failures.length < 2; batch += 1) {
  const writes = Array.from(
    { length: 30 },
    (_, i): Write => ({ key: Uint8Array.of(9, batch, i), value: new Uint8Array(20_000) }),
  );
  try {
    await store.commit(writes);
  } catch (error) {
    failures.push((error as { code: string }).code);
  }
}
const durable = await store.durable().then(
  () => 'resolved',
  (error: { code: string }) => error.code,
);
const first = await store.get(Uint8Array.of(9, 1, 0));
await store.close();
process.stdout.write(
  JSON.stringify({ failures, rows: first?.length === 20_000 ? 'readable' : 'lost', durable, closed: true }),
);
// What the library still waits for must not keep this process.
process.exit(0);
