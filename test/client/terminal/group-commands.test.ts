import { expect, test } from 'vitest';
import { complete } from '../../../src/client/terminal/complete.ts';
import { parseInput } from '../../../src/client/terminal/parse-input.ts';
import { runCommand } from '../../../src/client/terminal/run-command.ts';
import { createFakeChatClient } from '../../support/fake-chat-client.ts';

const command = (line: string) => {
  const input = parseInput(line);
  return input.kind === 'command' ? [input.name, ...input.args] : input;
};

test('a group is made private by a flag, and a policy has one form', () => {
  expect(command('/create salt --private')).toEqual(['create', 'salt', '--private']);
  expect(command('/create --private #salt')).toEqual(['create', 'salt', '--private']);
  expect(command('/create salt')).toEqual(['create', 'salt']);
  expect(command('/create')).toMatchObject({ kind: 'mistake' });
  expect(command('/create a b')).toMatchObject({ kind: 'mistake' });
  expect(command('/create salt --secret')).toMatchObject({
    kind: 'mistake',
    reason: expect.stringContaining('--secret'),
  });
  expect(command('/policy invite members')).toEqual(['policy', 'invite', 'members']);
  expect(command('/policy invite everybody')).toMatchObject({ kind: 'mistake' });
  expect(command('/policy')).toMatchObject({ kind: 'mistake' });
  const known = { people: [], members: ['bob'], groups: [], devices: [] };
  expect(complete('/policy invite m', known)?.text).toBe('members ');
  expect(complete('/promote b', known)?.text).toBe('bob ');
});

test('what is done to roles is said, and /list says what an opaque group is', async () => {
  const client = createFakeChatClient({ me: 'alice' });
  const said: string[] = [];
  const group = client.control.addGroup('tea', ['alice', 'bob']);
  const run = async (line: string) => {
    const input = parseInput(line);
    if (input.kind !== 'command') throw new Error(line);
    const current = (await client.groups()).find((each) => each.group === group);
    await runCommand(input.name, input.args, {
      client,
      current: current === undefined ? undefined : { ...current, handshakes: 'private' },
      say: (rows) => said.push(...rows),
      show: () => {},
      switchTo: async (entered) => void said.push(`in ${entered.name}`),
      send: (text, how) => client.send(group, text, how),
      quit: () => {},
      away: () => false,
    });
  };
  await run('/promote bob');
  await run('/demote bob');
  await run('/policy invite members');
  await run('/list');
  await run('/create salt --private');
  await run('/create salt');
  expect(said).toEqual([
    'bob administers #tea now',
    'bob does not administer #tea any more',
    'every member may invite to #tea now',
    '#tea members: alice, bob',
    '#tea administrators: alice',
    '  alice  administrator, 1 device, you, not heard of yet',
    '  bob    member, 1 device, not verified, not heard of yet',
    '#tea every member may invite',
    '#tea handshakes are private: the server believes its members who is in it, and checks no roles',
    'in salt',
    'there is a group #salt already, and you are in it: /switch salt',
  ]);
});
