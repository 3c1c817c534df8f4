import { describe, expect, test } from 'vitest';
import { encodeContent, encodeStatuses, type Written } from '../../../src/client/content/content.ts';
import { MESSAGE_ID_BYTES, SALT_BYTES } from '../../../src/client/content/mimi-content.ts';
import { createDirectory } from '../../../src/client/engine/directory.ts';
import { endUnread, passGap } from '../../../src/client/engine/gap.ts';
import { failEverything } from '../../../src/client/engine/intentions.ts';
import { keepTexts, messagesAnswered, queueText } from '../../../src/client/engine/outbox.ts';
import { withFirstHead } from '../../../src/client/engine/recent-heads.ts';
import { endedMeanwhile } from '../../../src/client/engine/recovery.ts';
import type { EngineEnv, Group, OutboxItem } from '../../../src/client/engine/types.ts';
import { emptyGroup } from '../../../src/client/engine/welcome.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { toBase64Url } from '../../../src/wire/bytes.ts';
import type { AccountId, ClientId, DeviceId, Position } from '../../../src/wire/ids.ts';

// all that these steps use of it
const env = {
  sha256: nodeSha256,
  directory: createDirectory('chat.example'),
  me: { account: 'bob' as AccountId, device: 'bobd' as DeviceId, domain: 'chat.example' },
  now: () => 1,
} as unknown as EngineEnv;
const bytes = new Uint8Array(32).fill(1);
const TARGET = toBase64Url(new Uint8Array(MESSAGE_ID_BYTES));
const SALT = new Uint8Array(SALT_BYTES);

const sealedItem = (id: string, text: string, more: Partial<OutboxItem> = {}): OutboxItem => {
  const localId = id as ClientId;
  const sealed = { id: localId, epoch: 1, message: bytes, generation: 0 };
  return { localId, ordinal: 1, text, time: 1, accepted: false, stale: false, sealedAfter: 3, sealed, ...more };
};
const written = (id: string, as: Written): OutboxItem => sealedItem(id, as.text, { content: encodeContent(as, SALT) });

describe('own messages that the server took, and whose entries are gone, are shown as what they were', () => {
  const file = { name: 'tea.txt', mediaType: 'text/plain', size: 3, key: bytes, nonce: bytes, hash: bytes, expires: 0 };
  const outbox = [
    written('text', { text: 'hello', inReplyTo: TARGET }),
    written('topic', { text: 'Assam', as: 'topic' }),
    written('back', { text: '', replaces: TARGET, deleted: true }),
    written('edit', { text: 'better', replaces: TARGET }),
    sealedItem('marks', 'that messages came', { content: encodeStatuses([{ id: TARGET, is: 'read' }], SALT) }),
    sealedItem('file', 'sent a file: tea.txt (3 bytes)', { attachment: file }),
  ];
  const shown = [
    { id: 'text', text: 'hello', inReplyTo: TARGET },
    { id: 'topic', text: 'Assam', topic: true },
    { id: 'back', text: '', replaces: TARGET, deleted: true },
    { id: 'edit', text: 'better', replaces: TARGET },
    { id: 'file', text: 'sent a file: tea.txt (3 bytes)', file: { name: 'tea.txt' } },
  ];
  const member: Group = { ...emptyGroup(bytes, 'tea'), phase: 'member', outbox };

  test('when the answer says so', () => {
    const group = withFirstHead(member, 20, bytes);
    const results = outbox.map(({ localId }, i) => ({ id: localId, kind: 'accepted' as const, position: 5 + i }));
    const { lines, group: after } = messagesAnswered(env, group, results);
    expect(lines).toHaveLength(shown.length);
    expect(lines).toMatchObject(shown);
    expect(after.outbox).toEqual([]);
  });

  test('when this device was taken out', () => {
    const group = { ...member, outbox: outbox.map((item) => ({ ...item, accepted: true })) };
    const { lines } = endUnread(env, group, '#tea: gone');
    expect(lines).toHaveLength(shown.length + 1);
    expect(lines.slice(0, -1)).toMatchObject(shown);
  });
});

