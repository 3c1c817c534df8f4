import { afterEach, describe, expect, it } from 'vitest';
import { createLeaveProposal } from '../../src/mls/session/proposal.ts';
import { rename, signStatement } from '../support/account-statements.ts';
import { BareClient } from '../support/bare-client.ts';
import { type Answered, newId, okValue, problemOf } from '../support/signed-client.ts';
import { conflictEntries, pathOf, suite, TestDevice } from '../support/test-device.ts';
import { useServer } from './support.ts';

const disk = { hasRoom: true };
const { server, device, pair } = useServer({ hasRoom: () => disk.hasRoom });

afterEach(() => {
  disk.hasRoom = true;
});

const codeOf = (answered: Answered): string => problemOf(answered).code;
const propose = (by: TestDevice, group: Uint8Array, proposal: Uint8Array): Promise<Answered> =>
  by.http.request('POST', `${pathOf(group)}/proposals`, { body: { proposal }, idempotencyKey: newId() });

describe('a server that has no room for more', () => {
  it('D1: tells who lost an epoch what it missed; who might win one is told to come again, and then does', async () => {
    const { alice, bob, group } = await pair();
    const lost = await bob.prepareCommit(group);
    const { proposal } = await createLeaveProposal(suite, bob.state(group));
    const { epoch } = await alice.commit(group);
    disk.hasRoom = false;
    const problem = problemOf(await bob.postCommit(group, lost));
    expect(problem).toMatchObject({ code: 'epoch-conflict', currentEpoch: epoch, more: false });
    expect(conflictEntries(problem.entries ?? [])).toMatchObject([{ kind: 'commit' }]);
    expect(codeOf(await propose(bob, group, proposal))).toBe('epoch-conflict');
    await bob.catchUp();
    const next = await bob.prepareCommit(group);
    expect(problemOf(await bob.postCommit(group, next))).toMatchObject({ code: 'storage-full', status: 507 });
    disk.hasRoom = true;
    expect((await bob.postCommit(group, next)).status).toBe(201);
  });

  it('D1: so it does in an opaque group, and refuses there what no such group takes', async () => {
    const [ann, ben] = [
      await BareClient.register(server().url(), 'bare-ann'),
      await BareClient.register(server().url(), 'bare-ben'),
    ];
    await ann.createGroup();
    okValue(await ann.commit({ add: [ben] }));
    await ben.catchUp();
    okValue(await ann.commit());
    disk.hasRoom = false;
    expect(problemOf(await ben.commit())).toMatchObject({ code: 'epoch-conflict', currentEpoch: 2 });
    await ann.catchUp();
    expect(codeOf(await ann.commit())).toBe('storage-full');
    disk.hasRoom = true;
    const alice = await device();
    const { group, body, state } = await alice.prepareGroup();
    const opaque = { ...body, handshakes: 'private' };
    okValue(await alice.http.request('POST', '/v1/groups', { body: opaque, idempotencyKey: newId() }));
    alice.setState(group, state);
    const open = await alice.prepareCommit(group);
    disk.hasRoom = false;
    const refused = problemOf(await alice.postCommit(group, open));
    expect(refused).toMatchObject({ code: 'invalid-commit', reason: 'not-a-private-commit' });
  });

  it('D16: gives the repeated request its first answer', async () => {
    const { alice, bob, group } = await pair();
    const [made, key] = [await alice.prepareCommit(group), newId()];
    const first = okValue(await alice.postCommit(group, made, key));
    const sent = [{ id: newId(), message: await bob.encrypt(group, 'hello') }];
    const { results } = okValue(await bob.postMessages(group, sent));
    disk.hasRoom = false;
    expect(okValue(await alice.postCommit(group, made, key))).toEqual(first);
    expect(okValue(await bob.postMessages(group, sent)).results).toEqual(results);
    expect(codeOf(await alice.postCommit(group, { ...made, commit: made.groupInfo }, key))).toBe(
      'idempotency-conflict',
    );
    const fresh = [{ id: newId(), message: await bob.encrypt(group, 'again') }];
    expect(codeOf(await bob.postMessages(group, fresh))).toBe('storage-full');
  });

  it('refuses who may not do it, or comes too late, and names room to nobody else', async () => {
    const { alice, bob, group } = await pair();
    const { name } = okValue(await bob.http.request('GET', `/v1/accounts/${bob.account}`));
    const stranger = await device();
    const made = await alice.prepareCommit(group);
    const stale = signStatement(
      { type: 'rename', name: 'too-late' },
      { account: alice.account, previous: new Uint8Array(32), by: alice.http.key },
    );
    disk.hasRoom = false;
    expect(codeOf(await stranger.postCommit(group, made))).toBe('not-found');
    expect(codeOf(await rename(alice, name))).toBe('name-taken');
    const request = { body: stale, idempotencyKey: newId() };
    expect(codeOf(await alice.http.request('PATCH', '/v1/accounts/me', request))).toBe('account-conflict');
    const namesake = await TestDevice.create(() => server().url(), name);
    expect(codeOf(await namesake.postRegistration())).toBe('name-taken');
    expect(codeOf(await rename(alice, 'room-for-one-more'))).toBe('storage-full');
  });
});
