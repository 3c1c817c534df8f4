import { equalBytes } from '../../wire/bytes.ts';
import { type GroupEntry, type HandshakeEntry, type MessageEntry, nextHead } from '../../wire/entry.ts';
import { applyCommit, installExternal, mergeOwnCommit } from './apply-commit.ts';
import { decodeText, isBoundTo } from './content.ts';
import { takeOwnMessage } from './outbox.ts';
import { park, receiveIn } from './placing.ts';
import { type EngineEnv, type Group, type LineDraft, type Needs, type Step, step } from './types.ts';

/**
 * Applies one entry of a group's log. Entries must come in order; one that was applied before changes nothing, so a
 * reader may start again anywhere. An entry that cannot be right parks the group; a message that cannot be read costs
 * one warning line.
 */
export async function applyEntry(
  env: EngineEnv,
  group: Group,
  entry: GroupEntry,
  bytes: Uint8Array,
): Promise<Step | Needs> {
  if (entry.position <= group.position) return step(group);
  if (group.phase === 'removed') return step(group);
  if (group.phase === 'creating') return applyCreation(env, group, entry, bytes);
  if (group.pending?.kind === 'external' && entry.kind === 'commit' && entry.id === group.pending.id) {
    return installExternal(env, group, group.pending, entry, bytes);
  }
  if (group.phase !== 'member') return passOver(env, group, entry);
  if (entry.position !== group.position + 1) {
    const reason = `Entry ${group.position + 1} is missing from the log the server shows (${entry.position} came)`;
    return park(group, reason, entry.time);
  }
  const head = group.head === undefined ? undefined : nextHead(group.head, bytes, env.sha256);
  const placed: Group = { ...group, position: entry.position, ...(head === undefined ? {} : { head }) };
  switch (entry.kind) {
    case 'group-created':
      return step(placed);
    case 'message':
      return applyMessage(env, placed, entry);
    case 'proposal':
      return applyProposal(env, group, placed, entry);
    case 'commit': {
      if (entry.id === group.pending?.id) return mergeOwnCommit(env, placed, group.pending, entry);
      return applyCommit(env, group, placed, entry);
    }
  }
}

/** Compares what this device computed with what the server says; different histories must not go unnoticed. */
export function compareHead(group: Group, position: number, head: Uint8Array, time: number): Step {
  if (group.phase !== 'member' || group.position !== position) return step(group);
  if (group.head === undefined) return step({ ...group, head });
  if (equalBytes(group.head, head)) return step(group);
  return park(group, `The server's history of this group differs from what came here (at entry ${position})`, time);
}

function applyCreation(env: EngineEnv, group: Group, entry: GroupEntry, bytes: Uint8Array): Step {
  const { creation, ...rest } = group;
  if (entry.kind !== 'group-created' || entry.id !== creation?.id) return step(group);
  const head = nextHead(new Uint8Array(32), bytes, env.sha256);
  const created: Group = {
    ...rest,
    phase: 'member',
    position: entry.position,
    ...(entry.position === 1 ? { head } : {}),
  };
  const by = env.directory.person(env.me.account, env.me.device);
  return step(created, {
    lines: [{ kind: 'created', by, time: entry.time, position: entry.position }],
    signals: [{ kind: 'created' }],
  });
}

/** Without keys nothing can be read, but own texts that are in the log are not to be sent again. */
function passOver(env: EngineEnv, group: Group, entry: GroupEntry): Step {
  if (entry.kind !== 'message' || entry.sender !== env.me.device) return step(group);
  return takeOwnMessage(env, group, entry) ?? step(group);
}

async function applyMessage(env: EngineEnv, group: Group, entry: MessageEntry): Promise<Step> {
  const { id, time, position } = entry;
  if (entry.sender === env.me.device) {
    // recognised by id, never by decrypting: the keys of own messages are gone
    return takeOwnMessage(env, group, entry) ?? step(group);
  }
  const received = await receiveIn(env, group, entry);
  if (received.kind !== 'message') {
    const why = received.kind === 'rejected' ? received.code : 'not a message';
    const text = `A message could not be read (${why}).`;
    return step(group, { lines: [{ kind: 'warning', text, time, position }] });
  }
  const sender = env.directory.personOf(received.sender.identity);
  const lines: LineDraft[] = [];
  const sequence = countGeneration(group, received.sender);
  if (sequence.missed > 0) {
    const text = `${sequence.missed} message(s) of ${sender.name} before this one never came.`;
    lines.push({ kind: 'warning', text, time, position });
  }
  if (sender.device !== entry.sender || !isBoundTo(received.authenticatedData, id)) {
    const text = `The server shows a message of ${sender.name} under another sender or id than it was sent with.`;
    lines.push({ kind: 'warning', text, time, position });
  }
  const text = decodeText(received.plaintext);
  lines.push(
    text === undefined
      ? { kind: 'warning', text: `${sender.name} sent something that this version cannot show.`, time, position }
      : { kind: 'message', id, sender, text, own: false, time, position },
  );
  const next: Group = {
    ...group,
    mls: received.state,
    generations: sequence.generations,
    unread: group.unread + 1,
  };
  return step(next, { lines, consumed: [received.consumed] });
}

async function applyProposal(
  env: EngineEnv,
  before: Group,
  group: Group,
  entry: HandshakeEntry,
): Promise<Step | Needs> {
  const received = await receiveIn(env, group, entry);
  const accounts = env.directory.takeMissing();
  if (received.kind === 'rejected' && accounts.length > 0) return { kind: 'needs-accounts', accounts };
  const own = before.leaving?.id === entry.id && before.leaving.accepted === false;
  const leaving = own && before.leaving !== undefined ? { leaving: { ...before.leaving, accepted: true } } : {};
  const signals = own ? ([{ kind: 'leave', outcome: { kind: 'done' } }] as const) : [];
  if (received.kind === 'proposal') return step({ ...group, ...leaving, mls: received.state }, { signals });
  // a proposal of an epoch that a commit has ended meanwhile means nothing any more
  if (received.kind === 'rejected' && received.code === 'past-epoch')
    return step({ ...group, ...leaving }, { signals });
  const text = `A proposal could not be read (${received.kind === 'rejected' ? received.code : 'not a proposal'}).`;
  return step(
    { ...group, ...leaving },
    { lines: [{ kind: 'warning', text, time: entry.time, position: entry.position }], signals },
  );
}

function countGeneration(
  group: Group,
  sender: { readonly leaf: number; readonly generation: number; readonly epoch: number },
): { readonly missed: number; readonly generations: ReadonlyMap<string, number> } {
  const key = `${sender.epoch}/${sender.leaf}`;
  const expected = group.generations.get(key) ?? 0;
  if (sender.generation < expected) return { missed: 0, generations: group.generations };
  const generations = new Map(group.generations).set(key, sender.generation + 1);
  return { missed: sender.generation - expected, generations };
}
