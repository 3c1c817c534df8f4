import { describe, expect, it } from 'vitest';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { okValue, problemOf } from '../support/signed-client.ts';
import { pathOf, type TestDevice } from '../support/test-device.ts';
import { useServer } from './support.ts';

const { server, device } = useServer();

/** Alice, Bob and Carol in a group whose last commit is Alice's; what a member would report about it. */
async function reportable() {
  const [alice, bob, carol] = [await device(), await device(), await device()];
  const group = await alice.createGroup();
  await alice.invite(group, bob, carol);
  const made = await alice.prepareCommit(group);
  const { position } = okValue(await alice.postCommit(group, made));
  alice.setState(group, made.next);
  const body = {
    epoch: 1,
    position: position as number,
    commit: nodeSha256(made.commit),
    reason: 'cannot-process',
    code: 'invalid-commit',
  };
  return { alice, bob, carol, group, body };
}
const report = (by: TestDevice, group: Uint8Array, body: object) =>
  by.http.request('POST', `${pathOf(group)}/reports`, { body });

describe('reports', () => {
  it('D21: stand in the group’s log, where every member sees who could not process what', async () => {
    const { alice, bob, carol, group, body } = await reportable();
    expect(okValue(await report(bob, group, body))).toMatchObject({ position: 4, epoch: 2 });
    for (const reader of [alice, carol]) {
      const entry = (await reader.syncAll()).find(({ kind }) => kind === 'report');
      expect(entry).toMatchObject({
        position: 4,
        sender: bob.id,
        payload: { ...body, reporter: bob.account, committer: { account: alice.account, device: alice.id } },
      });
    }
  });

  it('D16: are one a device and epoch, also after a restart; another one for the same epoch is a conflict', async () => {
    const { alice, bob, carol, group, body } = await reportable();
    const first = okValue(await report(bob, group, body));
    expect(okValue(await report(bob, group, body)).position).toBe(first.position);
    await server().restart();
    expect(okValue(await report(bob, group, body)).position).toBe(first.position);
    expect(problemOf(await report(bob, group, { ...body, code: 'undecryptable' })).code).toBe('idempotency-conflict');
    okValue(await report(carol, group, body));
    expect((await alice.syncAll()).filter(({ kind }) => kind === 'report')).toHaveLength(2);
  });

  it('are taken from members of the epoch about a commit that stands there, and from nobody else', async () => {
    const { alice, bob, group, body } = await reportable();
    const [late, eve] = [await device(), await device()];
    await alice.invite(group, late);
    expect(problemOf(await report(eve, group, body)).code).toBe('not-found');
    expect(problemOf(await report(late, group, body)).code).toBe('forbidden');
    expect(problemOf(await report(bob, group, { ...body, epoch: 0 })).code).toBe('not-found');
    expect(problemOf(await report(bob, group, { ...body, position: 1 })).code).toBe('not-found');
    expect(problemOf(await report(bob, group, { ...body, position: 99 })).code).toBe('not-found');
    expect(problemOf(await report(bob, group, { ...body, commit: new Uint8Array(32) })).code).toBe('not-found');
    expect(problemOf(await report(bob, group, { ...body, code: 'Not A Word' })).code).toBe('invalid-request');
    await bob.catchUp();
    await alice.remove(group, bob);
    expect(problemOf(await report(bob, group, body)).code).toBe('forbidden');
  });

  it('D13: of one device are limited', async () => {
    const { alice, bob, group } = await reportable();
    let limited = 0;
    for (let round = 0; round < 20 && limited === 0; round += 1) {
      const made = await alice.prepareCommit(group);
      const epoch = alice.epoch(group);
      const { position } = okValue(await alice.postCommit(group, made));
      alice.setState(group, made.next);
      const answered = await report(bob, group, {
        epoch,
        position,
        commit: nodeSha256(made.commit),
        reason: 'cannot-process',
        code: 'invalid-commit',
      });
      if (answered.status !== 201) {
        expect(problemOf(answered).code).toBe('rate-limited');
        expect(Number(answered.headers.get('retry-after'))).toBeGreaterThan(0);
        limited = round;
      }
    }
    expect(limited).toBe(16);
  });
});
