/** The thread that checks signatures for `createSignatureChecks`: a batch comes, and for each of it a verdict goes back, in its order. */
import { parentPort } from 'node:worker_threads';
import { createDeviceKeys, isSignedBy } from './device-keys.ts';
import { type SignatureCheck, unpackChecks, type Verdict } from './signature-batch.ts';

const keys = createDeviceKeys();

parentPort?.on('message', (packed: Uint8Array) => {
  parentPort?.postMessage(unpackChecks(packed).map(verdictOn));
});

/** One that cannot be checked is nothing to those beside it. */
function verdictOn({ key, data, signature }: SignatureCheck): Verdict {
  try {
    return isSignedBy(keys.get(key), data, signature);
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}
