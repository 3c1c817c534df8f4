import { expect, test } from 'vitest';
import type { HistoryContent, HistoryLine, Person } from '../../../src/client/chat-client.ts';
import { formatLine } from '../../../src/client/terminal/format-line.ts';
import { lineToJson } from '../../../src/client/terminal/line-json.ts';
import { createPalette } from '../../../src/client/terminal/palette.ts';
import type { Cursor, DeviceId, GroupId } from '../../../src/wire/ids.ts';
import { fakePerson } from '../../support/fake-chat-client.ts';

const [ann, bob] = [fakePerson('ann'), fakePerson('bob')];
const phone: Person = { ...bob, device: 'phone'.padEnd(32, 'p') as DeviceId };

function placed(content: HistoryContent): HistoryLine {
  const place = { cursor: 'c' as Cursor, group: 'g' as GroupId, groupName: 'tea', time: 0, position: 1 };
  return { ...place, ...content };
}

function shown(content: HistoryContent): readonly string[] {
  return formatLine(placed(content), { palette: createPalette(0), me: ann.account });
}

test('an edit whose text was taken back since says only that there was one', () => {
  const mark = { replaces: 'r', inReplyTo: 'q', quote: { name: 'ann', text: '' } } as const;
  const rows = shown({ kind: 'message', id: 'm', sender: bob, text: '', own: false, ...mark });
  expect(rows).toEqual(['#tea <bob> [edited a message]']);
});

test('of whom only a device came or went it is not said that they did; who let themselves in has joined', () => {
  const membership = { kind: 'membership', added: [], removed: [], rotated: false, epoch: 2 } as const;
  const cases = [
    [{ by: bob, added: [phone], devices: [phone] }, 'added a device of bob'],
    [{ by: ann, removed: [phone], devices: [phone] }, 'removed a device of bob'],
    [{ by: ann, removed: [phone], left: [phone], devices: [phone] }, 'removed a device of bob'],
    [{ by: ann, removed: [bob, phone], devices: [bob, phone] }, 'removed a device of bob'],
    [{ by: ann, added: [bob, phone] }, 'added bob'],
    [{ by: ann, removed: [bob] }, 'removed bob'],
    [{ by: bob, added: [bob] }, 'joined'],
  ] as const;
  for (const [more, said] of cases) {
    expect(shown({ ...membership, ...more })).toEqual([`#tea <${more.by.name}> [updated group membership] ${said}`]);
  }
  const json = JSON.parse(lineToJson(placed({ ...membership, ...cases[1][0] }))) as object;
  expect(json).toMatchObject({ removed: [phone], devices: [phone] });
});
