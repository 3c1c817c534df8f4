import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempFolder } from '../support/nats.ts';
import { startServerProcess } from '../support/server.ts';
import { newId, okValue } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { createLedger } from './ledger.ts';

const DISK_BYTES = 64 * 1024 * 1024;
const BALLAST_BYTES = 24 * 1024 * 1024;
const MESSAGE_BYTES = 200_000;
const CREATED = 201;
const FULL = 507;

/** A small file system of its own; `undefined` where this user may not mount one. */
function mountSmallDisk(path: string): (() => void) | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES},mode=700`, 'none', path], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return () => void execFileSync('umount', ['-l', path]);
}

it('a full disk: nothing is acknowledged that is not kept, reads go on, and with room again everything does', async ({
  skip,
}) => {
  await using folder = await tempFolder();
  const unmount = mountSmallDisk(folder.path);
  if (unmount === undefined) return skip('no file system can be mounted here');
  try {
    const ballast = join(folder.path, 'ballast');
    writeFileSync(ballast, Buffer.alloc(BALLAST_BYTES));
    await using server = await startServerProcess({ folder: join(folder.path, 'data') });
    const alice = await TestDevice.register(server.url, 'alice');
    const group = await alice.createGroup();
    const message = await alice.encrypt(group, 'x'.repeat(MESSAGE_BYTES));
    const ledger = createLedger();
    const send = async (): Promise<number> => {
      const id = newId();
      const answered = await alice.postMessages(group, [{ id, message }]);
      if (answered.status === CREATED) ledger.acknowledge(id, okValue(answered).results[0].position);
      return answered.status;
    };
    await until(async () => (await send()) === FULL);
    expect(ledger.size).toBeGreaterThan(10);
    await alice.syncAll();
    expect((await fetch(`${server.url()}/readyz`)).status).toBe(200);
    rmSync(ballast);
    await until(async () => (await send()) === CREATED);
    expect(await ledger.differences(group, [alice])).toEqual([]);
  } finally {
    unmount();
  }
});
