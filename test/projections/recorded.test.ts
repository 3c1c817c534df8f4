import { readFile } from 'node:fs/promises';
import { decodeFirst } from 'cborg';
import { expect, test } from 'vitest';
import { decodeEvent, encodeEvent } from '../../src/log/envelope.ts';
import type { LogEvent } from '../../src/log/events.ts';
import { createMlsHandshakes } from '../../src/projections/fold/handshakes.ts';
import { equalBytes, toHex } from '../../src/wire/bytes.ts';
import { isGroupEntry } from '../../src/wire/entry.ts';
import type { DeviceId } from '../../src/wire/ids.ts';
import { sha256 } from './builders.ts';
import { createFakeLog } from './fake-log.ts';
import { openTest, readAll } from './open.ts';
import { RECORDED_LOG, RECORDED_STATE, recordedEvents } from './record-log.ts';

const handshakes = createMlsHandshakes(sha256);

async function recorded(): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  for (let rest: Uint8Array = await readFile(RECORDED_LOG); rest.length > 0; ) {
    const [, after] = decodeFirst(rest);
    events.push(decodeEvent(rest.subarray(0, rest.length - after.length)));
    rest = after;
  }
  return events;
}

async function stateOf(events: readonly LogEvent[], batchSizes: readonly number[]) {
  const projections = await openTest(createFakeLog(events, batchSizes), { handshakes });
  await projections.ready;
  const { read } = projections;
  const group = read.groupByName('tea')!;
  const devices = group.roster.flatMap((member) => (member === undefined ? [] : [member.device]));
  return {
    tables: projections.dumpTables(),
    group: { epoch: group.epoch, position: group.position, head: toHex(group.head) },
    roster: group.roster.map((member) => member?.device ?? null),
    admins: group.roles.admins,
    join: group.roles.join,
    seen: Object.fromEntries(
      ['alice', 'bob', 'carol'].map((name) => {
        const device = read.accountByName(name)!.devices[0]!.id;
        const { entries } = readAll(read, device);
        return [name, entries.map((entry) => (isGroupEntry(entry) ? `${entry.position} ${entry.kind}` : entry.kind))];
      }),
    ),
    trees: devices.map((device) => read.tree(group.id, group.epoch, device as DeviceId) !== undefined),
  };
}

test('a recorded log of real MLS replays to the recorded tables, heads and roster, in any batches', async () => {
  const events = await recorded();
  const expected: unknown = JSON.parse(await readFile(RECORDED_STATE, 'utf8'));
  for (const sizes of [[1], [3, 1], [events.length]]) expect(await stateOf(events, sizes)).toEqual(expected);
});

test('a recorded event encodes to the bytes that were recorded', async () => {
  const bytes = await readFile(RECORDED_LOG);
  expect(equalBytes(Buffer.concat((await recorded()).map(encodeEvent)), bytes)).toBe(true);
});

test('a log made now comes to the same shape: who reads what does not hang on keys', async () => {
  const { group, seen, join, trees } = await stateOf(await recordedEvents(), [2]);
  const expected = JSON.parse(await readFile(RECORDED_STATE, 'utf8')) as Awaited<ReturnType<typeof stateOf>>;
  expect({ ...group, head: '', seen, join, trees }).toEqual({
    ...expected.group,
    head: '',
    seen: expected.seen,
    join: expected.join,
    trees: expected.trees,
  });
});
