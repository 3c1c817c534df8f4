import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeEvent } from '../../src/log/envelope.ts';
import { finishSwap } from '../../src/log/swap-store.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { openTablesFile } from '../../src/projections/store/tables-file.ts';
import { type Compacted, compact } from '../../src/tools/compact/compact.ts';
import { linesOf } from '../../src/tools/compact/words.ts';
import { readPieces, writeWhole } from '../../src/tools/export/export-file.ts';
import { importLog } from '../../src/tools/export/import-log.ts';
import { currentHeads, exportGroup, exportLog } from '../../src/tools/export/write-export.ts';
import { NO_PROGRESS } from '../../src/tools/progress.ts';
import { rebuild } from '../../src/tools/rebuild.ts';
import { verifyFile } from '../../src/tools/verify/verify-file.ts';
import { fromBase64Url, toBase64Url, toHex } from '../../src/wire/bytes.ts';
import { decodeEntry, encodeEntry, isGroupEntry, nextHead } from '../../src/wire/entry.ts';
import { tempFolder } from '../support/nats.ts';
import { okValue, problemOf } from '../support/signed-client.ts';

import { copyFolder, eventsOf, mlsd, type SeenServer, seenServer, siteOptions, verify, withSite } from './support.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
let seen: SeenServer;
let tea: string;

beforeAll(async () => {
  seen = await seenServer();
  tea = `/v1/groups/${toBase64Url(seen.tea)}`;
});
afterAll(() => seen[Symbol.asyncDispose]());

const run = (folder: string, policy: { keep?: number; before?: number }, dryRun = false): Promise<Compacted> =>
  withSite(folder, (site) => compact(site, { policy, dryRun, progress: NO_PROGRESS }));

async function copied() {
  const folder = await tempFolder();
  await copyFolder(seen.folder, folder.path);
  return folder;
}

/** Heads and starts of all groups, as the tables have them. */
async function standing(folder: string): Promise<readonly string[]> {
  const opened = await openTablesFile(join(folder, 'tables'));
  if (opened.kind !== 'tables') throw new Error(opened.kind);
  await using file = opened.file;
  return file
    .standing()
    .heads.map(({ number, position, hash }) => `${file.logStartOf(number)?.position ?? 1}–${position} ${toHex(hash)}`);
}

/** The ciphertexts in a log, as they stand on the disk. */
async function ciphertexts(folder: string): Promise<Uint8Array[]> {
  const events = (await eventsOf(folder)).map(({ bytes }) => decodeEvent(bytes));
  return events.flatMap((event) =>
    event.type === 'messages-sent' || event.type === 'messages-compacted'
      ? event.batches.flatMap(({ messages }) =>
          messages.flatMap(([, , message]) => (message === null ? [] : [message])),
        )
      : [],
  );
}

async function isOnDisk(folder: string, bytes: Uint8Array): Promise<boolean> {
  const files = await readdir(join(folder, 'nats'), { recursive: true, withFileTypes: true });
  for (const file of files) {
    if (file.isFile() && (await readFile(join(file.parentPath, file.name))).includes(Buffer.from(bytes))) return true;
  }
  return false;
}

