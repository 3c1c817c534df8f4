import { describe, expect, it } from 'vitest';
import { encodeContent } from '../../src/client/content/content.ts';
import { encrypt } from '../../src/mls/session/message.ts';
import { epochAuthenticatorOf } from '../../src/mls/session/state.ts';
import { toHex } from '../../src/wire/bytes.ts';
import { type GroupId, groupIdOf } from '../../src/wire/ids.ts';
import { ProblemError } from '../../src/wire/problems.ts';
import { type ConnectableServer, overHttp, type TestChatter } from '../support/chat-clients.ts';
import { statusIn, useChatters, WAIT_MS, warningsOf } from '../support/chatters.ts';
import { corruptCommit } from '../support/corrupt-path.ts';
import { newId, okValue } from '../support/signed-client.ts';
import { suite, TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { useTestServer } from '../support/use-server.ts';

const server = useTestServer();
const open = useChatters();
const real = overHttp(() => server().url());
const chatter = (name: string): Promise<TestChatter> => open(real, name);
const leafOf = async (founder: TestDevice, group: Uint8Array, who: TestChatter): Promise<number> => {
  const { account, device } = (await who.chat.status()).me;
  const identity = `mimi://localhost/d/${account}/${device}`;
  return founder.leafOf(group, { identity, name: who.name } as TestDevice);
};

/** A group of a founder that lies, and of people who chat. */
async function foundedBy(name: string, others: readonly TestChatter[]) {
  const founder = await TestDevice.register(() => server().url(), name);
  const group = await founder.createGroup(`#${name}s`.slice(1));
  const accounts = await Promise.all(others.map(async ({ chat }) => (await chat.status()).me.account));
  const { results } = okValue(await founder.claim(group, accounts));
  await founder.commit(group, { add: results.map(({ keyPackage }: { keyPackage: Uint8Array }) => keyPackage) });
  const id = groupIdOf(group);
  for (const { chat } of others) await chat.caughtUp(WAIT_MS);
  return { founder, group, id };
}

async function corrupt(founder: TestDevice, group: Uint8Array, victims: readonly TestChatter[]): Promise<void> {
  const leaves = await Promise.all(victims.map((victim) => leafOf(founder, group, victim)));
  const made = await corruptCommit(suite, founder.state(group), leaves);
  okValue(await founder.postCommit(group, made));
  founder.setState(group, made.next);
}

async function say(founder: TestDevice, group: Uint8Array, text: string): Promise<void> {
  const made = await encrypt(
    suite,
    founder.state(group),
    encodeContent({ text }, new Uint8Array(16)),
    new Uint8Array(0),
  );
  founder.setState(group, made.state);
  okValue(await founder.postMessages(group, [{ id: newId(), message: made.message }]));
}

const hasWarning = (who: TestChatter, group: GroupId, text: RegExp) =>
  until(
    async () => (await warningsOf(who, group)).some((warning) => text.test(warning)),
    () => `${who.name} never saw ${text}`,
  );
/** Everybody is in one epoch and agrees about everything up to it. */
async function agree(id: GroupId, founder: TestDevice, group: Uint8Array, chatters: readonly TestChatter[]) {
  await founder.catchUp();
  const own = toHex(epochAuthenticatorOf(founder.state(group)));
  for (const who of chatters) {
    await who.chat.caughtUp(WAIT_MS);
    expect(await who.epochAuthenticator(id)).toBe(own);
  }
}

describe('a commit whose path is garbage for some', () => {
  it('D21: is reported and recovered from by itself; others read on, unsent texts are not lost', async () => {
    const [bob, carol] = [await chatter('bob'), await chatter('carol')];
    const { founder, group, id } = await foundedBy('mallory', [bob, carol]);
    await corrupt(founder, group, [bob]);
    await say(founder, group, 'only those who can');
    await bob.chat.send(id, 'written before I knew');
    await hasWarning(
      bob,
      id,
      /^commit 2 by mallory could not be processed here; rejoined at epoch 3; messages of epoch 2 cannot be read$/,
    );
    await hasWarning(carol, id, /^bob could not process commit 2 by mallory \(invalid-commit\)$/);
    await carol.waitForText(id, 'only those who can');
    await carol.waitForText(id, 'written before I knew');
    await carol.chat.send(id, 'welcome back');
    await bob.waitForText(id, 'welcome back');
    expect((await statusIn(bob, id))?.state).toBe('member');
    expect(await warningsOf(bob, id)).toHaveLength(1);
    await agree(id, founder, group, [bob, carol]);
  });

  it('D21: two who are affected at once both recover', async () => {
    const [dora, emil, fay] = [await chatter('dora'), await chatter('emil'), await chatter('fay')];
    const { founder, group, id } = await foundedBy('malvin', [dora, emil, fay]);
    await corrupt(founder, group, [dora, emil]);
    for (const who of [dora, emil])
      await hasWarning(who, id, /^commit 2 by malvin could not be processed here; rejoin/);
    for (const who of [dora, emil, fay]) await until(async () => (await statusIn(who, id))?.epoch === 4);
    await dora.chat.send(id, 'both are back');
    for (const who of [emil, fay]) await who.waitForText(id, 'both are back');
    await agree(id, founder, group, [dora, emil, fay]);
  });

  it('D21: an administrator removes and invites again who does not come back by itself', async () => {
    const [gil, hana] = [await chatter('gil'), await chatter('hana')];
    const { founder, group, id } = await foundedBy('malte', [gil, hana]);
    const { account } = (await gil.chat.status()).me;
    const leaf = await leafOf(founder, group, gil);
    await gil.stop();
    const made = await corruptCommit(suite, founder.state(group), [leaf]);
    okValue(await founder.postCommit(group, made));
    founder.setState(group, made.next);
    await founder.commit(group, { remove: [leaf] });
    const { results } = okValue(await founder.claim(group, [account]));
    await founder.commit(group, { add: [results[0].keyPackage] });
    await say(founder, group, 'with all of us');
    await gil.restart();
    await gil.waitForText(id, 'with all of us');
    expect((await statusIn(gil, id))?.state).toBe('member');
    await agree(id, founder, group, [gil, hana]);
  });

  it('D21: a member to whom no GroupInfo is served was not taken out: nothing is dropped, and it comes back once there is one', async () => {
    let asked = 0;
    let isThere = false;
    const without: ConnectableServer = {
      connect: (device, sign) => {
        const api = real.connect(device, sign);
        const groupInfo = async (id: GroupId) => {
          asked += 1;
          if (!isThere) throw new ProblemError('not-found', 'there is no such group for this device');
          return api.groupInfo(id);
        };
        return { ...api, groupInfo };
      },
    };
    const kim = await open(without, 'kim');
    const { founder, group, id } = await foundedBy('mona', [kim]);
    await corrupt(founder, group, [kim]);
    await until(() => asked > 0);
    await kim.chat.send(id, 'written while I was out');
    const before = asked;
    // only then what came of the one before is stored
    await until(() => asked > before);
    expect(await warningsOf(kim, id)).toEqual([]);
    expect((await kim.chat.status()).unsent).toBe(1);
    isThere = true;
    await hasWarning(kim, id, /^commit 2 by mona could not be processed here; rejoined at epoch 3; messages/);
    await kim.waitForText(id, 'written while I was out');
    await agree(id, founder, group, [kim]);
  });

  it('D21: who comes back is told who came and went while it could not look', async () => {
    const [ivo, jan] = [await chatter('ivo'), await chatter('jan')];
    const { founder, group, id } = await foundedBy('marek', [ivo, jan]);
    const [leaf, other] = [await leafOf(founder, group, ivo), await leafOf(founder, group, jan)];
    await ivo.stop();
    const made = await corruptCommit(suite, founder.state(group), [leaf]);
    okValue(await founder.postCommit(group, made));
    founder.setState(group, made.next);
    await founder.commit(group, { remove: [other] });
    await ivo.restart();
    await hasWarning(ivo, id, /^commit 2 by marek .* rejoined at epoch 4; messages of epochs 2–3 cannot be read$/);
    await hasWarning(ivo, id, /^Meanwhile, unseen here, members were changed: removed jan\.$/);
    await agree(id, founder, group, [ivo]);
  });
});
