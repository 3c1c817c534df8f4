import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ChatClient, FetchedFile, HistoryLine } from '../../../src/client/chat-client.ts';
import { saveFileRows, sendFileRows } from '../../../src/client/terminal/file-rows.ts';
import { formatLine } from '../../../src/client/terminal/format-line.ts';
import { lineToJson } from '../../../src/client/terminal/line-json.ts';
import { createPalette } from '../../../src/client/terminal/palette.ts';
import type { GroupId } from '../../../src/wire/ids.ts';
import { createFakeChatClient, fakePerson } from '../../support/fake-chat-client.ts';
import { tempFolder } from '../../support/nats.ts';

const GIVEN: FetchedFile = { kind: 'done', name: 'tea.txt', mediaType: 'text/plain', bytes: new Uint8Array([1, 2, 3]) };

function scene(fetched: FetchedFile = GIVEN) {
  const fake = createFakeChatClient({ me: 'alice' });
  const group = fake.control.addGroup('tea', ['alice']);
  const client: ChatClient = { ...fake, fetchFile: async () => fetched };
  return { fake, client, current: { group } };
}

test('a saved file is written for its owner alone, in the folder or under the name that was said', async () => {
  await using folder = await tempFolder();
  const { client, current } = scene();
  const place = join(folder.path, 'tea.txt');
  expect(await saveFileRows(['41'], client, current, folder.path)).toEqual([`saved ${place} (3 bytes)`]);
  expect([...(await readFile(place))]).toEqual([1, 2, 3]);
  expect((await stat(place)).mode & 0o777).toBe(0o600);
  const other = join(folder.path, 'other name.txt');
  expect(await saveFileRows(['41', ...other.split(' ')], client, current)).toEqual([`saved ${other} (3 bytes)`]);
  const into = join(folder.path, 'sub');
  await mkdir(into);
  expect(await saveFileRows(['41', into], client, current)).toEqual([`saved ${join(into, 'tea.txt')} (3 bytes)`]);
});

test('S3: nothing that is there is written over, not even through a link', async () => {
  await using folder = await tempFolder();
  const { client, current } = scene();
  const place = join(folder.path, 'tea.txt');
  await writeFile(place, 'mine');
  const [row] = await saveFileRows(['41'], client, current, folder.path);
  expect(row).toBe(`${place} is there already and stays as it is; /save 41 FILE takes another name`);
  expect(await readFile(place, 'utf8')).toBe('mine');
});

test('what cannot be sent or saved is said in a sentence', async () => {
  await using folder = await tempFolder();
  const { client, current, fake } = scene({ kind: 'refused', reason: 'tea.txt is no longer on the server' });
  const missing = join(folder.path, 'missing', 'tea.txt');
  expect(await sendFileRows(missing, client, current)).toEqual([
    `${missing} cannot be sent: there is no such file or folder`,
  ]);
  expect(await sendFileRows(folder.path, client, current)).toEqual([`${folder.path} cannot be sent: it is not a file`]);
  expect(await saveFileRows(['41'], client, current)).toEqual(['not saved: tea.txt is no longer on the server']);
  expect((await saveFileRows(['../x'], client, current))[0]).toMatch(/^\/save needs the number/);
  expect(await saveFileRows(['41', missing], scene().client, current)).toEqual([
    `not saved: ${missing}: there is no such file or folder`,
  ]);
  const photo = join(folder.path, 'Photo.JPG');
  await writeFile(photo, new Uint8Array(1_234));
  expect(await sendFileRows(photo, client, current)).toHaveLength(1);
  expect(fake.control.calls).toEqual(['sendFile(tea, Photo.JPG, image/jpeg, 1234)']);
});

test('a file is shown with the command that saves it, and to programs as members of its line', () => {
  const line: HistoryLine = {
    group: 'g' as GroupId,
    groupName: 'tea',
    time: 0,
    position: 41,
    kind: 'message',
    id: 'm1',
    sender: fakePerson('bob'),
    own: false,
    text: 'sent a file: photo.jpg (1.2 MB)',
    file: { name: 'photo.jpg', mediaType: 'image/jpeg', size: 1_234_567, expires: 86_400_000 },
  };
  const style = { palette: createPalette(0), me: 'nobody' };
  expect(formatLine(line, style)).toEqual(['#tea <bob> [sent a file: photo.jpg (1.2 MB), /save 41]']);
  expect(JSON.parse(lineToJson(line)).file).toEqual({
    ...{ name: 'photo.jpg', mediaType: 'image/jpeg', size: 1_234_567 },
    ...{ expires: '1970-01-02T00:00:00.000Z', save: 41 },
  });
});
