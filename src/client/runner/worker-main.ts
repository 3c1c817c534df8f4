/** What runs in the client's worker: the client itself, and a thin layer that carries calls and events. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { ChatClient } from '../chat-client.ts';
import { startClient } from './start.ts';
import { type FromWorker, progressWriter, sentError, type ToWorker, type WorkerStart } from './worker-protocol.ts';

async function serve(port: MessagePort, { start, progress }: WorkerStart): Promise<void> {
  const send = (message: FromWorker): void => port.postMessage(message);
  let client: ChatClient;
  try {
    client = await startClient(start, progressWriter(progress));
  } catch (error) {
    send({ type: 'failed', error: sentError(error) });
    return;
  }
  client.subscribe((event) => send({ type: 'event', event }));
  port.on('message', (message: ToWorker) => {
    if (message.type === 'ping') {
      send({ type: 'pong', id: message.id });
      return;
    }
    const { id, method, args } = message;
    const call = client[method] as (...args: readonly unknown[]) => Promise<unknown>;
    call(...args).then(
      (value) => send({ type: 'answer', id, value }),
      (error: unknown) => send({ type: 'refusal', id, error: sentError(error) }),
    );
  });
  send({ type: 'ready' });
}

if (parentPort !== null) await serve(parentPort, workerData as WorkerStart);
