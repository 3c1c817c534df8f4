import { parseIdentity } from '../../mls/identity.ts';
import { withOwnLeave } from '../../mls/session/proposal.ts';
import { epochOf } from '../../mls/session/state.ts';
import { equalBytes } from '../../wire/bytes.ts';
import { type GroupEntry, type HandshakeEntry, type MessageEntry, nextHead } from '../../wire/entry.ts';
import { readContent } from '../content/content.ts';
import { applyAccountEntry, withExpulsions } from './account-entry.ts';
import { applyCommit, installExternal, mergeOwnCommit } from './apply-commit.ts';
import { decodeAttachment, fileNote, fileText } from './attachment.ts';
import { decodeBinding, isBoundTo } from './binding.ts';
import { placeOf, takeShown } from './content.ts';
import { countGeneration } from './generations.ts';
import { handshakesOf } from './opaque.ts';
import { takeOwnMessage } from './outbox.ts';
import { park, receiveIn, withoutChain } from './placing.ts';
import { withFirstHead, withHead } from './recent-heads.ts';
import { applyReport, passedOver } from './recovery.ts';
import { freshLeaf } from './rotation.ts';
import { type EngineEnv, type Group, type LineDraft, type Needs, type Step, step } from './types.ts';
import { compareClaims, compareSeen, settleReceipts, withOtherHistory } from './witness.ts';

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
  const result = await apply(env, group, entry, bytes);
  return 'lines' in result ? compareClaims(env, settleReceipts(result, entry, entry.time), entry) : result;
}

async function apply(env: EngineEnv, group: Group, entry: GroupEntry, bytes: Uint8Array): Promise<Step | Needs> {
  if (entry.position <= group.position) return step(group);
  if (group.phase === 'creating') return applyCreation(env, group, entry, bytes);
  if (group.pending?.kind === 'external' && entry.kind === 'commit' && entry.id === group.pending.id) {
    return withExpulsionsIn(env, await installExternal(env, group, group.pending, entry, bytes));
  }
  if (group.phase === 'removed') return step(group);
  if (group.phase !== 'member') return passOver(env, group, entry);
  if (entry.position !== group.position + 1) {
    const reason = `Entry ${group.position + 1} is missing from the log the server shows (${entry.position} came)`;
    return park(group, reason, entry.time);
  }
  const head = group.head === undefined ? undefined : nextHead(group.head, bytes, env.sha256);
  const { position } = entry;
  const placed: Group = head === undefined ? { ...group, position } : withHead(group, position, head);
  switch (entry.kind) {
    case 'group-created':
      return step(placed);
    case 'report':
      return applyReport(env, placed, entry);
    case 'account':
      return withExpulsionsIn(env, await applyAccountEntry(env, placed, entry));
    case 'message':
      return applyMessage(env, placed, entry);
    case 'proposal':
      return applyProposal(env, group, placed, entry);
    case 'commit': {
      if (entry.id === group.pending?.id) {
        return withExpulsionsIn(env, await mergeOwnCommit(env, placed, group.pending, entry));
      }
      return withExpulsionsIn(env, await applyCommit(env, group, placed, entry));
    }
  }
}

function withExpulsionsIn(env: EngineEnv, result: Step | Needs): Step | Needs {
  return 'lines' in result ? { ...result, group: withExpulsions(env.directory, result.group) } : result;
}

/**
 * Compares what this device computed with what the server says; different histories must not go unnoticed. A way back in leads into the
 * server's history, so that the chain of this one ends here.
 */
export function compareHead(group: Group, position: number, head: Uint8Array, time: number): Step {
  if (group.phase !== 'member' || group.position !== position) return step(group);
  if (group.head === undefined) return step(withFirstHead(group, position, head.slice()));
  if (equalBytes(group.head, head)) return step(group);
  const reason = `The server's history of this group differs from what came here (at entry ${position})`;
  return park(withOtherHistory(withoutChain(group), position, head), reason, time);
}

