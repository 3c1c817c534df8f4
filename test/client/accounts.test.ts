import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ChatClient, HistoryLine } from '../../src/client/chat-client.ts';
import { recoverFolder } from '../../src/client/open-new-device.ts';
import { formatLine } from '../../src/client/terminal/format-line.ts';
import { createPalette } from '../../src/client/terminal/palette.ts';
import { type GroupId, START_CURSOR } from '../../src/wire/ids.ts';
import { useChats } from '../support/chats.ts';
import { until } from '../support/until.ts';

const { server, folderOf, start, stop, link, created } = useChats();
const rows = async (chat: ChatClient, group: GroupId): Promise<string[]> => {
  const me = (await chat.status()).me.account;
  const lines: readonly HistoryLine[] = await chat.history(START_CURSOR, { group, limit: 1_000 });
  return lines.flatMap((line) => formatLine(line, { palette: createPalette(0), me }));
};
const seen = (chat: ChatClient, group: GroupId, row: string): Promise<unknown> =>
  until(
    async () => (await rows(chat, group)).includes(row),
    () => row,
  );

describe('S5: what happens to an account is shown to everybody it concerns', () => {
  test('a rename is a line in every group, history goes on under the account, and the folder opens under both names', async () => {
    const [ann, ben] = [await start('ann'), await start('ben')];
    const group = await created(ann, 'renaming');
    await ann.invite(group, ['ben']);
    await ben.caughtUp(240_000);
    expect(await ben.rename('benjamin')).toEqual({ kind: 'done' });
    for (const chat of [ann, ben]) await seen(chat, group, '#renaming <ben> [is now benjamin]');
    await ben.send(group, 'same me');
    await seen(ann, group, '#renaming <benjamin> same me');
    expect((await ann.members(group)).map(({ name }) => name)).toEqual(['ann', 'benjamin']);
    expect((await ben.status()).me.name).toBe('benjamin');
    expect(await ann.rename('benjamin')).toMatchObject({ kind: 'refused' });
    expect(await ann.invite(group, ['ben'])).toMatchObject([{ kind: 'unknown-user' }]);

    for (const name of ['benjamin', 'ben']) {
      await stop(ben);
      const again = await start(name, 'ben');
      expect((await again.status()).me.name).toBe('benjamin');
      await stop(again);
    }
    await expect(start('ann', 'ben')).rejects.toMatchObject({ code: 'other-user' });
  });
});

test('S7: the folder of the keys is 0700 and everything in it 0600', async () => {
  await start('mode');
  const dir = folderOf('mode');
  expect((await stat(dir)).mode & 0o777).toBe(0o700);
  expect((await stat(join(dir, 'store'))).mode & 0o777).toBe(0o700);
  for (const file of ['lock', 'store/data.mdb', 'store/lock.mdb']) {
    expect((await stat(join(dir, file))).mode & 0o777, file).toBe(0o600);
  }
});

/** A folder of its own that becomes a further device of the account, and the client that then starts there. */
const linkTo = async (chat: ChatClient, dir: string, userName: string): Promise<ChatClient> => {
  await link(chat, dir);
  return start(userName, dir);
};

