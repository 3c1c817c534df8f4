import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseChatArguments } from '../../src/bin/mlschat-args.ts';
import { ROTATION } from '../../src/client/engine/rotation.ts';

const parse = (argv: readonly string[], env: Record<string, string> = {}) =>
  parseChatArguments(argv, { env, version: '1.2.3' });
const CURSOR = `c${'A'.repeat(22)}`;

test('audit needs a folder and nothing else', async () => {
  expect(await parse(['audit', '--config', 'd', '--json'])).toMatchObject({
    kind: 'audit',
    config: resolve('d'),
    json: true,
  });
  expect(await parse(['audit', '--config='])).toMatchObject({ kind: 'usage' });
});

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
        notify: 'off',
        rotation: ROTATION,
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
        notify: 'off',
        rotation: ROTATION,
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
    [['tea', 'alice', 'and', 'more'], /^"and more" is too much$/],
    [['tea', 'alice', '--config'], /^--config needs a value$/],
    [['tail', 'tea', 'alice', '-n'], /^-n needs a value$/],
    [['tea', 'alice', '--notify', 'gong'], /^--notify "gong" is none of bell, osc9, off$/],
    [['tea', 'alice', '--json=maybe'], /^--json is on or off: .*, without "maybe"$/],
    [['tea', 'alice', '--no-follow=0'], /^--follow is on or off/],
  ])('%j', async (argv, reason) => {
    const parsed = await parse(argv);
    expect(parsed).toMatchObject({ kind: 'usage', reason: expect.stringMatching(reason) });
  });
});

