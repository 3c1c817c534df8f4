import { toBase64Url } from '../../src/wire/bytes.ts';
import { type Answered, newId, problemOf } from '../support/signed-client.ts';
import { TestDevice } from '../support/test-device.ts';
import { until } from '../support/until.ts';
import { createLedger, type Ledger } from './ledger.ts';

/** Members of one group that send without end, each message until it is answered, and a founder who renews the epoch. */
export interface Writers {
  readonly group: Uint8Array;
  readonly members: readonly TestDevice[];
  readonly ledger: Ledger;
  /** Accepted commits. */
  readonly commits: number;
  /** Answers by status, and `lost` for those that never came. */
  readonly answers: ReadonlyMap<string, number>;
  /** Settles when every member has this many more messages acknowledged. @throws what a writer failed with */
  acknowledged(more: number): Promise<void>;
  /** Waits for what is under way. @throws what a writer failed with */
  stop(): Promise<void>;
}

export interface WritersOptions {
  /** Where member `index` sends its next request. */
  readonly url: (index: number) => string;
  readonly members: number;
  readonly name: string;
  /** After so many messages of one member the founder commits. */
  readonly messagesAnEpoch?: number;
}

const MESSAGES_AN_EPOCH = 40;
const CREATED = 201;
const EPOCH_OVER = 409;
const REFUSED_FOR_NOW = new Set([429, 503, 507]);

export async function startWriters(options: WritersOptions): Promise<Writers> {
  const { messagesAnEpoch = MESSAGES_AN_EPOCH } = options;
  const members: TestDevice[] = [];
  for (let i = 0; i < options.members; i += 1) {
    members.push(await TestDevice.register(() => options.url(i), `${options.name}-${i}`));
  }
  const [founder, ...others] = members as [TestDevice, ...TestDevice[]];
  const group = await founder.createGroup();
  if (others.length > 0) await founder.invite(group, ...others);
  for (const other of others) await eventually(async () => await other.catchUp().then(() => isIn(other, group)));
  const ledger = createLedger();
  const answers = new Map<string, number>();
  const sent = members.map(() => 0);
  const count = (what: string): void => void answers.set(what, (answers.get(what) ?? 0) + 1);
  let isStopping = false;
  let commits = 0;
  let failure: unknown;

  const ask = (request: () => Promise<Answered>) => untilAnswered(request, count);
  const commit = async (): Promise<void> => {
    const made = await founder.prepareCommit(group);
    const key = newId();
    const answered = await ask(() => founder.postCommit(group, made, key));
    if (answered.status !== CREATED) throw new Error(`a commit was answered with ${answered.status}`);
    founder.setState(group, made.next);
    commits += 1;
  };
  const write = async (member: TestDevice, index: number): Promise<void> => {
    let ciphertext = await member.encrypt(group, 'again and again');
    for (let left = messagesAnEpoch; !isStopping; left -= 1) {
      const message = { id: newId(), message: ciphertext };
      const answered = await ask(() => member.postMessages(group, [message]));
      if (answered.status === CREATED) {
        ledger.acknowledge(message.id, answered.value.results[0].position);
        sent[index]! += 1;
        if (left > 0) continue;
      } else if (answered.status !== EPOCH_OVER) throw new Error(`a message was answered with ${answered.status}`);
      left = messagesAnEpoch;
      if (member === founder) await commit();
      else
        await eventually(() =>
          member.catchUp().then(
            () => true,
            () => undefined,
          ),
        );
      ciphertext = await member.encrypt(group, 'again and again');
    }
  };
  const writing = members.map((member, index) =>
    write(member, index).catch((error: unknown) => {
      failure ??= error;
      isStopping = true;
    }),
  );
  const check = (): void => {
    if (failure !== undefined) throw failure;
  };
  return {
    group,
    members,
    ledger,
    answers,
    get commits() {
      return commits;
    },
    async acknowledged(more) {
      const before = [...sent];
      await until(
        () => failure !== undefined || sent.every((count, i) => count >= before[i]! + more),
        () => `acknowledged ${sent}, before ${before}; answers ${JSON.stringify([...answers])}`,
      );
      check();
    },
    async stop() {
      isStopping = true;
      await Promise.all(writing);
      check();
    },
  };
}

/**
 * Asks again until there is an answer that says more than "not now".
 *
 * @param count told of every try: its status, or `lost`
 */
export function untilAnswered(
  request: () => Promise<Answered>,
  count: (what: string) => void = () => undefined,
): Promise<Answered> {
  return eventually(async () => {
    const answered = await request().catch(() => undefined); // the server is away: the same again
    count(answered === undefined ? 'lost' : String(answered.status));
    return answered === undefined || REFUSED_FOR_NOW.has(answered.status) || isOfBefore(answered)
      ? undefined
      : answered;
  });
}

/** Signed before the server that it reached was started: signed anew it is good. */
const isOfBefore = (answered: Answered): boolean => answered.status === 401 && problemOf(answered).reason === 'stale';

const eventually = <Seen>(look: () => Promise<Seen | undefined | false>): Promise<Seen> => until(look);

function isIn(device: TestDevice, group: Uint8Array): boolean {
  return device.groups.has(toBase64Url(group));
}
