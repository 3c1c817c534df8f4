import { joinFromWelcome } from '../../mls/session/join.ts';
import type { KeyPackagePair } from '../../mls/session/key-package.ts';
import { epochOf, groupIdOf } from '../../mls/session/state.ts';
import { equalBytes } from '../../wire/bytes.ts';
import type { WelcomeEntry } from '../../wire/entry.ts';
import { groupIdOf as idOfGroup } from '../../wire/ids.ts';
import { withExpulsions } from './account-entry.ts';
import { missedLine } from './gap.ts';
import { handshakesOf } from './opaque.ts';
import { keepTexts } from './outbox.ts';
import { park } from './placing.ts';
import { withFirstHead } from './recent-heads.ts';
import { endRecovery } from './recovery.ts';
import { packageLeaf } from './rotation.ts';
import { type EngineEnv, type Group, type LineDraft, type Needs, type Step, step } from './types.ts';

/** A group of which nothing is known but that it is there. */
export function emptyGroup(bytes: Uint8Array, name: string): Group {
  return {
    id: idOfGroup(bytes),
    bytes,
    name,
    phase: 'joining',
    position: 0,
    generations: new Map(),
    intentions: [],
    outbox: [],
    unread: 0,
  };
}

/**
 * Whether an invitation that stands at a position was used before, or overtaken. One commit may remove this device and add it
 * again: then the invitation stands where the removal does, and is the way back.
 */
export function isUsedUp(group: Pick<Group, 'position' | 'phase'>, position: number): boolean {
  return group.position > position || (group.position === position && group.phase !== 'removed');
}

export interface WelcomeKeys {
  /** The key package the Welcome was made for; absent when this device has none of those it names. */
  readonly keyPackage?: KeyPackagePair;
  /** Fetched after a step said `needs-tree`. */
  readonly tree?: Uint8Array;
}

/**
 * Joins by an invitation. One that was used before, or that an own rejoin has overtaken, changes nothing, and none leads
 * out of a group that this device is a member of: whoever made it could have made it for another group. One that cannot be used leaves a parked group behind, so that its name and the reason are visible.
 */
export async function applyWelcome(
  env: EngineEnv,
  known: Group | undefined,
  entry: WelcomeEntry,
  keys: WelcomeKeys,
): Promise<Step | Needs> {
  const { group: bytes, name, position, head, epoch, inviter, welcome } = entry.payload;
  const group = known ?? emptyGroup(bytes, name ?? idOfGroup(bytes).slice(0, 8));
  if (isUsedUp(group, position)) return step(group);
  if (group.phase === 'member' || group.phase === 'creating') {
    // RFC 9420 §12.4.3.1: the id of a group that this device takes part in is nobody else's to use
    const text =
      'An invitation into another group under the id of this one was not followed: this device is a member here.';
    return step(group, { lines: [{ kind: 'warning', text, time: entry.time, position: group.position }] });
  }
  const refuse = (reason: string): Step => {
    const parked = park({ ...group, position, head }, `The invitation cannot be used (${reason})`, entry.time);
    return { ...parked, group: { ...parked.group, name: name ?? parked.group.name } };
  };
  if (keys.keyPackage === undefined) return refuse('it is for a key package that this device does not have');
  env.directory.takeMissing();
  const joined = await joinFromWelcome(env.suite, env.config, {
    welcome,
    keyPackage: keys.keyPackage,
    ...(keys.tree === undefined ? {} : { tree: keys.tree }),
  });
  if (joined.kind === 'refused') {
    if (joined.code === 'tree-missing') return { kind: 'needs-tree', group: group.id, epoch };
    const accounts = env.directory.takeMissing();
    if (accounts.length > 0) return { kind: 'needs-accounts', accounts };
    return refuse(joined.code);
  }
  if (!equalBytes(groupIdOf(joined.state), bytes)) return refuse('it leads to another group than the server says');
  if (epochOf(joined.state) !== epoch) return refuse('it leads to another epoch than the server says');
  const by = env.directory.person(inviter, entry.sender);
  const begun = endRecovery(group);
  const {
    parkedReason: _reason,
    pending,
    leaving: _leaving,
    creation: _creation,
    isOfLost: _lost,
    ...rest
  } = begun.group;
  const member: Group = {
    ...withFirstHead(rest, position, head),
    // it may be placed already: unknown, it would be a commit that takes this device out
    ...(pending?.kind === 'external' && pending.epoch >= epoch ? { pending } : {}),
    name: name ?? group.name,
    phase: 'member',
    mls: joined.state,
    generations: new Map(),
    leafUse: packageLeaf(env.now()),
    membersDue: position,
    // what was sealed before is of keys that this membership does not have
    outbox: keepTexts(group),
    unread: group.unread + 1,
  };
  const marked: Group = entry.payload.handshakes === undefined ? member : { ...member, handshakes: 'private' };
  const { time } = entry;
  const { missed, gaveUp } = group.recovery ?? {};
  // nothing else will say what was gone before this device was let in again
  const lines: LineDraft[] =
    missed === undefined || gaveUp === true ? [] : [missedLine(group, missed, { epoch, time, position })];
  return step(withExpulsions(env.directory, marked), {
    lines: [...lines, { kind: 'joined', by, epoch, time, position, ...handshakesOf(marked) }],
    signals: begun.signals,
  });
}
