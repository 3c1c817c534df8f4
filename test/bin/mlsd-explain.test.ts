import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { checkSettings, type ServerConfig } from '../../src/bin/mlsd/config.ts';
import { makePrivateFolder, readDomainSecret } from '../../src/bin/mlsd/domain-secret.ts';
import { explain } from '../../src/bin/mlsd/explain.ts';
import { LogError } from '../../src/log/errors.ts';
import { tempFolder } from '../support/nats.ts';

function configOf(data: string, host = '127.0.0.1'): ServerConfig {
  const setting = (value: unknown) => ({ value, source: 'test' });
  const check = checkSettings({
    data: setting(data),
    host: setting(host),
    port: setting(0),
    'behind-tls-proxy': setting(true),
  });
  if (check.kind === 'refused') throw new Error(check.problems.join());
  return check.config;
}

const failureOf = (doing: Promise<unknown>): Promise<unknown> =>
  doing.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('why mlsd does not start', () => {
  it('names the setting whose address or port is none', () => {
    const failure = (syscall: string, code: string) =>
      Object.assign(new Error(`${syscall} ${code}`), { syscall, code });
    const config = configOf('/x', 'chat.example');
    for (const [error, says] of [
      [failure('listen', 'EADDRINUSE'), 'port 0 on chat.example is taken: choose another one with --port'],
      [failure('listen', 'EADDRNOTAVAIL'), '--host: chat.example is no address of this machine'],
      [failure('getaddrinfo', 'ENOTFOUND'), '--host: this machine knows no address of chat.example'],
      [failure('listen', 'EACCES'), 'port 0 may not be opened by this user: choose one from 1024 on with --port'],
    ] as const) {
      expect(explain(error, config)).toBe(says);
    }
  });

  it('names the path, what is wrong with it in words, and --data where it is the data folder', async () => {
    await using work = await tempFolder();
    const file = join(work.path, 'file');
    await writeFile(file, '');
    const config = configOf(file);
    expect(explain(await failureOf(makePrivateFolder(file)), config)).toMatch(
      new RegExp(`^${file}: there is something of that name already, and it is no folder .*--data`),
    );
    const below = configOf(join(file, 'below'));
    expect(explain(await failureOf(makePrivateFolder(below.dataFolder)), below)).toMatch(
      /a part of this path is no folder .*--data/,
    );
    const elsewhere = explain(await failureOf(readFile(join(work.path, 'credentials'))), configOf('/x'));
    expect(elsewhere).toBe(`${join(work.path, 'credentials')}: it is not there (open)`);
  });

  it('says what to do where the log is of another domain', () => {
    const error = new LogError('domain-mismatch', 'the log belongs to a, not to b');
    expect(explain(error, configOf('/x'))).toMatch(/the log belongs to a, not to b\. .*--domain.*--data/);
  });

  it('never advises to close a file that is no secret to others, only one that is', async () => {
    await using work = await tempFolder();
    const path = join(work.path, 'secret');
    await writeFile(path, 'root:x:0:0\n', { mode: 0o644 });
    await expect(readDomainSecret(path)).rejects.toThrow(/does not hold a secret/);
    await writeFile(path, 'ab'.repeat(32));
    await chmod(path, 0o644);
    await expect(readDomainSecret(path)).rejects.toThrow(`chmod 600 ${path}`);
    await chmod(path, 0o600);
    expect(await readDomainSecret(path)).toHaveLength(32);
  });
});
