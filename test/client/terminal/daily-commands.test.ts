import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { complete } from '../../../src/client/terminal/complete.ts';
import { parseInput } from '../../../src/client/terminal/parse-input.ts';
import { runCommand } from '../../../src/client/terminal/run-command.ts';
import { createFakeChatClient, fakePerson } from '../../support/fake-chat-client.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function world() {
  const client = createFakeChatClient({ me: 'alice', knownUsers: ['bob'] });
  const group = client.control.addGroup('tea', ['alice', 'bob']);
  const said: string[] = [];
  const run = async (line: string): Promise<string[]> => {
    const input = parseInput(line);
    if (input.kind === 'mistake') return [input.reason];
    if (input.kind !== 'command') throw new Error(line);
    said.length = 0;
    await runCommand(input.name, input.args, {
      client,
      current: (await client.groups()).find((each) => each.group === group),
      say: (rows) => said.push(...rows),
      show: (lines) => said.push(...lines.map((line) => (line.kind === 'message' ? line.text : line.kind))),
      switchTo: async (entered) => void said.push(`in ${entered.name}`),
      send: (text, how) => client.send(group, text, how),
      quit: () => {},
      away: () => false,
    });
    return [...said];
  };
  return { client, group, run };
}

test('S6: /verify shows sixty digits in groups, "yes" marks, and a changed key is shouted', async () => {
  const { run, client } = world();
  const shown = await run('/verify bob');
  expect(shown.slice(1, 3).join(' ').match(/\d{5}/g)).toHaveLength(12);
  expect(shown.at(-1)).toContain('bob is not verified');
  expect(await run('/verify bob yes')).toEqual(['bob is verified now; you will be told loudly when their keys change']);
  expect((await run('/verify bob')).at(-1)).toBe('bob is verified');
  expect(await run('/list')).toContain('  bob    member, 1 device, verified, not heard of yet');
  expect(await run('/verify nobody')).toEqual(['no such user: nobody']);
  expect(await run('/verify alice')).toEqual(['this is you; /verify NAME is for others']);
  expect(parseInput('/verify bob maybe')).toMatchObject({ kind: 'mistake' });
  expect(client.control.calls).toEqual(['markVerified(bob)']);
  expect(complete('/verify bob y', { people: ['bob'], members: [], groups: [], devices: [] })?.text).toBe('yes ');
});

test('/history shows the last lines, or those with a text', async () => {
  const { run, client, group } = world();
  for (const text of ['one', 'two spoons', 'three']) client.control.message(group, 'bob', text);
  expect(await run('/history 2')).toEqual([
    '── the last 2 lines of #tea ──',
    'two spoons',
    'three',
    '── end of the history ──',
  ]);
  expect(await run('/history TWO spoons')).toEqual([
    '── 1 line of #tea with "TWO spoons" ──',
    'two spoons',
    '── end of the search ──',
  ]);
});

test('/export writes a new file that only its owner reads, as text or JSON lines, and never over another one', async () => {
  const { run, client, group } = world();
  const folder = mkdtempSync(join(tmpdir(), 'mlschat-export-'));
  folders.push(folder);
  const at = Date.UTC(2026, 10, 22, 12);
  client.control.message(group, 'bob', 'two\nrows', at);
  const text = join(folder, 'tea.txt');
  expect(await run(`/export ${text}`)).toEqual([`2 rows of #tea are in ${text}`]);
  expect(readFileSync(text, 'utf8')).toBe('2026-11-22T12:00:00.000Z #tea <bob> two\n  rows\n');
  expect(statSync(text).mode & 0o777).toBe(0o600);
  const json = join(folder, 'tea.jsonl');
  await run(`/export ${json}`);
  expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({ kind: 'message', text: 'two\nrows' });
  writeFileSync(join(folder, 'mine'), 'keep');
  await expect(run(`/export ${join(folder, 'mine')}`)).rejects.toThrow('is there already; name a new file');
  expect(readFileSync(join(folder, 'mine'), 'utf8')).toBe('keep');
});

test('/join uses what is there and never makes a group; /admin appoints; /mute mutes; /whoami says who', async () => {
  const { run, client } = world();
  client.control.existsWithout('salt', ['carol']);
  expect(await run('/join salt')).toEqual([
    'The group #salt exists already, and there is no invitation for you.',
    'Ask to be invited: carol. The invitation is announced here.',
  ]);
  expect(await run('/join pepper')).toEqual(['there is no group #pepper; /create pepper makes it']);
  expect(await run('/join tea')).toEqual(['you are in #tea already']);
  expect(await run('/admin bob')).toEqual(['bob administers #tea now']);
  expect(await run('/mute')).toEqual(['#tea is muted; /unmute ends that']);
  expect(await run('/groups')).toEqual(['* #tea  2 members, muted']);
  expect(await run('/unmute')).toEqual(['#tea is not muted any more']);
  const { account, device } = fakePerson('alice');
  expect(await run('/whoami')).toEqual([
    'you are alice on http://localhost:4000',
    `account ${account}`,
    `device ${device} "laptop"`,
  ]);
  expect(await run('/policy join open')).toEqual(['everybody may join #tea now']);
});

test('/join back into the group talked in does not say that one was there already', async () => {
  const { run, client, group } = world();
  client.joinGroup = async () => ({ kind: 'joined', group });
  expect(await run('/join tea')).toEqual(['you are in #tea again']);
});

test('without a server a command says what waits and what needs it', async () => {
  const { run, client } = world();
  client.control.setConnection({ state: 'offline', reason: 'no route', retryInMs: 1000 });
  await expect(run('/join salt')).rejects.toThrow('does not answer');
  expect(await run('/history 1')).toEqual(['── the last 0 lines of #tea ──', '── end of the history ──']);
});
