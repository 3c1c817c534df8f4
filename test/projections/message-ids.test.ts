import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LogEvent } from '../../src/log/events.ts';
import { toBase64Url } from '../../src/wire/bytes.ts';
import type { ClientId, GroupId } from '../../src/wire/ids.ts';
import { bytesOf, createScript, testDevice } from './builders.ts';
import { createFakeLog } from './fake-log.ts';
import { openTest, tempFolder } from './open.ts';

const TEA = bytesOf('tea', 16);
const TEA_ID = toBase64Url(TEA) as GroupId;
const SENDERS = [testDevice('alice'), testDevice('bob')] as const;
/** More than are remembered of one sender without a look into the tables. */
const IDS = 600;
/** The group's creation and the commit that adds bob. */
const FIRST_POSITION = 3;

/** Which ids a request sends, by number: a stretch from somewhere, in an order of its own, some of them twice. */
const request = fc.record({
  sender: fc.nat(1),
  from: fc.nat(IDS - 1),
  picks: fc.oneof(
    fc.array(fc.nat(5), { minLength: 1, maxLength: 4 }),
    fc.array(fc.nat(80), { minLength: 20, maxLength: 60 }),
  ),
});
/** Mostly forward, as senders go, with a look back now and then. */
const requests = fc.tuple(fc.array(request, { minLength: 1, maxLength: 30 }), fc.boolean()).map(([all, isForward]) => {
  if (!isForward) return all;
  const step = Math.floor(IDS / all.length);
  return all.map((one, i) => ({ ...one, from: Math.max(0, i * step - (one.from % 10)) }));
});

test('an id is placed once, where it came first, in whatever order ids come and however events are batched', async () => {
  await fc.assert(
    fc.asyncProperty(
      requests,
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
      async (all, sizes) => {
        const script = createScript();
        const [alice, bob] = SENDERS;
        const events: LogEvent[] = [
          script.started(),
          script.register(alice),
          script.register(bob),
          script.createGroup(alice, TEA, 'tea'),
          script.commit(alice, TEA, 0, 0, { adds: [bob] }),
        ];
        const ids = Array.from({ length: IDS }, (_, i) => {
          if (i % 4 === 0) script.advance(1); // those of one millisecond have no order
          return script.clientId();
        });
        const expected = SENDERS.map(() => new Map<ClientId, number>());
        let position = FIRST_POSITION;
        const sent = all.map(({ sender, from, picks }): LogEvent => {
          const chosen = picks.map((pick) => ids[(from + pick) % IDS]!);
          for (const id of chosen) {
            if (expected[sender]!.has(id)) continue;
            expected[sender]!.set(id, position);
            position += 1;
          }
          const messages = chosen.map((id) => ({ id, text: 'x' }));
          return script.send(script.batch(SENDERS[sender]!, TEA, 1, messages));
        });
        const half = Math.floor(sent.length / 2);
        const log = createFakeLog([...events, ...sent.slice(0, half)], sizes);
        const dir = await tempFolder();
        const live = await openTest(log, { dir });
        await live.ready;
        await live.read.waitForSequence(log.append(...sent.slice(half)), AbortSignal.timeout(60_000));
        const placed = (read: typeof live.read) =>
          SENDERS.map(
            ({ device }) => new Map(ids.flatMap((id) => [[id, read.messagePosition(TEA_ID, device, id)] as const])),
          );
        const wanted = expected.map((map) => new Map(ids.map((id) => [id, map.get(id)] as const)));
        expect(placed(live.read)).toEqual(wanted);
        await live.close();
        const stored = await openTest(log, { dir });
        expect(placed(stored.read)).toEqual(wanted);
        const cold = await openTest(createFakeLog(log.events));
        await cold.ready;
        expect(cold.dumpTables()).toBe(stored.dumpTables());
        await stored.close();
        await cold.close();
      },
    ),
    { numRuns: 25 },
  );
});
