import { TABLES_CONTRACT } from '../../src/projections/open-projections.ts';
import { openEnvironment } from '../../src/projections/store/environment.ts';

/** What is to become of a stored row; `undefined`: it is gone. */
export type Change = (row: Buffer | undefined) => Buffer | undefined;

export const flipped: Change = (row) => {
  const changed = Buffer.from(row!);
  changed[Math.floor(changed.length / 2)]! ^= 4;
  return changed;
};

export const gone: Change = () => undefined;

/** Changes one row behind the back of whoever has the tables open; they see it with the next batch that is written. */
export async function changeRow(dir: string, key: Uint8Array, change: Change): Promise<void> {
  const environment = await openEnvironment({ dir, contract: TABLES_CONTRACT });
  const row = change(environment.db.getBinary(key));
  await (row === undefined ? environment.db.remove(key) : environment.db.put(key, row));
  await environment.close();
}
