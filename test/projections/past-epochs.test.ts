import { expect, test } from 'vitest';
import type { LogEvent } from '../../src/log/events.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import type { GroupId } from '../../src/wire/ids.ts';
import { DEFAULT_LIMITS } from '../../src/wire/limits.ts';
import { bytesOf, createScript, testDevice } from './builders.ts';
import { createFakeLog } from './fake-log.ts';
import { folded, openTest, tempFolder } from './open.ts';

const ALICE = testDevice('alice');
const TEA = bytesOf('tea', 16);
const EPOCHS = 9;

/** A group in epoch 9, then one message of each epoch; `later` stands in between. */
function logOf(pastEpochs?: number, later: readonly LogEvent[] = []): readonly LogEvent[] {
  const script = createScript();
  const started = { ...script.started(), ...(pastEpochs === undefined ? {} : { pastEpochs }) };
  const commits = Array.from({ length: EPOCHS }, (_, epoch) => [epoch] as const);
  return [
    started,
    script.register(ALICE),
    script.createGroup(ALICE, TEA),
    ...commits.map(([epoch]) => script.commit(ALICE, TEA, epoch, 0)),
    ...later,
    script.send(...Array.from({ length: EPOCHS + 1 }, (_, epoch) => script.batch(ALICE, TEA, epoch, [`of ${epoch}`]))),
  ];
}

const placed = (read: Awaited<ReturnType<typeof folded>>['read']): number =>
  read.group(toBase64Url(TEA) as GroupId)!.position - EPOCHS - 1;

test("the log's first event decides from how many epochs before messages are placed", async () => {
  for (const pastEpochs of [0, 2, 7]) expect(placed((await folded(logOf(pastEpochs))).read)).toBe(pastEpochs + 1);
  expect(placed((await folded(logOf())).read)).toBe(DEFAULT_LIMITS.pastEpochs + 1);
});

test('what a later incarnation says of it changes nothing, whether the tables were open in between or not', async () => {
  const later = { ...createScript().started('second'), pastEpochs: 8 };
  for (const first of [2, undefined]) {
    const events = logOf(first, [later]);
    const whole = await folded(events);
    expect(placed(whole.read)).toBe((first ?? DEFAULT_LIMITS.pastEpochs) + 1);

    const dir = await tempFolder();
    const log = createFakeLog(events.slice(0, -1));
    const before = await openTest(log, { dir });
    await before.ready;
    await before.close();
    log.append(events.at(-1)!);
    const after = await openTest(log, { dir });
    await after.ready;
    expect(after.dumpTables()).toBe(whole.dumpTables());
  }
});