describe('mlsd compact', () => {
  it('says with --dry-run what would go, and changes nothing', async () => {
    await using folder = await copied();
    const before = await eventsOf(folder.path);
    const result = await run(folder.path, { keep: 2 }, true);
    expect(linesOf(result)).toEqual([
      expect.stringMatching(/^group \S+: 3 entries before position 4 \(20\S+Z\) would go, 2 stay$/),
      expect.stringMatching(/^group \S+: 4 entries before position 5 \(20\S+Z\) would go, 2 stay$/),
      '7 entries of 2 groups would go',
    ]);
    expect(await eventsOf(folder.path)).toEqual(before);
  });

  it('removes the messages from tables and log; every head, position and row holds, and a rebuild comes to the same', async () => {
    await using folder = await copied();
    const [before, texts] = [await standing(folder.path), await ciphertexts(folder.path)];
    expect(await isOnDisk(folder.path, texts[0]!)).toBe(true);
    const { log } = await run(folder.path, { keep: 2 });
    expect(log).toMatchObject({ kind: 'rewritten' });
    const after = await standing(folder.path);
    expect(after.map((line) => line.replace(/^\d+/, '1'))).toEqual(before);
    expect(after.map((line) => Number.parseInt(line, 10))).toEqual([4, 5]);
    const left = await ciphertexts(folder.path);
    const [inTea, inTeaLater, ...inInk] = texts;
    expect(left).toEqual([inTeaLater, ...inInk.slice(-2)]);
    const gone = [inTea!, ...inInk.slice(0, -2)];
    expect(await Promise.all(gone.map((text) => isOnDisk(folder.path, text)))).toEqual(gone.map(() => false));
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
    await withSite(folder.path, (site) => rebuild(site, NO_PROGRESS));
    expect(await standing(folder.path)).toEqual(after);
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
    expect((await run(folder.path, { keep: 2 })).log).toEqual({ kind: 'nothing-left' });
  });

  it('a cursor before the start gets 410 with the GroupInfo to rejoin by, and what is served chains to the head it names', async () => {
    await using folder = await copied();
    await run(folder.path, { keep: 2 });
    await seen.on(folder.path, async () => {
      const { alice } = seen;
      const expired = await alice.http.request('GET', `${tea}/log?after=1`);
      const problem = problemOf(expired);
      expect(problem).toMatchObject({
        status: 410,
        code: 'cursor-expired',
        logStart: 4,
        firstEpoch: 1,
        currentEpoch: 2,
      });
      const info = okValue(await alice.http.request('GET', `${tea}/group-info`));
      expect(fromBase64Url(problem.groupInfo!)).toEqual(info.groupInfo);
      const page = okValue(await alice.http.request('GET', `${tea}/log?after=3`));
      const entries: Uint8Array[] = page.entries;
      expect(page.logStart).toBe(4);
      expect(entries.reduce((head, entry) => nextHead(head, entry, nodeSha256), fromBase64Url(problem.head!)!)).toEqual(
        page.head,
      );
      expect(okValue(await alice.http.request('GET', tea))).toMatchObject({ logStart: 4, firstEpoch: 1, position: 5 });

      const synced = okValue(await alice.http.request('GET', '/v1/sync?cursor=start'));
      const [gap] = synced.gaps;
      expect(gap).toMatchObject({ from: 1, to: 3, next: { epoch: 1, head: fromBase64Url(problem.head!) } });
      const ofTea = synced.entries.map(decodeEntry).filter(isGroupEntry);
      expect(ofTea.map(({ position }: { position: number }) => position)).toEqual([4, 5]);
      expect(gap.next.time).toBe(ofTea[0].time);
      expect(ofTea.map(encodeEntry)).toEqual(entries);
      expect(okValue(await alice.http.request('GET', `/v1/sync?cursor=${synced.cursor}`)).gaps).toBeUndefined();
      await alice.syncAll(); // the cursor from before the compaction stood at the end
      expect(await alice.send(seen.tea, 'and on it goes')).toBe(6);
    });
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
  });

  it('on a running server ends what is served at once, and a later run on the stopped one removes the messages', async () => {
    await using folder = await copied();
    await seen.on(folder.path, async ({ running }) => {
      const result = await run(folder.path, { keep: 1 });
      expect(result.log).toEqual({ kind: 'kept', because: 'running' });
      const { projections, log } = running();
      const { lastSequence } = await log.describe();
      await projections.read.waitForSequence(lastSequence, AbortSignal.timeout(60_000));
      expect(projections.read.group(toBase64Url(seen.tea) as never)).toMatchObject({ logStart: 5, firstEpoch: 2 });
    });
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
    expect(await ciphertexts(folder.path)).toHaveLength(7);
    expect(await run(folder.path, { keep: 1 })).toMatchObject({ plans: [], log: { kind: 'rewritten' } });
    expect(await ciphertexts(folder.path)).toHaveLength(2);
    expect(await verify(folder.path)).toMatchObject({ kind: 'clean' });
  });

  it('by age keeps what is younger, by both what is younger or among the newest', async () => {
    await using folder = await copied();
    const lost = ({ plans }: Compacted): number[] => plans.map(({ from, logStart }) => logStart - from);
    expect(lost(await run(folder.path, { before: Date.now() - DAY_MS }, true))).toEqual([]);
    expect(lost(await run(folder.path, { before: Date.now() + DAY_MS }, true))).toEqual([4, 5]);
    expect(lost(await run(folder.path, { before: Date.now() + DAY_MS, keep: 4 }, true))).toEqual([1, 2]);
    expect(lost(await run(folder.path, { keep: 100 }, true))).toEqual([]);
  });

  it('leaves the attachments alone that stand beside the log', async () => {
    await using folder = await copied();
    const blob = new Uint8Array(2_000).fill(7);
    const path = `${tea}/blobs/${toBase64Url(nodeSha256(blob))}`;
    const { alice } = seen;
    await seen.on(folder.path, async () => {
      okValue(await alice.http.request('PUT', path, { body: { blob } }));
    });
    expect((await run(folder.path, { keep: 1 })).log).toMatchObject({ kind: 'rewritten' });
    await seen.on(folder.path, async () => {
      expect(okValue(await alice.http.request('GET', path))).toMatchObject({ blob });
    });
  });

  it('exports of what is left hold by themselves: the log imports to the same heads, a group begins at its start', async () => {
    await using folder = await copied();
    await using other = await tempFolder();
    await run(folder.path, { keep: 2 });
    const [whole, group] = [join(folder.path, 'log.mlsd-export'), join(folder.path, 'tea.mlsd-export')];
    const options = { progress: NO_PROGRESS, now: 1 };
    await withSite(folder.path, async (site) => {
      await writeWhole(whole, exportLog(site, await currentHeads(site), options));
      await writeWhole(group, exportGroup(site, 'tea', options));
    });
    for (const file of [whole, group]) {
      const checked = await verifyFile({ pieces: readPieces(file), name: 'it', progress: NO_PROGRESS });
      expect(checked).toMatchObject({ kind: 'clean' });
    }
    const into = join(other.path, 'data');
    const imported = { pieces: readPieces(whole), name: 'it', nothingLost: true, progress: NO_PROGRESS };
    await importLog({ site: siteOptions(into), ...imported });
    await withSite(into, (site) => rebuild(site, NO_PROGRESS));
    expect(await standing(into)).toEqual(await standing(folder.path));
  });

  it('a swap that was interrupted at any step is finished by the next start', async () => {
    await using folder = await tempFolder();
    const beside = join(folder.path, '.compacting');
    const at = async (name: string, text: string): Promise<void> => {
      await mkdir(join(folder.path, name), { recursive: true });
      await writeFile(join(folder.path, name, 'store'), text);
    };
    const stream = join('nats', 'store', 'jetstream', '$G', 'streams', 'MLS');
    const store = (): Promise<string> => readFile(join(folder.path, stream, 'store'), 'utf8');
    await at(stream, 'old');
    await at(join('.compacting', stream), 'half');
    await finishSwap(folder.path);
    expect(await store()).toBe('old'); // not whole: nothing was decided
    expect(existsSync(beside)).toBe(false);
    await at(join('.compacting', stream), 'new');
    await writeFile(join(beside, 'ready'), '');
    await rename(join(folder.path, stream), join(beside, 'old')); // died between the two renames
    await finishSwap(folder.path);
    expect(await store()).toBe('new');
    await at('.compacting/old', 'old');
    await writeFile(join(beside, 'ready'), ''); // died before it had tidied up
    await finishSwap(folder.path);
    expect(await store()).toBe('new');
    expect(existsSync(beside)).toBe(false);
  });

  it('as a command: needs a policy, and says what came of it', async () => {
    await using folder = await copied();
    const bare = mlsd('compact', '--data', folder.path);
    expect(await bare.exited).toBe(2);
    expect(bare.errors.join('\n')).toContain('compact needs --older-than, --keep, or both');
    const done = mlsd('compact', '--keep', '3', '--data', folder.path);
    expect(await done.exited).toBe(0);
    expect(done.lines.at(-2)).toBe('5 entries of 2 groups');
    expect(done.lines.at(-1)).toMatch(/^the log was written anew: \d+ bytes of events before, \d+ now$/);
  });
});
