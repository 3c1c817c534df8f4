import { expect, test } from 'vitest';
import { stageEnvironment } from '../../src/demo/stage.ts';

test('the demonstration takes nobody’s settings: no cluster, folder or colour of the shell it is started from', () => {
  const env = { PATH: '/bin', MLSD_NATS: 'nats://in.use:4222', MLSCHAT_SERVER: 'http://in.use', FORCE_COLOR: '1' };
  expect(stageEnvironment({ ...env, MLSD_NATS_SERVER: '/opt/nats-server' })).toEqual({
    PATH: '/bin',
    MLSD_NATS_SERVER: '/opt/nats-server',
    NO_COLOR: '1',
  });
});
