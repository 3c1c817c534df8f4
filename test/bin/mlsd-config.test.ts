import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseArguments } from '../../src/bin/mlsd/arguments.ts';
import { checkSettings, type ServerConfig } from '../../src/bin/mlsd/config.ts';
import { OPTION_NAMES, variableOf } from '../../src/bin/mlsd/options.ts';
import { EXIT } from '../../src/bin/mlsd/process.ts';
import { type ConfigFile, mergeSettings } from '../../src/bin/mlsd/raw-settings.ts';
import { runMlsd } from '../../src/bin/mlsd/run.ts';

type Outcome = { config: ServerConfig } | { problems: readonly string[] };

async function settings(argv: string[], env: Record<string, string> = {}, file?: ConfigFile): Promise<Outcome> {
  const parsed = await parseArguments(['serve', ...argv], { version: '1', columns: 100 });
  if (parsed.kind !== 'serve') return { problems: ['reason' in parsed ? parsed.reason : parsed.kind] };
  const merged = mergeSettings({ flags: parsed.flags, env, ...(file === undefined ? {} : { file }) });
  if (merged.kind === 'refused') return merged;
  const check = checkSettings(merged.raw);
  return check.kind === 'refused' ? check : check;
}

const config = (outcome: Outcome): ServerConfig => {
  if (!('config' in outcome)) throw new Error(outcome.problems.join('\n'));
  return outcome.config;
};
const problems = (outcome: Outcome): string => ('problems' in outcome ? outcome.problems.join('\n') : '');
const file = (content: unknown): ConfigFile => ({ path: '/etc/mlsd.json', content });

