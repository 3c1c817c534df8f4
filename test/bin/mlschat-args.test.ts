import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseChatArguments } from '../../src/bin/mlschat-args.ts';

const parse = (argv: readonly string[], env: Record<string, string> = {}) =>
  parseChatArguments(argv, { env, version: '1.2.3' });
const CURSOR = `c${'A'.repeat(22)}`;

describe('settings', () => {
  test('group and name are enough: the server is on this machine, the folder in the home folder', async () => {
    expect(await parse(['tea', 'alice'])).toEqual({
      kind: 'run',
      settings: {
        server: 'http://localhost:4000',
        config: join(homedir(), '.mlschat'),
        group: 'tea',
        userName: 'alice',
        since: undefined,
        follow: undefined,
        json: false,
      },
    });
  });

  test.each([
    [['--server', 'http://h:1', '--json', '--no-follow', '--since-cursor', CURSOR, '--config', 'd', 'tea', 'alice']],
    [['tea', '--config=d', 'alice', '--server=http://h:1/', '--since-cursor', CURSOR, '--no-follow', '--json']],
    [['#tea', 'alice', '--json', '--since-cursor', CURSOR, '--no-follow', '--config', 'd', '--server', 'http://h:1']],
  ])('flags stand before, between or after the names: %j', async (argv) => {
    expect(await parse(argv)).toEqual({
      kind: 'run',
      settings: {
        server: 'http://h:1',
        config: resolve('d'),
        group: 'tea',
        userName: 'alice',
        since: CURSOR,
        follow: false,
        json: true,
      },
    });
  });

  test('the environment gives server and folder, and flags win over it', async () => {
    const env = { MLSCHAT_SERVER: 'http://env:1', MLSCHAT_CONFIG: '/env' };
    expect(await parse(['tea', 'alice'], env)).toMatchObject({ settings: { server: 'http://env:1', config: '/env' } });
    const flags = ['tea', 'alice', '--server', 'https://flag', '--config', '/flag'];
    expect(await parse(flags, env)).toMatchObject({ settings: { server: 'https://flag', config: '/flag' } });
  });

  test('names of digits are names', async () => {
    expect(await parse(['007', '1e3'])).toMatchObject({ settings: { group: '007', userName: '1e3' } });
  });
});

describe('wrong use is told in a sentence', () => {
  test.each([
    [[], /a group and a user name are needed/],
    [['tea'], /a group and a user name are needed/],
    [['tea', 'alice', 'bob'], /bob/],
    [['tea', 'alice', '--colour'], /colour/],
    [['tea', 'alice', '--server'], /server/],
    [['tea', 'alice', '--server', 'localhost'], /--server "localhost" is not an address/],
    [['tea', 'alice', '--server', 'ftp://x'], /--server/],
    [['tea', 'alice', '--server', 'http://h/path'], /--server/],
    [['tea', 'alice', '--since-cursor', 'yesterday'], /--since-cursor "yesterday" is not a cursor/],
    [['tea', 'alice', '--since-cursor', '../../x'], /is not a cursor/],
    [['../tea', 'alice'], /the group "..\/tea" cannot be: a name is made of/],
    [['tea', '../../alice'], /the user name "..\/..\/alice" cannot be/],
    [['tea', '#alice'], /a name has no "#"/],
    [['tea', 'a'.repeat(33)], /at most 32 characters/],
  ])('%j', async (argv, reason) => {
    const parsed = await parse(argv);
    expect(parsed).toMatchObject({ kind: 'usage', reason: expect.stringMatching(reason) });
  });
});

describe('help', () => {
  test('names every flag, the environment and the exit codes', async () => {
    const parsed = await parse(['--help']);
    const text = parsed.kind === 'text' ? parsed.text : '';
    for (const word of ['<group>', '<username>', '--server', '--config', '--since-cursor', '--no-follow', '--json']) {
      expect(text).toContain(word);
    }
    for (const word of ['MLSCHAT_SERVER', 'MLSCHAT_CONFIG', 'NO_COLOR', 'Exit codes: 0 done'])
      expect(text).toContain(word);
  });

  test('--version is that of the package', async () => {
    expect(await parse(['--version'])).toEqual({ kind: 'text', text: '1.2.3' });
  });

  test('link names an account by its id, recover takes nothing but where; both need no group', async () => {
    const account = 'a'.repeat(32);
    const linked = await parse(['link', account, '--config', '/new', '--server', 'http://host:1']);
    expect(linked).toEqual({ kind: 'link', account, server: 'http://host:1', config: '/new' });
    expect(await parse(['recover', '--config', '/new'])).toMatchObject({ kind: 'recover', config: '/new' });
    for (const wrong of [['link'], ['link', 'alice'], ['recover', 'alice'], ['link', account, '--server', 'nowhere']]) {
      expect((await parse(wrong)).kind, wrong.join(' ')).toBe('usage');
    }
    expect(await parse(['#link', 'alice'])).toMatchObject({ kind: 'run', settings: { group: 'link' } });
  });
});
