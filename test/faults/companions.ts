import { randomBytes } from 'node:crypto';
import { nodeSha256 } from '../../src/mls/suite-node.ts';
import { equalBytes, toBase64Url } from '../../src/wire/bytes.ts';
import { addDevice } from '../support/account-statements.ts';
import { BareClient } from '../support/bare-client.ts';
import { newId, okValue, type SignedClient } from '../support/signed-client.ts';
import { pathOf, TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { createLedger, type Ledger } from './ledger.ts';
import { untilAnswered } from './writers.ts';

const BLOB_BYTES = 64 * 1024;
/** One message in so many has an attachment, until there are enough: a device may fetch only so many a minute. */
const MESSAGES_A_BLOB = 20;
const BLOBS_MAX = 40;
const CREATED = 201;

/** What else happens on a server: somebody with two devices who sends attachments, and two people in a private group. */
export interface Companions {
  /** Acknowledged messages, attachments and commits of all of them. */
  readonly acknowledged: number;
  /** Settles when each of the three that write has this many more messages acknowledged. @throws what one failed with */
  more(count: number): Promise<void>;
  /** Waits for what is under way; then everything acknowledged is looked for, by every device. @returns the differences */
  stop(): Promise<string[]>;
}

interface Attachment {
  readonly path: string;
  readonly blob: Uint8Array;
}

export async function startCompanions(url: () => string): Promise<Companions> {
  const twins = await makeTwins(url);
  const secret = await makePrivateGroup(url);
  const attachments: Attachment[] = [];
  const ending = new AbortController();
  const writers = [
    { by: twins.first.http, group: twins.group, message: await twins.first.encrypt(twins.group, 'of my first device') },
    { by: twins.second.http, group: twins.group, message: await twins.second.encrypt(twins.group, 'of my second one') },
    { by: secret.ann.http, group: secret.group, message: await secret.ann.encrypt('in private') },
  ];
  const ledgers = new Map<Uint8Array, Ledger>([
    [twins.group, createLedger()],
    [secret.group, createLedger()],
  ]);
  const sent = writers.map(() => 0);
  let failure: unknown;

  const write = async ({ by, group, message }: (typeof writers)[number], index: number): Promise<void> => {
    while (!ending.signal.aborted && failure === undefined) {
      const id = newId();
      const target = `${pathOf(group)}/messages`;
      const answered = await untilAnswered(() => by.request('POST', target, { body: { messages: [{ id, message }] } }));
      if (answered.status !== CREATED) throw new Error(`a companion was answered with ${answered.status}`);
      ledgers.get(group)!.acknowledge(id, answered.value.results[0].position);
      sent[index]! += 1;
      if (index === 0 && sent[0]! % MESSAGES_A_BLOB === 1 && attachments.length < BLOBS_MAX) {
        attachments.push(await attach(by, group));
      }
    }
  };
  const writing = writers.map((writer, index) =>
    write(writer, index).catch((error: unknown) => {
      failure ??= error;
    }),
  );
  const check = (): void => {
    if (failure !== undefined) throw failure;
  };
  return {
    get acknowledged() {
      return sent.reduce((sum, count) => sum + count, attachments.length);
    },
    async more(count) {
      const before = [...sent];
      await until(
        () => failure !== undefined || sent.every((now, i) => now >= before[i]! + count),
        () => `companions: ${sent}, before ${before}`,
      );
      check();
    },
    async stop() {
      ending.abort();
      await Promise.all(writing);
      check();
      const differences: string[] = [];
      for (const [group, readers] of [
        [twins.group, [twins.first, twins.second]],
        [secret.group, secret.readers],
      ] as const) {
        differences.push(...(await ledgers.get(group)!.differences(group, readers)));
      }
      for (const { path, blob } of attachments) {
        const found = await twins.second.http.request('GET', path);
        if (found.status !== 200 || !equalBytes(found.value.blob, blob)) differences.push(`attachment ${path} is lost`);
      }
      return differences;
    },
  };
}

async function attach(by: SignedClient, group: Uint8Array): Promise<Attachment> {
  const blob = new Uint8Array(randomBytes(BLOB_BYTES));
  const path = `${pathOf(group)}/blobs/${toBase64Url(nodeSha256(blob))}`;
  const answered = await untilAnswered(() => by.request('PUT', path, { body: { blob } }));
  if (answered.status !== CREATED) throw new Error(`an attachment was answered with ${answered.status}`);
  return { path, blob };
}

/** Two devices of one account, both members of a group that somebody else made. */
async function makeTwins(url: () => string) {
  const host = await TestDevice.register(url, 'host');
  const first = await TestDevice.register(url, 'twin');
  const second = await first.sibling(url);
  okValue(await addDevice(first, second));
  const group = await host.createGroup();
  await host.invite(group, first);
  for (const device of [first, second]) await until(() => device.catchUp().then(() => device.groups.size > 0));
  return { first, second, group };
}

/** A group whose handshakes the server cannot read; who reads it anew does so with the keys of its members. */
async function makePrivateGroup(url: () => string) {
  const [ann, ben] = [await BareClient.register(url(), 'ann'), await BareClient.register(url(), 'ben')];
  const group = await ann.createGroup();
  okValue(await ann.commit({ add: [ben] }));
  await until(() => ben.catchUp().then(() => ben.state !== undefined));
  const readers = [
    await TestDevice.create(url, 'ann', 'localhost', ann.http.key),
    await TestDevice.create(url, 'ben', 'localhost', ben.http.key),
  ];
  return { ann, group, readers };
}