describe('a second device', () => {
  test('is added by a code, joins the groups by itself, reads and writes as the same person, and everybody is told', async () => {
    const [cat, dan] = [await start('cat'), await start('dan')];
    const group = await created(cat, 'linking');
    await cat.invite(group, ['dan']);
    await dan.caughtUp(240_000);
    await dan.send(group, 'before');
    const phone = await linkTo(dan, 'dan-phone', 'dan');
    for (const chat of [cat, dan]) await seen(chat, group, '#linking <dan> [added the device "dan-phone"]');
    await until(async () => (await phone.groups())[0]?.state === 'member');
    await cat.send(group, 'hello both');
    for (const chat of [dan, phone]) await seen(chat, group, '#linking <cat> hello both');
    await phone.send(group, 'from my phone');
    for (const chat of [cat, dan]) await seen(chat, group, '#linking <dan> from my phone');
    const lines = await dan.history(START_CURSOR, { group, limit: 100 });
    expect(lines.find((line) => line.kind === 'message' && line.text === 'from my phone')).toMatchObject({ own: true });
    expect((await cat.members(group)).find(({ name }) => name === 'dan')?.devices).toHaveLength(2);

    // a group that one device makes is the other one's too
    const made = await created(dan, 'made-later');
    await until(async () => (await phone.groups()).some((each) => each.group === made && each.state === 'member'));
  });

  test('that is revoked leaves every group by itself, though no administrator does anything, and is refused', async () => {
    const [eli, fay] = [await start('eli'), await start('fay')];
    const group = await created(eli, 'revoking');
    await eli.invite(group, ['fay']);
    await fay.caughtUp(240_000);
    const phone = await linkTo(fay, 'fay-phone', 'fay');
    await until(async () => (await phone.groups())[0]?.state === 'member');
    await until(async () => (await fay.members(group)).find(({ name }) => name === 'fay')?.devices.length === 2);
    await stop(eli);
    expect((await fay.devices()).map(({ label }) => label)).toEqual(["fay's", 'fay-phone']);
    expect(await fay.revoke('nothing')).toMatchObject({ kind: 'refused' });
    expect(await fay.revoke("fay's")).toMatchObject({ kind: 'refused' });
    expect(await fay.revoke('fay-phone')).toEqual({ kind: 'done' });
    await seen(fay, group, '#revoking <fay> [revoked the device "fay-phone"]');
    await until(async () => (await fay.members(group)).find(({ name }) => name === 'fay')?.devices.length === 1);
    const { epoch } = (await fay.groups())[0]!;
    const offline = await until(async () => {
      const { connection } = await phone.status();
      return connection.state === 'offline' ? connection : undefined;
    });
    expect(offline.reason).toMatch(/revoked/);
    const later = await start('eli');
    await later.caughtUp(240_000);
    await seen(later, group, '#revoking <fay> [revoked the device "fay-phone"]');
    expect((await later.groups())[0]!.epoch).toBe(epoch); // one commit did it
    expect((await rows(later, group)).filter((row) => row.includes('[warning]'))).toEqual([]);
  });
});

describe('recovery', () => {
  test('S8: a lost folder is replaced by the recovery code alone: the account, its groups, and the lost device ended', async () => {
    const [gus, hal] = [await start('gus'), await start('hal')];
    const code = (await hal.takeRecoveryCode())!;
    expect(code).toMatch(/^([a-z2-7]{4}-){15}[a-z2-7]{4}$/);
    expect(await hal.takeRecoveryCode()).toBeUndefined();
    const group = await created(gus, 'recovering');
    await gus.invite(group, ['hal']);
    await hal.caughtUp(240_000);
    await stop(hal);
    const secret = Buffer.from(code.replaceAll('-', ''));
    expect((await readFile(join(folderOf('hal'), 'store', 'data.mdb'))).includes(secret)).toBe(false);

    const recover = (typed: string) =>
      recoverFolder({
        dir: folderOf('hal-new'),
        server: server().url(),
        code: typed,
        deviceLabel: 'new',
        signal: AbortSignal.timeout(240_000),
      });
    await expect(recover(code.replace(/^./, (first) => (first === 'a' ? 'b' : 'a')))).rejects.toMatchObject({
      code: 'refused',
    });
    const recovered = await recover(code.toUpperCase().replaceAll('-', ' '));
    expect(recovered).toMatchObject({
      name: 'hal',
      revoked: ["hal's"],
      groups: [{ name: 'recovering', outcome: { kind: 'done' } }],
    });
    const again = await start('hal', 'hal-new');
    await gus.send(group, 'welcome back');
    await seen(again, group, '#recovering <gus> welcome back');
    await until(async () => (await gus.members(group)).find(({ name }) => name === 'hal')?.devices.length === 1);
    const lost = await start('hal');
    await until(async () => {
      const { connection } = await lost.status();
      return (
        connection.state === 'offline' && connection.reason.includes('revoked') && connection.retryInMs === undefined
      );
    });
  });
});
