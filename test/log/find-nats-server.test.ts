import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { acquireNatsServer, durabilityWarning, type Provider } from '../../src/log/nats-server/acquire.ts';
import { mainArchive, parseSources, parseSourcesList } from '../../src/log/nats-server/apt-sources.ts';
import {
  createGetPackage,
  debianFamily,
  fetchFailure,
  NoConnection,
  packageSources,
} from '../../src/log/nats-server/debian-package.ts';
import { cachedBinary, cacheFolder, findNatsServer, type SearchPlaces } from '../../src/log/nats-server/find.ts';
import { checkArchive, releaseArchive } from '../../src/log/nats-server/pinned-release.ts';
import { formatVersion, parseVersion, probeBinary } from '../../src/log/nats-server/version.ts';
import { tempFolder } from '../support/nats.ts';

/** A program that says it is a nats-server of that version. */
async function fake(path: string, version: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  await chmod(path, 0o755);
  return path;
}

function placesIn(folder: string, chosen?: string): SearchPlaces {
  return { chosen, path: [join(folder, 'a'), join(folder, 'b')], cacheFolder: join(folder, 'cache') };
}

const provider = (name: string, version: string): Provider => ({
  name,
  get: (folder) => fake(join(folder, 'got', 'nats-server'), version),
});
const failing: Provider = { name: 'nothing', get: () => Promise.reject(new Error('no connection')) };

describe('finding', () => {
  test('takes the chosen one before all others, and refuses it when it does not run or is too old', async () => {
    await using folder = await tempFolder();
    await fake(join(folder.path, 'a', 'nats-server'), '2.15.1');
    const chosen = await fake(join(folder.path, 'mine'), '2.9.10');
    expect((await findNatsServer(placesIn(folder.path, chosen))).path).toBe(chosen);
    const missing = placesIn(folder.path, join(folder.path, 'missing'));
    await expect(findNatsServer(missing)).rejects.toMatchObject({ code: 'server-not-found' });
    const ancient = placesIn(folder.path, await fake(join(folder.path, 'ancient'), '2.2.0'));
    await expect(findNatsServer(ancient)).rejects.toMatchObject({ code: 'server-not-found' });
  });

  test('takes the first on PATH that syncs every write, then the cached one, then the best of the older ones', async () => {
    await using folder = await tempFolder();
    const places = placesIn(folder.path);
    await expect(findNatsServer(places)).rejects.toMatchObject({ code: 'server-not-found' });
    const old = await fake(join(folder.path, 'a', 'nats-server'), '2.9.10');
    expect((await findNatsServer(places)).path).toBe(old);
    const cached = await fake(cachedBinary(places.cacheFolder), '2.14.5');
    expect((await findNatsServer(places)).path).toBe(cached);
    const onPath = await fake(join(folder.path, 'b', 'nats-server'), '2.10.0');
    expect((await findNatsServer(places)).path).toBe(onPath);
  });

  test('passes over what is not executable, does not run, or is something else', async () => {
    await using folder = await tempFolder();
    await mkdir(join(folder.path, 'a', 'nats-server'), { recursive: true });
    await mkdir(join(folder.path, 'b'));
    await writeFile(join(folder.path, 'b', 'nats-server'), '#!/bin/sh\necho 2.15.1\n', { mode: 0o755 });
    await expect(findNatsServer(placesIn(folder.path))).rejects.toMatchObject({ code: 'server-not-found' });
    expect(await probeBinary('/bin/true')).toBeUndefined();
    expect(await probeBinary(join(folder.path, 'nothing'))).toBeUndefined();
  });

  test('keeps copies where the system keeps caches', () => {
    expect(cacheFolder({ XDG_CACHE_HOME: '/x/cache' }, 'linux', '/home/u')).toBe('/x/cache/mlsd');
    expect(cacheFolder({ XDG_CACHE_HOME: 'relative' }, 'linux', '/home/u')).toBe('/home/u/.cache/mlsd');
    expect(cacheFolder({}, 'darwin', '/Users/u')).toBe('/Users/u/Library/Caches/mlsd');
  });

  test('reads versions as they are written', () => {
    for (const text of ['nats-server: v2.15.1', '2.9.10-1+b3', 'v2.14.0-RC.1'])
      expect(parseVersion(text)).toBeDefined();
    expect(parseVersion('nats-server: devel')).toBeUndefined();
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (major, minor, patch) => {
        expect(parseVersion(`v${formatVersion({ major, minor, patch })}`)).toEqual({ major, minor, patch });
      }),
    );
  });
});

