import { describe, expect, it } from 'vitest';
import { keyPackageRef } from '../../src/mls/handshake.ts';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { BareClient } from '../support/bare-client.ts';
import { newId, okValue, problemOf } from '../support/signed-client.ts';
import { conflictEntries, pathOf } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { server, device } = useServer();
let count = 0;
const bare = (): Promise<BareClient> => {
  count += 1;
  return BareClient.register(server().url(), `bare-${count}`);
};
const detailOf = async (by: BareClient, group: Uint8Array) => okValue(await by.http.request('GET', pathOf(group)));
const reasonOf = (answered: Parameters<typeof problemOf>[0]) => {
  const { code, reason } = problemOf(answered);
  return code === 'invalid-commit' ? reason : code;
};

describe('an opaque group', () => {
  it('is used by clients that know nothing but RFC 9420 and the protocol: create, invite, talk, remove, catch up', async () => {
    const [ann, ben, cat] = [await bare(), await bare(), await bare()];
    const group = await ann.createGroup();
    okValue(await ann.commit({ add: [ben, cat] }));
    const joined = await ben.catchUp();
    expect(joined.entries.filter(({ kind }) => kind === 'welcome')).toMatchObject([
      { payload: { handshakes: 'private', epoch: 1 } },
    ]);
    okValue(await ann.send('hello'));
    okValue(await ben.send('hi'));
    expect((await ben.catchUp()).texts).toEqual(['hello']);
    for (let round = 0; round < 3; round += 1) {
      okValue(await ben.commit());
      await ann.catchUp();
      okValue(await ann.send(`round ${round}`));
      await ben.catchUp();
    }
    // away all the time, across every commit
    expect((await cat.catchUp()).texts).toEqual(['hello', 'hi', 'round 0', 'round 1', 'round 2']);
    expect(new Set([ann.authenticator, ben.authenticator, cat.authenticator]).size).toBe(1);

    okValue(await ann.commit({ remove: [ben] }));
    okValue(await ann.send('without ben'));
    expect((await cat.catchUp()).texts).toEqual(['without ben']);
    const last = await ben.catchUp();
    expect(last.texts).toEqual([]);
    expect(last.entries.at(-1)).toMatchObject({ kind: 'commit', roster: { added: [], removed: [ben.id] } });
    expect(ben.state?.groupActiveState.kind).toBe('removedFromGroup');
    const detail = await detailOf(ann, group);
    expect(detail).toMatchObject({ handshakes: 'private', epoch: 5 });
    expect(detail.members.map((member: { device: string }) => member.device)).toEqual([ann.id, cat.id]);
    expect(detail.members[0]).not.toHaveProperty('leaf');
  });

  it('D1: takes one commit an epoch, and tells the loser what it missed', async () => {
    const [ann, ben] = [await bare(), await bare()];
    const group = await ann.createGroup();
    okValue(await ann.commit({ add: [ben] }));
    await ben.catchUp();
    await ann.catchUp();
    const answers = await Promise.all([ann.commit(), ben.commit()]);
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
    const lost = problemOf(answers.find(({ status }) => status === 409)!);
    expect(lost).toMatchObject({ code: 'epoch-conflict', currentEpoch: 2 });
    expect(conflictEntries(lost.entries ?? []).at(-1)).toMatchObject({ kind: 'commit', epoch: 1 });
    expect((await detailOf(ann, group)).epoch).toBe(2);
  });

  it('carries private proposals to the member who commits them', async () => {
    const [ann, ben] = [await bare(), await bare()];
    const group = await ann.createGroup();
    okValue(await ann.commit({ add: [ben] }));
    await ben.catchUp();
    okValue(await ben.leave());
    await ann.catchUp();
    okValue(await ann.commit({}, (body) => ({ ...body, roster: { added: [], removed: [ben.id] } })));
    await ben.catchUp();
    expect(ben.state?.groupActiveState.kind).toBe('removedFromGroup');
    expect(problemOf(await ben.http.request('GET', pathOf(group))).code).toBe('not-found');
  });

  it('D13: a member has a bounded number of proposals waiting, though nobody can read them', async () => {
    const [ann, ben] = [await bare(), await bare()];
    await ann.createGroup();
    okValue(await ann.commit({ add: [ben] }));
    await ben.catchUp();
    const answers = [];
    for (let i = 0; i < 9; i += 1) answers.push(await ben.leave());
    expect(answers.slice(0, 8).map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 201));
    expect(problemOf(answers[8]!).code).toBe('rate-limited');
  });

  it('D8, D11: what is declared has to fit the roster, the claims and the Welcome; only members commit', async () => {
    const [ann, ben, eve] = [await bare(), await bare(), await bare()];
    const group = await ann.createGroup();
    const declare = (change: (roster: { added: object[]; removed: string[] }) => object) => (body: object) => {
      const { roster, ...rest } = body as { roster: { added: object[]; removed: string[] } };
      return { ...rest, roster: change(roster) };
    };
    const add = { add: [ben] };
    const tries: [string, Parameters<BareClient['commit']>[1]][] = [
      ['roster-missing', ({ roster: _roster, ...rest }) => rest],
      ['welcome-unexpected', declare(() => ({ added: [], removed: [] }))],
      ['welcome-missing', ({ welcome: _welcome, ...rest }) => rest],
      ['unclaimed-key-package', declare((roster) => ({ ...roster, added: [{ ...roster.added[0], device: eve.id }] }))],
      ['unknown-leaf', declare((roster) => ({ ...roster, removed: [eve.id] }))],
      ['removes-committer', declare((roster) => ({ ...roster, removed: [ann.id] }))],
      ['welcome-mismatch', (body) => ({ ...body, welcome: body['commit'] })],
      ['bad-group-info', (body) => ({ ...body, groupInfo: body['commit'] })],
      ['not-a-private-commit', (body) => ({ ...body, commit: body['welcome'] })],
    ];
    for (const [reason, change] of tries) {
      // each attempt claims anew: a package that was claimed once is spent
      const fresh = await bare();
      const answered = await ann.commit({ add: [fresh] }, change);
      expect(reasonOf(answered)).toBe(reason);
    }
    expect((await detailOf(ann, group)).epoch).toBe(0);
    okValue(await ann.commit(add));
    eve.state = ann.state;
    expect(reasonOf(await eve.commit())).toBe('not-found');
    expect(problemOf(await eve.http.request('GET', pathOf(group))).code).toBe('not-found');
    // without a GroupInfo nobody joins from outside, members neither
    expect(problemOf(await ann.http.request('GET', `${pathOf(group)}/group-info`)).code).toBe('not-found');
  });

  it('D8, D11: takes nothing declared twice, of another group, or for other packages than are declared', async () => {
    const [ann, ben, cat] = [await bare(), await bare(), await bare()];
    const group = await ann.createGroup();
    await cat.createGroup();
    const bodies: Record<string, unknown>[] = [];
    const recording = (body: Record<string, unknown>) => {
      bodies.push(body);
      return body;
    };
    okValue(await cat.commit({}, recording));
    okValue(await ann.commit({ add: [ben] }, recording));
    const [foreign, first] = bodies as [Record<string, unknown>, { roster: { added: object[] }; welcome: Uint8Array }];
    const reason = async (...tried: Parameters<BareClient['commit']>) => reasonOf(await ann.commit(...tried));
    const twice = (of: 'added' | 'removed') => (body: Record<string, unknown>) => {
      const roster = body['roster'] as Record<'added' | 'removed', unknown[]>;
      return { ...body, roster: { ...roster, [of]: [...roster[of], ...roster[of]] } };
    };
    expect(await reason({}, (body) => ({ ...body, commit: foreign['commit'] }))).toBe('wrong-group');
    expect(await reason({ remove: [ben] }, twice('removed'))).toBe('roster-mismatch');
    expect(await reason({ add: [await bare()] }, twice('added'))).toBe('already-member');
    // a package that was claimed for this group is used once more
    const again = { roster: { added: first.roster.added, removed: [] }, welcome: first.welcome };
    expect(await reason({}, (body) => ({ ...body, ...again }))).toBe('already-member');
    expect(await reason({ add: [await bare()] }, (body) => ({ ...body, welcome: first.welcome }))).toBe(
      'welcome-mismatch',
    );
    expect(await detailOf(ann, group)).toMatchObject({ epoch: 1 });
  });

  it('D7, D18: takes a GroupInfo of itself and the new epoch, and back a device for itself alone', async () => {
    const [alice, bob] = [await device(), await device()];
    const { group, state, body } = await alice.prepareGroup();
    const create = { body: { ...body, handshakes: 'private' }, idempotencyKey: newId() };
    okValue(await alice.http.request('POST', '/v1/groups', create));
    alice.setState(group, state);
    const post = (by: typeof alice, value: object) =>
      by.http.request('POST', `${pathOf(group)}/commits`, { body: value, idempotencyKey: newId() });
    const { results } = okValue(await alice.claim(group, [bob.account]));
    const [{ keyPackage }] = results;
    const made = await alice.prepareCommit(group, { add: [keyPackage], handshakes: 'private' });
    const { commit, welcome, groupInfo, next } = made;
    const roster = { added: [{ device: bob.id, ref: keyPackageRef(keyPackage, nodeSha256) }], removed: [] };
    const other = await alice.prepareGroup();
    alice.setState(other.group, other.state);
    const { groupInfo: foreign } = await alice.prepareCommit(other.group);
    for (const wrong of [body.groupInfo, foreign]) {
      expect(reasonOf(await post(alice, { commit, welcome, groupInfo: wrong, roster }))).toBe('bad-group-info');
    }
    okValue(await post(alice, { commit, welcome, groupInfo, roster }));
    alice.setState(group, next);
    await bob.catchUp();

    const back = await bob.prepareExternal(group, true);
    const nobody = { added: [], removed: [] };
    const bundle = { commit: back.commit, groupInfo: back.groupInfo };
    expect(reasonOf(await post(alice, { ...bundle, roster: nobody }))).toBe('wrong-sender');
    expect(reasonOf(await post(bob, { ...bundle, roster: { added: [], removed: [alice.id] } }))).toBe(
      'roster-mismatch',
    );
    okValue(await post(bob, { ...bundle, roster: nobody }));
  });

  it('takes no handshakes in the open, as another group takes no private ones', async () => {
    const [alice, bob] = [await device(), await device()];
    const opaque = await alice.prepareGroup();
    const body = { ...opaque.body, handshakes: 'private' };
    okValue(await alice.http.request('POST', '/v1/groups', { body, idempotencyKey: newId() }));
    alice.setState(opaque.group, opaque.state);
    expect(reasonOf(await alice.postCommit(opaque.group, await alice.prepareCommit(opaque.group)))).toBe(
      'not-a-private-commit',
    );
    const open = await alice.createGroup();
    await alice.invite(open, bob);
    const hidden = await alice.prepareCommit(open, { handshakes: 'private' });
    expect(reasonOf(await alice.postCommit(open, hidden))).toBe('not-a-commit');
    expect(okValue(await alice.http.request('GET', pathOf(open)))).toMatchObject({ handshakes: 'public' });
    expect(okValue(await alice.http.request('GET', pathOf(opaque.group)))).toMatchObject({ handshakes: 'private' });
    const created = await alice.syncAll();
    expect(created.filter(({ kind }) => kind === 'group-created')).toMatchObject([
      { payload: { handshakes: 'private' } },
      { payload: {} },
    ]);
  });
});
