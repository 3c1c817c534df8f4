import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeEntry } from '../../src/wire/entry.ts';
import { unsigned } from '../support/receipt-signatures.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { pathOf, type TestDevice } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { device } = useServer();
const create = (by: TestDevice, body: unknown, idempotencyKey: string = newId()) =>
  by.http.request('POST', '/v1/groups', { body, idempotencyKey });
const reason = async (answered: ReturnType<typeof create>) => {
  const problem = problemOf(await answered);
  return problem.code === 'invalid-commit' ? problem.reason : problem.code;
};

describe('groups', () => {
  it('begin with their creator alone, who administers them', async () => {
    const alice = await device();
    const group = await alice.createGroup();
    const detail = okValue(await alice.http.request('GET', pathOf(group)));
    expect(detail).toMatchObject({ group, epoch: 0, position: 1, join: 'invite', invite: 'admins' });
    expect(detail.members).toEqual([
      { leaf: 0, account: alice.account, device: alice.id, name: alice.name, role: 'admin' },
    ]);
    expect(okValue(await alice.http.request('GET', '/v1/groups')).groups).toMatchObject([{ group, epoch: 0 }]);
  });

  it('have a name that one group holds at a time; others are told whom to ask', async () => {
    const [alice, bob] = [await device(), await device()];
    const group = await alice.createGroup('Tea');
    const { body } = await bob.prepareGroup('#tea');
    expect(await reason(create(bob, body))).toBe('name-taken');
    for (const name of ['tea', 'TEA', '%23tea']) {
      expect(okValue(await bob.http.request('GET', `/v1/groups?name=${name}`)).groups).toEqual([
        {
          group,
          name: 'Tea',
          join: 'invite',
          member: false,
          administrators: [{ account: alice.account, name: alice.name }],
        },
      ]);
    }
    expect(okValue(await alice.http.request('GET', '/v1/groups?name=tea')).groups).toMatchObject([{ member: true }]);
    expect(okValue(await bob.http.request('GET', '/v1/groups?name=coffee'))).toEqual({ groups: [] });
  });

  it('of one name that many create at once: one is made', async () => {
    const rivals = await Promise.all(Array.from({ length: 6 }, () => device()));
    const bodies = await Promise.all(rivals.map((rival) => rival.prepareGroup('everybody')));
    const answers = await Promise.all(rivals.map((rival, i) => create(rival, bodies[i]!.body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array<number>(5).fill(409)]);
  });

  it('D16: created twice with one key are one group; an id that exists is not made again', async () => {
    const [alice, bob] = [await device(), await device()];
    const { body } = await alice.prepareGroup();
    const key = newId();
    const [first, second] = await Promise.all([create(alice, body, key), create(alice, body, key)]);
    expect(unsigned(okValue(second))).toEqual(unsigned(okValue(first)));
    expect(await reason(create(alice, body))).toBe('already-exists');
    const theirs = await bob.prepareGroup();
    expect(await reason(create(alice, { ...theirs.body, group: body.group }))).toBe('already-exists');
  });

  it('are not created from a GroupInfo that states anything else', async () => {
    const [alice, bob] = [await device(), await device()];
    const own = await alice.prepareGroup();
    const cases: [string, unknown][] = [
      ['wrong-group', { ...own.body, group: new Uint8Array(randomBytes(16)) }],
      ['bad-group-info', { ...own.body, groupInfo: own.body.groupInfo.slice(1) }],
      ['wrong-sender', (await bob.prepareGroup()).body],
      ['no-administrator', (await alice.prepareGroup(undefined, { admins: [bob.account] })).body],
      ['bad-roles', (await alice.prepareGroup(undefined, { admins: [alice.account, bob.account].sort() })).body],
      ['invalid-request', { ...own.body, name: 'not a name' }],
      ['invalid-request', { ...own.body, extra: 1 }],
    ];
    for (const [expected, body] of cases)
      expect([expected, await reason(create(alice, body))]).toEqual([expected, expected]);
  });

  it('D11: cannot be read, listed or written by who never was a member, and do not show that they exist', async () => {
    const [alice, eve] = [await device(), await device()];
    const group = await alice.createGroup();
    await alice.send(group, 'private');
    const nowhere = new Uint8Array(randomBytes(16));
    const made = await alice.prepareCommit(group);
    const message = await alice.encrypt(group, 'stolen');
    for (const target of [group, nowhere]) {
      for (const part of ['', '/log', '/group-info', '/tree?epoch=0']) {
        expect(problemOf(await eve.http.request('GET', `${pathOf(target)}${part}`)).code).toBe('not-found');
      }
      expect(problemOf(await eve.postCommit(target, made)).code).toBe('not-found');
      expect(problemOf(await eve.postMessages(target, [{ id: newId(), message }])).code).toBe('not-found');
      expect(problemOf(await eve.claim(target, [alice.account])).code).toBe('not-found');
      const body = { proposal: made.commit };
      const proposed = await eve.http.request('POST', `${pathOf(target)}/proposals`, { body, idempotencyKey: newId() });
      expect(problemOf(proposed).code).toBe('not-found');
    }
    expect(okValue(await eve.http.request('GET', '/v1/groups')).groups).toEqual([]);
    expect(await eve.syncAll()).toEqual([]);
  });

  it('D11: a removed member reads up to and including its removal, nothing after, and its writes fail at once', async () => {
    const [alice, bob] = [await device(), await device()];
    const group = await alice.createGroup();
    await alice.send(group, 'before bob');
    await alice.invite(group, bob);
    await alice.send(group, 'with bob');
    await bob.catchUp();
    const message = await bob.encrypt(group, 'too late');
    const commit = await bob.prepareCommit(group);
    const removal = await alice.remove(group, bob);
    await alice.send(group, 'without bob');

    const log = okValue(await bob.http.request('GET', `${pathOf(group)}/log`));
    const positions = log.entries.map(decodeEntry).map(({ position }: { position: number }) => position);
    expect(positions).toEqual([3, 4, 5]);
    expect(log).toMatchObject({ position: removal.position, upToDate: true });
    const later = await bob.syncAll();
    expect(later.map((entry) => ('position' in entry ? entry.position : entry.kind))).toEqual([removal.position]);

    for (const answered of [
      await bob.postMessages(group, [{ id: newId(), message }]),
      await bob.postCommit(group, commit),
      await bob.claim(group, [alice.account]),
    ]) {
      expect(problemOf(answered)).toMatchObject({ code: 'forbidden', reason: 'not-a-member' });
    }
    expect(problemOf(await bob.http.request('GET', pathOf(group))).code).toBe('not-found');
    expect(problemOf(await bob.http.request('GET', `${pathOf(group)}/group-info`)).code).toBe('not-found');
  });

  it('give the tree of an epoch to whom a Welcome of it invites', async () => {
    const [alice, bob, eve] = [await device(), await device(), await device()];
    const group = await alice.createGroup();
    const { results } = okValue(await alice.claim(group, [bob.account]));
    await alice.commit(group, { add: [results[0].keyPackage], inlineTree: false });
    await alice.commit(group);
    const tree = okValue(await bob.http.request('GET', `${pathOf(group)}/tree?epoch=1`));
    expect(tree).toMatchObject({ epoch: 1 });
    expect(problemOf(await eve.http.request('GET', `${pathOf(group)}/tree?epoch=1`)).code).toBe('not-found');
    expect(problemOf(await bob.http.request('GET', `${pathOf(group)}/tree?epoch=99`)).code).toBe('not-found');
  });
});

describe('a server with small limits', () => {
  const small = useServer({ limits: { groupMaxMembers: 2 } });

  it('D13: takes no commit that makes a group larger than its limit', async () => {
    const [alice, bob, carol] = await Promise.all([small.device('a'), small.device('b'), small.device('c')]);
    const group = await alice.createGroup();
    await alice.invite(group, bob);
    const { results } = okValue(await alice.claim(group, [carol.account]));
    const made = await alice.prepareCommit(group, { add: [results[0].keyPackage] });
    expect(problemOf(await alice.postCommit(group, made)).reason).toBe('too-many-members');
  });
});
