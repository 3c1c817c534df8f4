import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { packChecks, unpackChecks } from '../../src/api/auth/signature-batch.ts';
import { createSignatureChecks } from '../../src/api/auth/signature-checks.ts';
import { toUtf8 } from '../../src/wire/bytes.ts';
import { createDeviceKey } from '../support/signed-client.ts';

const keys = [1, 2, 3].map((byte) => createDeviceKey(new Uint8Array(32).fill(byte)));
const run = promisify(execFile);
const UNAVAILABLE = { code: 'not-ready', message: 'signatures cannot be checked at the moment' };

/** Closed after the test; `failures` are what it told of its threads. */
function opened(startWorker?: () => Worker) {
  const failures: string[] = [];
  const onFailure = ({ message }: Error) => failures.push(message);
  const checks = createSignatureChecks({ onFailure, ...(startWorker === undefined ? {} : { startWorker }) });
  onTestFinished(() => checks.close());
  return { checks, failures };
}

/** The signature of key `signer` over a text, to be checked under key `key`. */
function signedBy(signer: number, text: string, key = signer) {
  const data = toUtf8(text);
  return { key: keys[key]!.publicKey, data, signature: keys[signer]!.sign(data) };
}

/** A thread that does this with each batch it is given, as `packed`. */
const threadThat = (does: string) =>
  new Worker(
    `const { parentPort } = require('node:worker_threads'); parentPort.on('message', (packed) => { ${does} });`,
    {
      eval: true,
    },
  );
const DIES = "throw new Error('boom')";
/** Enough for a batch of one. */
const SAYS_YES = 'parentPort.postMessage([true])';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('each of many that are asked for, at once and while others are under way, gets its own verdict', async () => {
  const { checks, failures } = opened();
  const isGenuine = (i: number) => i % 3 !== 1;
  const asked = Array.from({ length: 200 }, (_, i) => signedBy(i % 3, `text ${i}`, isGenuine(i) ? i % 3 : 2));
  const verdicts: Promise<boolean>[] = [];
  for (const [i, check] of asked.entries()) {
    verdicts.push(checks.check(check));
    if (i % 50 === 49) await turn();
  }
  expect(await Promise.all(verdicts)).toEqual(asked.map((_, i) => isGenuine(i)));
  expect(failures).toEqual([]);
});

test('a key or a signature of another length is of nobody, and those beside it are left alone', async () => {
  const { checks } = opened();
  const check = signedBy(0, 'hello');
  const verdicts = await Promise.all([
    checks.check({ ...check, signature: check.signature.subarray(1) }),
    checks.check({ ...check, key: new Uint8Array(33) }),
    checks.check({ ...check, data: new Uint8Array(0) }),
    checks.check(check),
  ]);
  expect(verdicts).toEqual([false, false, false, true]);
});

test('whoever waits for a thread that dies is told to come again, and another thread goes on', async () => {
  const lives = [DIES, SAYS_YES];
  const { checks, failures } = opened(() => threadThat(lives.shift()!));
  const outcomes = await Promise.allSettled([checks.check(signedBy(0, 'a')), checks.check(signedBy(1, 'b'))]);
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: UNAVAILABLE });
  expect(failures).toEqual(['boom']);
  expect(await checks.check(signedBy(0, 'c'))).toBe(true);
  expect(lives).toEqual([]);
});

test('a thread that cannot be started is told of, and tried again', async () => {
  const starts = [() => threadThat(DIES), () => threadThat(SAYS_YES)];
  let isFull = false;
  const { checks, failures } = opened(() => {
    if (isFull) throw new Error('no more threads');
    return starts.shift()!();
  });
  isFull = true;
  await expect(checks.check(signedBy(0, 'a'))).rejects.toMatchObject(UNAVAILABLE);
  await expect(checks.check(signedBy(0, 'b'))).rejects.toMatchObject(UNAVAILABLE);
  isFull = false;
  expect(await checks.check(signedBy(0, 'c'))).toBe(true);
  expect(failures).toEqual(['boom', 'no more threads']);
});

test('what cannot be checked fails alone', async () => {
  const { checks } = opened(() => threadThat("parentPort.postMessage([true, { problem: 'odd' }, false])"));
  const outcomes = await Promise.allSettled([0, 1, 2].map((i) => checks.check(signedBy(i, 'x'))));
  expect(outcomes).toMatchObject([
    { value: true },
    { status: 'rejected', reason: { message: expect.stringContaining('odd') } },
    { value: false },
  ]);
});

test('at the close whoever waits, or comes later, is told so', async () => {
  const { checks, failures } = opened(() => threadThat(''));
  const waiting = checks.check(signedBy(0, 'a'));
  const refused = expect(waiting).rejects.toMatchObject({ code: 'not-ready', message: 'the server is closing' });
  await turn();
  await checks.close();
  await refused;
  await expect(checks.check(signedBy(0, 'b'))).rejects.toMatchObject({ code: 'not-ready' });
  expect(failures).toEqual([]);
});

test('the thread does not keep a process alive', async () => {
  const module = new URL('../../src/api/auth/signature-checks.ts', import.meta.url).href;
  const program = `
    import { createSignatureChecks } from ${JSON.stringify(module)};
    const open = setInterval(() => {}, 1000);
    const checks = createSignatureChecks({ onFailure: (error) => { throw error; } });
    const check = { key: new Uint8Array(32), data: new Uint8Array(1), signature: new Uint8Array(64) };
    console.log(await checks.check(check));
    clearInterval(open);
  `;
  const options = ['--import', 'tsx', '--input-type=module', '--eval', program];
  const { stdout } = await run(process.execPath, options, { cwd: new URL('../..', import.meta.url), timeout: 120_000 });
  expect(stdout).toBe('false\n');
});

test('checks come out of a batch as they went in', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const check = fc.record({ key: bytes(32), data: fc.uint8Array({ maxLength: 300 }), signature: bytes(64) });
  fc.assert(
    fc.property(fc.array(check, { maxLength: 5 }), fc.nat(9), (packed, offset) => {
      const at = new Uint8Array([...new Uint8Array(offset), ...packChecks(packed)]).subarray(offset);
      expect(unpackChecks(at)).toEqual(packed);
    }),
  );
});
