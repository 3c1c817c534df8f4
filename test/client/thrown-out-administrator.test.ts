import { expect, test } from 'vitest';
import { START_CURSOR } from '../../src/wire/ids.ts';
import { useChats } from '../support/chats.ts';
import { until } from '../support/until.ts';

const { start } = useChats();

// a private group is never open: its server could not tell
test.each([
  { handshakes: 'public', back: 'by itself, for the group is open' },
  { handshakes: 'private', back: 'by an invitation' },
] as const)(
  'an administrator who was removed from a $handshakes group comes back $back, and as a member like others',
  async ({ handshakes }) => {
    const [annas, evas, name] = [`anna-${handshakes}`, `eva-${handshakes}`, `tea-${handshakes}`];
    const [anna, eva] = [await start(annas), await start(evas)];
    const made = await anna.openGroup(name, handshakes === 'private' ? { handshakes } : {});
    if (made.kind !== 'created') throw new Error(made.kind);
    const { group } = made;
    const isIn = (state: string): Promise<unknown> =>
      until(
        async () => (await eva.groups()).some((each) => each.group === group && each.state === state),
        () => `eva is not ${state}`,
      );
    expect(await anna.setPolicy(group, { join: 'open' })).toEqual({ kind: 'done' });
    expect(await anna.invite(group, [evas])).toEqual([{ name: evas, kind: 'done' }]);
    expect(await anna.promote(group, [evas])).toEqual([{ name: evas, kind: 'done' }]);
    await isIn('member');

    expect(await anna.remove(group, [evas])).toEqual([{ name: evas, kind: 'done' }]);
    const told = await anna.history(START_CURSOR, { group, limit: 1_000 });
    expect(told.at(-1)).toMatchObject({ kind: 'membership', removed: [{ name: evas }], dismissed: [{ name: evas }] });
    await isIn('removed');

    if (handshakes === 'public') expect(await eva.joinGroup(name)).toEqual({ kind: 'joined', group });
    else expect(await anna.invite(group, [evas])).toEqual([{ name: evas, kind: 'done' }]);
    await isIn('member');
    const members = await eva.members(group);
    expect(members.map((member) => [member.name, member.role]).sort()).toEqual([
      [annas, 'admin'],
      [evas, 'member'],
    ]);
  },
);