function applyCreation(env: EngineEnv, group: Group, entry: GroupEntry, bytes: Uint8Array): Step {
  const { creation, ...rest } = group;
  if (entry.kind !== 'group-created' || entry.id !== creation?.id) return step(group);
  const head = nextHead(new Uint8Array(32), bytes, env.sha256);
  const created: Group = {
    ...(entry.position === 1 ? withFirstHead(rest, 1, head) : rest),
    phase: 'member',
    position: entry.position,
    leafUse: freshLeaf(env.now()),
  };
  const by = env.directory.person(env.me.account, env.me.device);
  return step(created, {
    lines: [{ kind: 'created', by, time: entry.time, position: entry.position, ...handshakesOf(group) }],
    signals: [{ kind: 'created' }],
  });
}

/** Without keys nothing can be read, but own texts that are in the log are not to be sent again. */
function passOver(env: EngineEnv, group: Group, entry: GroupEntry): Step {
  const passed = passedOver(group, entry.position);
  if (entry.kind !== 'message' || entry.sender !== env.me.device) return step(passed);
  return takeOwnMessage(env, passed, entry) ?? step(passed);
}

async function applyMessage(env: EngineEnv, group: Group, entry: MessageEntry): Promise<Step> {
  const { id, time, position } = entry;
  if (entry.sender === env.me.device) {
    // recognised by id, never by decrypting: the keys of own messages are gone
    const taken = takeOwnMessage(env, group, entry);
    if (taken !== undefined) return taken;
    const text = 'A message that this device sent is not known here any more, and cannot be shown.';
    return step(group, { lines: [{ kind: 'warning', text, time, position }] });
  }
  const received = await receiveIn(env, group, entry);
  if (received.kind !== 'message') {
    const why = received.kind === 'rejected' ? received.code : 'not a message';
    const text = `A message could not be read (${why}).`;
    return step(group, { lines: [{ kind: 'warning', text, time, position }] });
  }
  const sender = env.directory.personOf(received.sender.identity);
  const lines: LineDraft[] = [];
  const binding = decodeBinding(received.authenticatedData);
  const sequence = countGeneration(group, received.sender, binding.voided);
  if (sequence.missed > 0) {
    const text = `${sequence.missed} message(s) of ${sender.name} before this one never came.`;
    lines.push({ kind: 'warning', text, time, position });
  }
  if (sender.device !== entry.sender || !isBoundTo(binding, id)) {
    const text = `The server shows a message of ${sender.name} under another sender or id than it was sent with.`;
    lines.push({ kind: 'warning', text, time, position });
  }
  const compared = compareSeen(env, group, sender, binding.seen, entry);
  lines.push(...compared.lines);
  const attachment = decodeAttachment(received.plaintext);
  const { domain } = parseIdentity(received.sender.identity) ?? env.me;
  const place = placeOf(env, group, { domain, account: sender.account });
  const read = readContent(received.plaintext, place, env.sha256);
  const shown = attachment === undefined ? read : { ...read, text: fileText(attachment) };
  const file = attachment === undefined ? {} : { file: fileNote(attachment) };
  const own = sender.account === env.me.account;
  const taken =
    shown === undefined
      ? { group: compared.group, lines: [unshowable(sender.name, entry)] }
      : takeShown(env, compared.group, shown, { id, sender, own, time, position, ...file });
  lines.push(...taken.lines);
  const next: Group = {
    ...taken.group,
    mls: received.state,
    generations: sequence.generations,
    unread: group.unread + (shown?.as === 'topic' || shown?.statuses !== undefined ? 0 : 1),
  };
  const attachments = attachment === undefined ? {} : { attachments: [{ position, attachment }] };
  return step(next, { lines, consumed: [received.consumed], ...attachments });
}

function unshowable(name: string, { time, position }: MessageEntry): LineDraft {
  return { kind: 'warning', text: `${name} sent something that this version cannot show.`, time, position };
}

async function applyProposal(
  env: EngineEnv,
  before: Group,
  group: Group,
  entry: HandshakeEntry,
): Promise<Step | Needs> {
  const ownRef = before.leaving?.id === entry.id ? before.leaving.ref : undefined;
  if (ownRef !== undefined && before.leaving !== undefined && group.mls !== undefined) {
    const isPresent = epochOf(group.mls) === entry.epoch;
    const mls = isPresent ? withOwnLeave(group.mls, ownRef) : group.mls;
    const signals = before.leaving.accepted ? [] : ([{ kind: 'leave', outcome: { kind: 'done' } }] as const);
    return step({ ...group, mls, leaving: { ...before.leaving, accepted: true } }, { signals });
  }
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