describe('the settings of mlsd', () => {
  it('have defaults that run a private server on loopback', async () => {
    const { host, port, domain, log, behindTlsProxy, dataFolder, secretFile } = config(await settings([]));
    expect({ host, port, domain, log, behindTlsProxy }).toEqual({
      host: '127.0.0.1',
      port: 4000,
      domain: 'localhost',
      log: { kind: 'embedded' },
      behindTlsProxy: false,
    });
    expect(dataFolder).toMatch(/\/\.mlsd$/);
    expect(secretFile).toBe(`${dataFolder}/secret`);
  });

  it('wait two minutes for the NATS servers of somebody else, or as long as is said', async () => {
    const wait = async (...more: string[]) => config(await settings(['--nats', 'nats://a:1', ...more])).log;
    expect(await wait()).toMatchObject({ waitSeconds: 120 });
    expect(await wait('--nats-wait', '0')).toMatchObject({ waitSeconds: 0 });
    expect(problems(await settings(['--nats', 'nats://a:1', '--nats-wait', '-1']))).toContain('--nats-wait');
    expect(problems(await settings(['--nats-wait', '5']))).toContain('only makes sense together with --nats');
  });

  it('are the same from flags, environment and config file', async () => {
    const flags = ['--port', '5000', '--domain', 'chat.example', '--data', '/srv/mlsd', '--log-level', 'debug'];
    const more = ['--nats', 'nats://a:1', '--nats', 'nats://b:2', '--replicas', '3', '--limit', 'pastEpochs=7'];
    const env = {
      MLSD_PORT: '5000',
      MLSD_DOMAIN: 'chat.example',
      MLSD_DATA: '/srv/mlsd',
      MLSD_LOG_LEVEL: 'debug',
      MLSD_NATS: 'nats://a:1,nats://b:2',
      MLSD_REPLICAS: '3',
      MLSD_LIMIT: 'pastEpochs=7',
    };
    const content = {
      port: 5000,
      domain: 'chat.example',
      data: '/srv/mlsd',
      'log-level': 'debug',
      nats: ['nats://a:1', 'nats://b:2'],
      replicas: 3,
      limit: { pastEpochs: 7 },
    };
    const expected = config(await settings([...flags, ...more]));
    expect(expected.limits.pastEpochs).toBe(7);
    expect(config(await settings([], env))).toEqual(expected);
    expect(config(await settings([], {}, file(content)))).toEqual(expected);
  });

  it('from a flag beat those of the environment, and these the config file', async () => {
    const env = { MLSD_PORT: '2' };
    expect(config(await settings(['--port', '1'], env, file({ port: 3 }))).port).toBe(1);
    expect(config(await settings([], env, file({ port: 3 }))).port).toBe(2);
    expect(config(await settings([], {}, file({ port: 3 }))).port).toBe(3);
  });

  it('that are wrong are named where they were written, with the reason, all at once', async () => {
    const wrong = await settings(['--port', 'abc', '--domain', 'Not A Domain'], { MLSD_LOG_LEVEL: 'loud' });
    expect(problems(wrong)).toMatch(/--port: has to be a whole number from 0 to 65535, not "abc"/);
    expect(problems(wrong)).toMatch(/--domain: has to be a domain name/);
    expect(problems(wrong)).toMatch(/MLSD_LOG_LEVEL: has to be one of/);
    expect(problems(await settings([], {}, file({ port: -1 })))).toMatch(/port in \/etc\/mlsd.json: .*not -1/);
    expect(problems(await settings([], {}, file({ prot: 1 })))).toMatch(/prot in \/etc\/mlsd.json/);
    expect(problems(await settings([], {}, file([])))).toMatch(/one JSON object/);
    expect(problems(await settings(['--limit', 'nonsense=3']))).toMatch(/--limit/);
    expect(problems(await settings(['--nats', 'http://x']))).toMatch(/--nats: has to be URLs/);
    expect(problems(await settings(['--replicas', '3']))).toMatch(/--replicas: only makes sense together with --nats/);
    expect(problems(await settings(['--prot', '3']))).toMatch(/prot/);
    expect(problems(await settings(['--port', '1', '--port', '2']))).toMatch(/--port is given twice/);
  });

  it('name one limit or the other by mistake, and are told which was meant; times are ones that a timer can keep', async () => {
    expect(problems(await settings(['--limit', 'pageMaxEntris=3']))).toMatch(/did you mean pageMaxEntries\?/);
    expect(problems(await settings(['--limit', 'nonsense=3']))).toMatch(/mlsd serve --help lists/);
    for (const name of ['heartbeatMs', 'waitMaxMs', 'headersTimeoutMs', 'bodyTimeoutMs', 'drainTimeoutMs']) {
      expect(problems(await settings(['--limit', `${name}=2147483648`]))).toContain(`${name} a whole number`);
      expect('config' in (await settings(['--limit', `${name}=2147483647`]))).toBe(true);
    }
    expect(problems(await settings(['--limit', 'attachmentRetentionMs=1']))).toContain('from 100 to');
  });

  it('take a nats-server by its path, or by its bare name from PATH', async () => {
    const program = async (name: string) => config(await settings(['--nats-server', name])).log;
    expect(await program('nats-server')).toEqual({ kind: 'embedded', program: 'nats-server' });
    expect(await program('./nats-server')).toEqual({ kind: 'embedded', program: resolve('nats-server') });
  });

  it('D12: plain HTTP only on loopback, or behind a stated TLS proxy', async () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.5', 'chat.example']) {
      expect(problems(await settings(['--host', host]))).toMatch(/--behind-tls-proxy/);
      expect(config(await settings(['--host', host, '--behind-tls-proxy'])).behindTlsProxy).toBe(true);
    }
    for (const host of ['127.0.0.1', '::1', 'localhost', '127.0.0.2']) {
      expect(config(await settings(['--host', host])).host).toBe(host);
    }
  });

  it('are all in the help, with their variables', async () => {
    const help = await parseArguments(['serve', '--help'], { version: '1', columns: 200 });
    const text = help.kind === 'text' ? help.text : '';
    for (const name of OPTION_NAMES) {
      expect(text).toContain(`--${name}`);
      expect(text.replace(/\s+/g, '')).toContain(variableOf(name));
    }
    expect(text).toContain('--config-file');
  });
});

