import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { toBase64Url } from '../../src/wire/bytes.ts';
import { createDeviceKey } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';
import type { LoadOrder, Played, Sender, Sent } from './overload-load.ts';

const PAYLOAD_BYTES = 900; // about 1 KiB as an MLS message

/** A process that sends load, phase after phase. */
export interface LoadProcess extends AsyncDisposable {
  play(order: LoadOrder): Promise<readonly Sent[]>;
  /** Of the last phase. */
  ownDelayMs(): number;
}

export function startLoad(): LoadProcess {
  const child: ChildProcess = fork(join(import.meta.dirname, 'overload-load.ts'), [], {
    execArgv: ['--import', 'tsx'],
  });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the load process ended with ${code}`);
  });
  ended.catch(() => undefined); // told to whoever waits for a phase
  let ownDelayMs = Number.NaN;
  return {
    async play(order) {
      child.send(order);
      const [played] = (await Promise.race([once(child, 'message'), ended])) as [Played];
      ownDelayMs = played.ownDelayMs;
      return played.sent;
    },
    ownDelayMs: () => ownDelayMs,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended.catch(() => undefined);
    },
  };
}

/** Devices, each with a group of its own and a message that it may send any number of times under new ids. */
export async function makeSenders(url: () => string, count: number) {
  const senders: Sender[] = [];
  const devices: { readonly device: TestDevice; readonly group: Uint8Array }[] = [];
  for (let i = 0; i < count; i += 1) {
    const seed = randomBytes(32);
    const device = await TestDevice.register(url, `load-${i}-${seed.toString('hex', 0, 3)}`, {
      packages: 0,
      key: createDeviceKey(seed),
    });
    const group = await device.createGroup();
    const message = await device.encrypt(group, 'x'.repeat(PAYLOAD_BYTES));
    senders.push({ seed: seed.toString('base64url'), group: toBase64Url(group), message: toBase64Url(message) });
    devices.push({ device, group });
  }
  return { senders, devices };
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}