describe('acquiring', () => {
  test('downloads nothing when a good one is there', async () => {
    await using folder = await tempFolder();
    const places = placesIn(folder.path);
    const there = await fake(join(folder.path, 'b', 'nats-server'), '2.10.0');
    expect((await acquireNatsServer({ places, providers: [failing] })).path).toBe(there);
  });

  test('tries one way after the other, says so, and puts a whole program into the cache', async () => {
    await using folder = await tempFolder();
    const places = placesIn(folder.path);
    const lines: string[] = [];
    const broken: Provider = { name: 'broken', get: async () => '/bin/true' };
    const got = await acquireNatsServer({
      places,
      providers: [failing, broken, provider('works', '2.15.1'), provider('never tried', '2.16.0')],
      onProgress: (line) => lines.push(line),
    });
    expect(got).toEqual({ path: cachedBinary(places.cacheFolder), version: { major: 2, minor: 15, patch: 1 } });
    expect(await readdir(places.cacheFolder)).toEqual(['nats-server']);
    expect(lines.filter((line) => line.startsWith('getting'))).toHaveLength(3);
    expect(durabilityWarning(got)).toBeUndefined();
    expect(await acquireNatsServer({ places, providers: [failing] })).toEqual(got);
  });

  test('settles for an older one only when nothing better comes, warns, and does not try again every time', async () => {
    await using folder = await tempFolder();
    const places = placesIn(folder.path);
    await fake(join(folder.path, 'a', 'nats-server'), '2.9.10');
    let tries = 0;
    const counting: Provider = { name: 'counted', get: () => Promise.reject(new Error(`try ${++tries}`)) };
    const got = await acquireNatsServer({ places, providers: [provider('older', '2.9.9'), counting] });
    expect(formatVersion(got.version)).toBe('2.9.10');
    expect(durabilityWarning(got)).toContain('power cut');
    expect(await acquireNatsServer({ places, providers: [counting] })).toEqual(got);
    expect(tries).toBe(1);
  });

  test('gives server-not-found with the ways to install one when there is no way left', async () => {
    await using folder = await tempFolder();
    const places = placesIn(folder.path);
    await expect(acquireNatsServer({ places, providers: [failing] })).rejects.toMatchObject({
      code: 'server-not-found',
    });
    const wrong = { ...places, chosen: '/nowhere' };
    await expect(acquireNatsServer({ places: wrong, providers: [provider('unused', '2.15.1')] })).rejects.toMatchObject(
      {
        code: 'server-not-found',
      },
    );
  });

  test('takes the official archive only with the published checksum', () => {
    const archive = releaseArchive('linux', 'x64')!;
    expect(archive.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(archive.url).toContain('linux-amd64');
    expect(releaseArchive('darwin', 'arm64')).toBeDefined();
    expect(releaseArchive('win32', 'x64')).toBeUndefined();
    expect(releaseArchive('__proto__', '')).toBeUndefined();
    const bytes = Buffer.from('an archive');
    expect(() => checkArchive(bytes, archive.sha256)).toThrow('checksum');
    checkArchive(bytes, createHash('sha256').update(bytes).digest('hex'));
  });
});

describe('the package mirror of the system', () => {
  const deb822 = `# a comment
Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg

Enabled: no
Types: deb
URIs: http://other.example/disabled
Suites: x
Components: main
`;
  const oneLine = `deb [arch=amd64 signed-by=/keys/a.gpg] http://mirror.example/ubuntu noble main universe # here
# deb http://mirror.example/off noble main
deb-src http://mirror.example/ubuntu noble main
deb http://third.example/tool stable tool
`;

  test('is read from both kinds of sources file', () => {
    expect(mainArchive(parseSources(deb822))).toEqual({
      uri: 'http://mirror.example/debian',
      suites: ['bookworm', 'bookworm-updates'],
      components: ['main', 'contrib'],
      signedBy: '/usr/share/keyrings/archive.gpg',
    });
    expect(parseSources(deb822)).toHaveLength(2);
    expect(parseSourcesList(oneLine)).toHaveLength(2);
    expect(mainArchive(parseSourcesList(oneLine))).toEqual({
      uri: 'http://mirror.example/ubuntu',
      suites: ['noble'],
      components: ['main', 'universe'],
      signedBy: '/keys/a.gpg',
    });
  });

  test('is asked for newer suites first and for its own last; a system without apt has none', () => {
    const sources = packageSources('debian', parseSources(deb822));
    expect(sources.map(({ suites }) => suites[0])).toEqual(['sid', 'testing', 'stable', 'bookworm']);
    expect(packageSources('ubuntu', parseSourcesList(oneLine)).map(({ suites }) => suites[0])).toEqual([
      'devel',
      'noble',
    ]);
    expect(packageSources('debian', [])).toEqual([]);
    expect(debianFamily('ID=debian\n')).toBe('debian');
    expect(debianFamily('ID=linuxmint\nID_LIKE="ubuntu debian"\n')).toBe('ubuntu');
    expect(debianFamily('ID=alpine\n')).toBeUndefined();
    expect(debianFamily('')).toBeUndefined();
  });

  test('that cannot be reached is told as that, and not asked for every suite again', async () => {
    const apt = `W: Some index
E: Failed to fetch http://mirror.example/debian/dists/sid/InRelease  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)
E: Some index files failed to download. They have been ignored, or old ones used instead.
`;
    expect(fetchFailure(apt)).toMatch(/^http:\/\/mirror.example\/debian\/dists\/sid\/InRelease: Could not connect to/);
    expect(fetchFailure('E: Unable to locate package nats-server\n')).toBeUndefined();

    const [first, second] = packageSources('debian', parseSources(deb822));
    const other = { ...first!, archive: { ...first!.archive, uri: 'http://elsewhere.example/debian' } };
    const asked: string[] = [];
    const answers = [new NoConnection('silent'), new Error('404  Not Found'), new Error('404  Not Found')];
    const get = createGetPackage(async ({ archive, suites }) => {
      asked.push(`${archive.uri} ${suites[0]}`);
      throw answers[asked.length - 1];
    });
    await expect(get(first!, '/x')).rejects.toThrow('silent');
    await expect(get(second!, '/x')).rejects.toThrow('cannot be reached');
    for (let time = 0; time < 2; time += 1) await expect(get(other, '/x')).rejects.toThrow('404');
    expect(asked).toEqual([
      'http://mirror.example/debian sid',
      'http://elsewhere.example/debian sid',
      'http://elsewhere.example/debian sid',
    ]);
  });

  test('no text makes reading the sources fail', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        parseSources(text);
        parseSourcesList(text);
        debianFamily(text);
      }),
    );
  });
});
