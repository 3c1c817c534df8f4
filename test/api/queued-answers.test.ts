import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { expect, test } from 'vitest';
import { closeQueuedAnswers } from '../../src/api/queued-answers.ts';
import { until } from '../support/until.ts';

const REQUEST = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

test('every answer on a connection that breaks is closed once, those that wait behind another one too', async () => {
  const responses: ServerResponse[] = [];
  const closed: number[] = [];
  const server = createServer((_, response) => {
    const index = responses.push(response) - 1;
    response.on('close', () => closed.push(index));
    if (index === 1) response.end('done, and behind the first'); // the others are never answered
  });
  closeQueuedAnswers(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  socket.write(REQUEST.repeat(4));
  await until(() => responses.length === 4);
  socket.resetAndDestroy();
  await until(() => closed.length >= 4);
  expect([...closed].sort()).toEqual([0, 1, 2, 3]);
  expect(responses.every(({ destroyed }) => destroyed)).toBe(true);
  server.close();
  await once(server, 'close');
});

test('answers in a line on a connection that lasts are given in order', async () => {
  const responses: ServerResponse[] = [];
  const server = createServer((_, response) => void responses.push(response));
  closeQueuedAnswers(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  let text = '';
  socket.on('data', (chunk) => {
    text += String(chunk);
  });
  socket.write(REQUEST.repeat(3));
  await until(() => responses.length === 3);
  for (const index of [2, 1, 0]) responses[index]!.end(`answer-${index}`);
  await until(() => text.includes('answer-2'));
  expect(text.match(/answer-\d/g)).toEqual(['answer-0', 'answer-1', 'answer-2']);
  socket.end();
  server.close();
  await once(server, 'close');
});