describe('of whoever is taken out in what is no longer on the server,', () => {
  const outbox = [
    sealedItem('asked', 'perhaps', { ordinal: 1 }),
    sealedItem('stale', 'refused once', { ordinal: 2, stale: true }),
    { localId: 'typed' as ClientId, ordinal: 3, text: 'never left', time: 1, accepted: false, stale: false },
  ];
  const group: Group = { ...emptyGroup(bytes, 'tea'), phase: 'member', position: 5, outbox };

  test('a text without an answer may have been sent, and nobody says that it was not', () => {
    const {
      lines,
      signals,
      group: ended,
    } = passGap(env, group, { group: bytes, from: 1 as Position, to: 7 as Position });
    expect(lines.map((line) => (line.kind === 'warning' ? line.text : line.kind))).toEqual([
      expect.stringMatching(/^#tea: 2 entries are no longer on the server, and this device was taken out/),
      'Not known whether sent: perhaps',
      'Not sent (this device was taken out of the group): refused once',
      'Not sent (this device was taken out of the group): never left',
    ]);
    expect(ended.outbox).toEqual([]);
    // a copy that comes after all is shown
    expect(ended.givenUp?.map(({ localId }) => localId)).toEqual(expect.arrayContaining(['asked', 'stale']));
    const refused = signals.flatMap((signal) => (signal.kind === 'sent' ? [signal.localId] : []));
    expect(refused.sort()).toEqual(['asked', 'stale', 'typed']);
  });

  test('where all came that the log has, a text without an answer was not sent', () => {
    const recovery = {
      ...{ epoch: 1, position: 6, commit: bytes, code: 'invalid-commit', committer: 'eve', reported: true },
      ...{ attempts: 1, gaveUp: false },
    };
    const { lines } = endedMeanwhile(env, { ...group, phase: 'parked', recovery });
    const texts = lines.flatMap((line) => (line.kind === 'warning' ? [line.text] : []));
    expect(texts).toContain('Not sent (this device was taken out of the group): perhaps');
    expect(texts.join()).not.toContain('Not known');
  });
});

describe('of whoever reads on behind a gap within its epoch, and is taken out then,', () => {
  const outbox = [
    sealedItem('asked', 'perhaps', { ordinal: 1 }),
    sealedItem('taken', 'said to be taken', { ordinal: 2, accepted: true }),
    sealedItem('stale', 'refused once', { ordinal: 3, stale: true }),
    sealedItem('twice', 'encrypted twice', { ordinal: 4, stale: true, twofold: true }),
    { localId: 'typed' as ClientId, ordinal: 5, text: 'never left', time: 1, accepted: false, stale: false },
  ];
  const group: Group = { ...emptyGroup(bytes, 'tea'), phase: 'member', position: 5, outbox };
  const next = { epoch: 0, head: bytes, time: 6 };
  const behind = passGap(env, group, { group: bytes, from: 1 as Position, to: 7 as Position, next });

  const denials = ({ lines }: ReturnType<typeof failEverything>) =>
    lines.map((line) => (line.kind === 'warning' ? line.text : line.kind));

  test('a text that may be among what is gone is not said to be not sent', () => {
    const ended = failEverything(env, behind.group, 'out', 1);
    expect(denials(ended)).toEqual([
      'Not known whether sent: perhaps',
      'Not known whether sent: said to be taken',
      'Not sent (out): refused once',
      'Not known whether sent: encrypted twice',
      'Not sent (out): never left',
    ]);
    expect(ended.group.outbox).toEqual([]);
    const open = 'out, and it is not known whether it was sent before';
    const refused = ended.signals.map((signal) => (signal.kind === 'sent' ? signal.refused : signal.kind));
    expect(refused).toEqual([open, open, 'out', open, 'out']);
  });

  test('one that the server had placed among what is gone is shown as what it is, and nothing of it is open', () => {
    const outbox = [
      sealedItem('placed', 'said to be entry 6', { ordinal: 1, accepted: true, promisedAt: 6 }),
      // of a place that was read, and is not this text's, nothing is believed
      sealedItem('denied', 'said to be entry 2', { ordinal: 2, accepted: true, promisedAt: 2 }),
    ];
    const read = passGap(env, { ...group, outbox }, { group: bytes, from: 1 as Position, to: 7 as Position, next });
    const ended = failEverything(env, read.group, 'out', 1);
    expect(ended.lines).toMatchObject([
      { kind: 'message', own: true, id: 'placed', text: 'said to be entry 6' },
      { kind: 'warning', text: 'Not known whether sent: said to be entry 2' },
    ]);
    expect(ended.signals).toMatchObject([{ kind: 'sent', localId: 'denied' }]);
    expect([ended.group.outbox, ended.group.givenUp?.map(({ localId }) => localId)]).toEqual([[], ['denied']]);
  });

  test('one that the server has refused since, or that was typed since, was not sent', () => {
    const since = queueText(behind.group, { localId: 'since' as ClientId, ordinal: 6, text: 'since', time: 7 }).group;
    const answered = messagesAnswered(env, since, [{ id: 'asked', kind: 'stale' }]).group;
    const [asked, , , , , typed] = denials(failEverything(env, answered, 'out', 1));
    expect([asked, typed]).toEqual(['Not sent (out): perhaps', 'Not sent (out): since']);
  });

  test('nor is one that was kept for the next membership, and that ended too', () => {
    const parked = passGap(env, group, {
      group: bytes,
      from: 1 as Position,
      to: 7 as Position,
      next: { ...next, epoch: 3 },
    });
    expect(parked.group.phase).toBe('parked');
    const back: Group = { ...parked.group, phase: 'member', outbox: keepTexts(parked.group) };
    expect(denials(failEverything(env, back, 'out', 1))).toContain('Not known whether sent: perhaps');
  });
});
