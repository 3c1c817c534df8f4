// The client's real worker, but for an endless loop at the first entry of a group from position 3 on, as a fault in
// the MLS library would be: until that entry is called poisoned.
import { parentPort, workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();
const { startClient } = await import('../../src/client/runner/start.ts');
const { progressWriter, sentError } = await import('../../src/client/runner/worker-protocol.ts');

const { start, progress } = workerData;
const writer = progressWriter(progress);
const loops = start.poisoned.length === 0;
const client = await startClient(start, {
  begin: (group, position) => {
    writer.begin(group, position);
    while (loops && position >= 3);
  },
  end: () => writer.end(),
});
client.subscribe((event) => parentPort.postMessage({ type: 'event', event }));
parentPort.on('message', ({ type, id, method, args }) => {
  if (type === 'ping') {
    parentPort.postMessage({ type: 'pong', id });
    return;
  }
  client[method](...args).then(
    (value) => parentPort.postMessage({ type: 'answer', id, value }),
    (error) => parentPort.postMessage({ type: 'refusal', id, error: sentError(error) }),
  );
});
parentPort.postMessage({ type: 'ready' });
