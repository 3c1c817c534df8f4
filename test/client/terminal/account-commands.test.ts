import { describe, expect, test } from 'vitest';
import { accountCommandRows, recoveryRows } from '../../../src/client/terminal/account-rows.ts';
import { lineToJson } from '../../../src/client/terminal/line-json.ts';
import { parseInput } from '../../../src/client/terminal/parse-input.ts';
import type { GroupId } from '../../../src/wire/ids.ts';
import { createFakeChatClient, fakePerson } from '../../support/fake-chat-client.ts';
import { startChat } from './chat-on-fake-terminal.ts';

describe('commands about the own account', () => {
  test('/rename, /devices, /revoke and /link do their work in any group and say what came of it', async () => {
    const client = createFakeChatClient({ me: 'alice' });
    const rows = async (line: string) => {
      const input = parseInput(line);
      if (input.kind !== 'command') return [input.kind];
      return accountCommandRows(input.name as 'rename', input.args, client);
    };
    expect(await rows('/rename alicia')).toEqual(['you are alicia now']);
    expect(await rows('/devices')).toEqual([
      `* "laptop"  ${fakePerson('alice').device.slice(0, 8)}, this one`,
      `  "phone"  ${fakePerson('phone').device.slice(0, 8)}`,
    ]);
    expect(await rows('/revoke phone')).toEqual(['your device "phone" is revoked; it leaves your groups by itself']);
    expect(await rows('/revoke my tablet')).toEqual(['not done: you have no device "my tablet"']);
    expect(await rows('/link abcd-efgh')).toEqual([
      'the new device "new device" (abcd-efg) belongs to your account; it joins your groups by itself',
      'if it is not yours: /revoke abcd-efg',
    ]);
    expect((await rows('/link')).join('\n')).toContain(`mlschat link ${fakePerson('alice').account}`);
    expect(await rows('/rename two names')).toEqual(['mistake']);
    expect(await rows('/revoke')).toEqual(['mistake']);
  });

  test('the recovery code is shown at the first start, above the conversation, and never again', async () => {
    const client = createFakeChatClient({ me: 'alice', recoveryCode: 'abcd-efgh' });
    const chat = await startChat({ client });
    await chat.sees('  abcd-efgh');
    await chat.sees('#tea alice>');
    expect(await client.takeRecoveryCode()).toBeUndefined();
    expect(recoveryRows('abcd-efgh')).toHaveLength(3);
    const code = Array.from({ length: 16 }, () => 'abcd').join('-');
    const rows = recoveryRows(code);
    expect(
      rows
        .slice(1, -1)
        .map((row) => row.trim())
        .join(''),
    ).toBe(code);
    for (const row of rows.slice(1, -1)) expect(row.length).toBeLessThan(80);
    await chat.quit();
  });

  test('changes of an account are lines in JSON too', () => {
    const by = fakePerson('bob');
    const line = { kind: 'account', change: 'renamed', what: 'bobby', by, time: 0, position: 3 } as const;
    const shown = JSON.parse(lineToJson({ ...line, group: 'g' as GroupId, groupName: 'tea' })) as object;
    expect(shown).toMatchObject({ kind: 'account', by, change: 'renamed', what: 'bobby', position: 3 });
  });
});