describe('mlsd', () => {
  const run = async (...argv: string[]) => {
    const out: string[] = [];
    const err: string[] = [];
    const code = await runMlsd(argv, {
      env: {},
      stdout: { write: (text) => out.push(text) },
      stderr: { write: (text) => err.push(text) },
      version: '9.9.9',
      stopping: AbortSignal.abort(),
    });
    return { code, out: out.join(''), err: err.join('') };
  };

  it('exits 2 for wrong settings and says which', async () => {
    expect(await run('serve', '--host', '0.0.0.0')).toMatchObject({ code: EXIT.usage, out: '' });
    expect((await run('serve', '--port', 'x')).err).toContain('--port');
    expect((await run('serve', '--config-file', '/does/not/exist')).err).toContain('--config-file: /does/not/exist');
    expect(await run()).toMatchObject({ code: EXIT.usage });
    expect(await run('dance')).toMatchObject({ code: EXIT.usage });
  });

  it('names the option or command that is none, and the one that may have been meant', async () => {
    for (const [argv, says] of [
      [['serve', '--prot', '1'], 'mlsd: there is no option --prot; did you mean --port?\n'],
      [['log', 'tail', '--folow'], 'mlsd: there is no option --folow; did you mean --follow?\n'],
      [['verify', '--bogus'], 'mlsd: there is no option --bogus\n'],
      [['srever'], 'mlsd: there is no command srever; did you mean mlsd serve?\n'],
      [['dance'], 'mlsd: there is no command dance\n'],
      [['log', 'shwo', '3'], 'mlsd: there is no command log shwo; did you mean mlsd log show?\n'],
    ] as const) {
      const { code, err } = await run(...argv);
      expect([code, err.startsWith(says) ? says : err]).toEqual([EXIT.usage, says]);
    }
  });

  it('says in its own words what is too much and what is missing; nothing after -- is passed over', async () => {
    for (const [argv, says] of [
      [['serve', 'x'], 'mlsd: one word too many: x\n'],
      [['serve', '--', 'x'], 'mlsd: too many words: x\n'],
      [['rebuild', '--', 'now', 'please'], 'mlsd: too many words: now, please\n'],
      [['export'], 'mlsd: FILE is missing\n'],
      [['serve', '--port'], 'mlsd: there has to be a value after --port\n'],
      [['log', 'tail', '-n'], 'mlsd: there has to be a value after -n\n'],
      [['serve', '--config-file='], 'mlsd: --config-file: has to be a path, not ""\n'],
    ] as const) {
      const { code, err } = await run(...argv);
      expect([argv, code, err.startsWith(says) ? says : err]).toEqual([argv, EXIT.usage, says]);
    }
  });

  it('takes yes and no behind the = of a flag as in the environment, and refuses what is neither', async () => {
    const parse = async (...argv: string[]) => await parseArguments(argv, { version: '1', columns: 100 });
    for (const [text, dryRun] of [
      ['yes', true],
      ['1', true],
      ['true', true],
      ['no', false],
      ['false', false],
    ] as const) {
      expect(await parse('compact', '--keep', '1', `--dry-run=${text}`)).toMatchObject({ command: { dryRun } });
    }
    for (const [text, accepted] of [
      ['yes', true],
      ['0', false],
    ] as const) {
      expect(config(await settings([`--accept-rollback=${text}`])).acceptRollback).toBe(accepted);
    }
    expect(problems(await settings(['--behind-tls-proxy=maybe']))).toMatch(
      /--behind-tls-proxy: has to be true or false/,
    );
    expect(await parse('compact', '--keep', '1', '--dry-run=ja')).toMatchObject({
      kind: 'usage',
      reason: expect.stringContaining('--dry-run: has to be true or false'),
    });
    expect(problems(await settings(['--accept-rollback', '--accept-rollback=no']))).toContain('is given twice');
    // nobody who asks for help in the wrong words gets the work done instead
    for (const asked of ['--help=yes', '--help=1', '--version=yes', '-h=3']) {
      const reason = expect.stringMatching(/^--?(help|version|h): has to be true or false/);
      expect(await parse('compact', '--keep', '1', asked)).toMatchObject({ kind: 'usage', reason });
    }
    expect(await parse('log', 'tail', '-f=yes')).toMatchObject({ kind: 'usage' });
    expect(await parse('log', 'tail', '-f=true', '-n=3')).toMatchObject({ command: { follow: true, lines: 3 } });
  });

  it('shows help and version on standard output and exits 0', async () => {
    expect(await run('--help')).toMatchObject({ code: EXIT.done, err: '' });
    expect(await run('-h')).toEqual(await run('--help'));
    expect(await run('--version')).toMatchObject({ code: EXIT.done, out: '9.9.9\n' });
  });
});