describe('an option that is none is named, with the one that may have been meant', () => {
  test.each([
    [['--bogus'], 'there is no option --bogus'],
    [['--bogus', 'tea', 'alice'], 'there is no option --bogus'],
    [['tea', 'alice', '--confg', '/c'], 'there is no option --confg; did you mean --config?'],
    [['tea', 'alice', '--serevr=x'], 'there is no option --serevr; did you mean --server?'],
    [['tea', 'alice', '--no-folow'], 'there is no option --no-folow; did you mean --no-follow?'],
    [['tea', 'alice', '-x'], 'there is no option -x'],
    [['send', 'tea', 'alice', 'hi', '--jsn'], 'there is no option --jsn; did you mean --json?'],
    [['link', 'alice', '--lnog'], 'there is no option --lnog; did you mean --long?'],
    [['repair', '--keyFil', '/k'], 'there is no option --keyFil; did you mean --key-file?'],
  ])('%j', async (argv, reason) => {
    expect(await parse(argv)).toEqual({ kind: 'usage', reason });
  });

  test('what is wrong with options that are there is said as ever', async () => {
    for (const argv of [
      ['tail', 'tea', 'alice', '-n'],
      ['--keyFile', '/k', '--no-follow'],
      ['tea', '--', '--bogus', 'x'],
    ]) {
      const parsed = await parse(argv);
      expect(parsed.kind).toBe('usage');
      expect(JSON.stringify(parsed)).not.toContain('no option');
    }
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

  test('S7: --encrypt and --key-file go with whatever opens the folder; encrypt and passwd need no group', async () => {
    const chat = await parse(['tea', 'alice', '--encrypt', '--key-file', '/k']);
    expect(chat).toMatchObject({ kind: 'run', settings: { encrypt: true, keyFile: '/k' } });
    expect((await parse(['tea', 'alice'])) as object).not.toHaveProperty('settings.encrypt');
    expect(await parse(['recover', '--encrypt'])).toMatchObject({ kind: 'recover', encrypt: true });
    const encrypt = await parse(['encrypt', '--config', '/c', '--key-file', '/k']);
    expect(encrypt).toEqual({ kind: 'encrypt', config: '/c', keyFile: '/k' });
    const passwd = await parse(['passwd', '--config', '/c', '--new-key-file', '/n']);
    expect(passwd).toEqual({ kind: 'passwd', config: '/c', newKeyFile: '/n' });
  });

  test('link names an account by its id, recover takes nothing but where; both need no group', async () => {
    const account = 'a'.repeat(32);
    const linked = await parse(['link', account, '--config', '/new', '--server', 'http://host:1']);
    expect(linked).toEqual({ kind: 'link', account, server: 'http://host:1', config: '/new' });
    expect(await parse(['link', account, '--long'])).toMatchObject({ kind: 'link', account, long: true });
    expect(await parse(['recover', '--config', '/new'])).toMatchObject({ kind: 'recover', config: '/new' });
    const reason = 'link needs the id of your account; /link on your other device shows it';
    for (const typed of [['link'], ['link', '--long'], ['--config', '/new', 'link']]) {
      expect(await parse(typed)).toEqual({ kind: 'usage', reason });
    }
    for (const wrong of [
      ['link', 'alice'],
      ['recover', 'alice'],
      ['link', account, '--server', 'nowhere'],
    ]) {
      expect((await parse(wrong)).kind, wrong.join(' ')).toBe('usage');
    }
    expect(await parse(['#link', 'alice'])).toMatchObject({ kind: 'run', settings: { group: 'link' } });
  });
});

describe('one thing to be done', () => {
  const task = async (...argv: string[]) => {
    const parsed = await parse(argv);
    return parsed.kind === 'run' ? [parsed.settings.group, parsed.settings.userName, parsed.settings.task] : parsed;
  };

  test('send takes the rest as one message, also what looks like a command or, after --, like a flag', async () => {
    expect(await task('send', 'tea', 'alice', 'the', 'kettle', 'is on')).toEqual([
      'tea',
      'alice',
      { kind: 'send', text: 'the kettle is on' },
    ]);
    expect(await task('send', 'tea', 'alice', '/quit')).toEqual(['tea', 'alice', { kind: 'send', text: '/quit' }]);
    expect(await task('send', 'tea', 'alice', '--', '-n', '--json')).toMatchObject([
      'tea',
      'alice',
      { kind: 'send', text: '-n --json' },
    ]);
    const again = await parse(['--config', 'a', 'send', 'tea', 'alice', 'hi', '--config', 'b']);
    expect(again).toMatchObject({ settings: { config: resolve('b'), task: { text: 'hi' } } });
    expect(await task('send', 'tea', 'alice', '007')).toMatchObject(['tea', 'alice', { text: '007' }]);
    expect(await task('send', 'tea', 'alice')).toEqual(['tea', 'alice', { kind: 'send', text: undefined }]);
  });

  test('tail and export', async () => {
    expect(await task('tail', 'tea', 'alice')).toMatchObject(['tea', 'alice', { lines: 10, follow: false }]);
    expect(await task('tail', 'tea', 'alice', '-n', '3', '--follow')).toMatchObject([
      'tea',
      'alice',
      { kind: 'tail', lines: 3, follow: true },
    ]);
    expect(await task('tail', 'tea', 'alice', '-n', 'many')).toMatchObject({ kind: 'usage' });
    expect(await task('export', 'tea', 'alice', 'f.txt')).toMatchObject(['tea', 'alice', { file: 'f.txt' }]);
    expect(await task('export', 'tea', 'alice')).toMatchObject(['tea', 'alice', { file: undefined }]);
  });

  test('a group may have the name of a command, with its #', async () => {
    expect(await task('#send', 'alice')).toEqual(['send', 'alice', undefined]);
  });

  test('how to call, and when to renew keys', async () => {
    expect(await parse(['tea', 'alice', '--notify', 'bell'])).toMatchObject({ settings: { notify: 'bell' } });
    expect(await parse(['tea', 'alice'], { MLSCHAT_NOTIFY: 'osc9' })).toMatchObject({ settings: { notify: 'osc9' } });
    expect(await parse(['tea', 'alice', '--notify', 'gong'])).toMatchObject({ kind: 'usage' });
    expect(await parse(['tea', 'alice', '--rotate-after-messages', '0', '--rotate-after-days', '1'])).toMatchObject({
      settings: { rotation: { afterMessages: Number.POSITIVE_INFINITY, afterMs: 86_400_000 } },
    });
    expect(await parse(['tea', 'alice', '--rotate-after-days', 'soon'])).toMatchObject({ kind: 'usage' });
  });

  test('shells complete commands and flags', async () => {
    const script = await parse(['completion']);
    expect(script).toMatchObject({ kind: 'text', text: expect.stringContaining('mlschat --get-yargs-completions') });
    const offered = async (...words: string[]) => {
      const found = await parse(['--get-yargs-completions', 'mlschat', ...words]);
      return found.kind === 'text' ? found.text.split('\n') : found;
    };
    expect(await offered('se')).toContain('send');
    expect(await offered('')).not.toContain('$0');
    expect(await offered('tea', 'alice', '--fo')).toContain('--no-follow');
    expect(await offered('--notify', '')).toEqual(['bell', 'osc9', 'off']);
  });

  test.each([['tail'], ['send', 'tea', 'bob', 'hi'], ['export', 'tea', 'bob'], ['tea', 'bob', '--bogus']])(
    'Tab never does what is typed so far: %s',
    async (...words) => {
      expect(await parse(['--get-yargs-completions', 'mlschat', ...words])).toMatchObject({ kind: 'text' });
    },
  );
});
