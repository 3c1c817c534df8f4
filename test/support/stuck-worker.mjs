// Speaks the protocol of the client's worker, and gets stuck or dies over an entry until that entry is called poisoned.
import { parentPort, workerData } from 'node:worker_threads';

const { start, progress } = workerData;
const GROUP = 'A'.repeat(43);

function beginEntry() {
  const numbers = new Int32Array(progress, 0, 4);
  const characters = new Uint8Array(progress, 16);
  for (let i = 0; i < GROUP.length; i += 1) characters[i] = GROUP.charCodeAt(i);
  numbers[3] = GROUP.length;
  numbers[2] = 7;
  Atomics.store(numbers, 0, 1);
}

parentPort.on('message', (message) => {
  if (message.type === 'ping') {
    parentPort.postMessage({ type: 'pong', id: message.id });
    return;
  }
  if (message.method === 'close') {
    parentPort.postMessage({ type: 'answer', id: message.id, value: undefined });
    return;
  }
  if (start.poisoned.length === 0 || start.userName === 'always') {
    beginEntry();
    if (start.userName !== 'hangs') throw new Error('died over an entry');
    for (;;) Atomics.load(new Int32Array(progress), 0);
  }
  parentPort.postMessage({ type: 'answer', id: message.id, value: start.poisoned });
});
parentPort.postMessage({ type: 'ready' });
