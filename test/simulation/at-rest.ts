import type { HistoryLine } from '../../src/client/chat-client.ts';
import { toHex } from '../../src/wire/bytes.ts';
import type { MessageEntry } from '../../src/wire/entry.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import { misread } from './changed-messages.ts';
import { denialsOf, undenied } from './denials.ts';
import {
  isBlindAt,
  isOfBlind,
  isShutOut,
  isToldLost,
  isToldOfGoingBack,
  isUnreadableOfBlind,
  linesNow,
  wasAbsent,
} from './gone-back.ts';
import type { GroupTruth } from './group-truth.ts';
import { endsAlone, hasLeftAlone } from './left-alone.ts';
import { followsGap, isToldOfEnd, overtold, untold } from './missed.ts';
import type { Scene } from './scene.ts';
import type { Deed, SimulatedClient, TypedText } from './simulated-client.ts';
import type { Violation } from './violation.ts';

/** In the hexadecimal of a row's key, behind the table and the length. */
const ROW_GROUP_AT = 4;

/** What still moves, or has not come to where it must; empty when a history is at its end. */
export function unrest(scene: Scene): Violation[] {
  const { clients, nodes, log, ledger } = scene;
  const found: Violation[] = [];
  const say = (rule: Violation['rule'], text: string): void => void found.push({ rule, text });
  for (const node of nodes) {
    const at = node.tables?.standing.sequence;
    if (at !== log.events.length) say('all comes to rest', `${node.name} is at ${at} of ${log.events.length}`);
  }
  const { accounts } = ledger;
  for (const client of clients) {
    const { persona, view, chat, deeds } = client;
    const { name, device } = persona;
    // whoever got no name, or was never linked, is nobody; whoever was revoked has to hear of it, and then nothing moves any more
    if (!accounts.isValid(device)) {
      const mustKnow = chat !== undefined && accounts.isRevoked(device);
      if (mustKnow && !client.knowsRevoked) say('all comes to rest', `${name} does not know that it was revoked`);
      continue;
    }
    if (chat === undefined) say('all comes to rest', `${name} is not there`);
    if (!ledger.isNewest(view.incarnation)) say('all comes to rest', `${name} has not heard that the log went back`);
    for (const deed of deeds) if (deed.state === 'running') say('intentions are answered', `${deed.text}: no answer`);
    const shutOut = [...view.groups].flatMap(([id, record]) =>
      isShutOut(record, view.lines, ledger.group(id), device, id) ? [toHex(record.bytes)] : [],
    );
    const waiting = [...view.waiting].filter((row) => !shutOut.some((group) => row.startsWith(group, ROW_GROUP_AT)));
    if (waiting.length > 0) say('outboxes empty', `${name} has ${waiting.length} rows that wait`);
    for (const [id, { intentions, leaving, phase }] of view.groups) {
      if (intentions.length > 0) {
        const kinds = intentions.map(({ kind }) => kind).join(', ');
        say('intentions are answered', `${name} still wants ${kinds} in ${id}`);
      }
      if (leaving !== undefined && phase === 'member') {
        say('intentions are answered', `${name} still leaves ${id}`);
      }
    }
    for (const [id, truth] of ledger.groups) {
      if (truth.entries.length === 0) continue;
      const record = view.groups.get(id);
      const isMember = truth.members.has(device);
      if (hasLeftAlone(view, truth, device)) continue;
      const isOut = record !== undefined && isShutOut(record, view.lines, truth, device, id);
      if (!isOut && isMember !== (record?.phase === 'member')) {
        say('all comes to rest', `${name} is ${record?.phase ?? 'nothing'} in ${id}, a member: ${isMember}`);
      } else if (isMember && !isOut) {
        const at = record?.position;
        const end = truth.entries.length;
        if (at !== end) say('all comes to rest', `${name} is at ${at} of ${end} in ${id}`);
      } else if (isOut) {
        // the log that is there now does not have it as a member, and it was told
      } else if (isToldOfEnd(view.lines, id)) {
        // was taken out in what is gone: there is nothing to come to
      } else if ((record?.position ?? 0) < (truth.memberships.get(device)?.at(-1)?.to ?? 0)) {
        say('all comes to rest', `${name} has not seen that it was taken out of ${id}`);
      }
    }
  }
  return found;
}

/** What must be true of a history that has come to rest. */
export function finalViolations(scene: Scene): Violation[] {
  const { clients, nodes, ledger } = scene;
  return [
    ...clients.flatMap((client) => [...undelivered(scene, client), ...texts(scene, client), ...wrong(scene, client)]),
    ...ledger.miscounted(),
    ...nodes.flatMap((node) => ledger.accounts.differences(node)),
    ...differentTables(scene),
    ...[...ledger.groups].flatMap(([id, { members }]) => stillThere(scene, id, [...members])),
  ];
}

/** All nodes have folded the same, whatever each of them went through. */
function differentTables({ nodes }: Scene): Violation[] {
  const dumps = new Set(nodes.map((node) => node.tables?.dump()));
  return dumps.size === 1 ? [] : [{ rule: 'tables are equal', text: 'the nodes have different tables' }];
}

/** What is said to be missed is, and no more than that; what was changed says so; who left was asked to. */
function wrong({ ledger }: Scene, { persona, view, deeds }: SimulatedClient): Violation[] {
  const { name, device } = persona;
  const { wasCalled } = ledger.accounts;
  const { isSilent } = ledger.sayings;
  const known = (id: GroupId) => ({
    isOfBlind: (line: HistoryLine) => line.kind === 'warning' && isOfBlind(ledger.branches, line, ledger.leftIn),
    before: ledger.branches.slice(0, -1).flatMap(({ groups }) => groups.get(id)?.rosters ?? []),
    firstKept: ledger.firstKept(id),
    wasCalled,
    isSilent,
  });
  const isAsked = deeds.some(({ text }) => text === `${name} leaves`);
  return [...ledger.groups.values()].flatMap((truth): Violation[] => {
    const isWrong = !isAsked && endsAlone(view, truth, device).length > 0;
    return [
      ...overtold({ lines: linesNow(view.lines, truth), device }, truth, known(truth.id)).map(
        (text): Violation => ({ rule: 'no unexplained warning', text: `${name} in ${truth.id}: ${text}` }),
      ),
      ...misread(view.lines, truth.id, ledger.sayings).map(
        (text): Violation => ({ rule: 'changes read alike', text: `${name} in ${truth.id}: ${text}` }),
      ),
      ...(isWrong ? [{ rule: 'who left is out', text: `${name} left ${truth.id} unasked` } as const] : []),
    ];
  });
}

/** A revoked device is in no group that has anybody else who could take it out, and does not leave it or has. */
function stillThere({ clients, ledger }: Scene, id: GroupId, members: readonly DeviceId[]): Violation[] {
  const revoked = members.filter((device) => ledger.accounts.isRevoked(device));
  const truth = ledger.group(id);
  const isLeaving = ({ view, persona: { device } }: SimulatedClient): boolean =>
    view.groups.get(id)?.leaving !== undefined || (truth !== undefined && hasLeftAlone(view, truth, device));
  const leaving = new Set(clients.filter(isLeaving).map(({ persona }) => persona.device));
  const able = members.filter((device) => !revoked.includes(device) && !leaving.has(device));
  if (revoked.length === 0 || able.length === 0) return [];
  return [{ rule: 'revoked devices are taken out', text: `${revoked.join()} in ${id}` }];
}

/**
 * Every member of a time shows every message of that time, once; or says that it was sent before it had keys. The same goes
 * for what happened to a member's account.
 */
function undelivered({ ledger }: Scene, { persona, view }: SimulatedClient): Violation[] {
  const { name, device } = persona;
  const isRevoked = ledger.accounts.isRevoked(device);
  const lines = new Map<string, string[]>();
  const present = [...ledger.groups.values()].flatMap((truth) => linesNow(view.lines, truth));
  for (const line of present) {
    if (line.kind !== 'message' && line.kind !== 'warning' && line.kind !== 'account') continue;
    if (line.kind === 'warning' && (followsGap(line) || isToldOfGoingBack(ledger.branches, line))) continue;
    const place = `${line.group}/${line.position}`;
    lines.set(place, [...(lines.get(place) ?? []), line.kind]);
  }
  const found: Violation[] = [];
  for (const [id, truth] of ledger.groups) {
    const missed: number[] = [];
    const ends = endsAlone(view, truth, device);
    for (const { from, to } of truth.memberships.get(device) ?? []) {
      // a revoked device reads no further than it came
      const read = isRevoked ? Math.min(to ?? truth.entries.length, view.groups.get(id)?.position ?? 0) : to;
      // who left by itself, no further than there
      const last = ends.find((end) => from <= end && end < (read ?? Number.POSITIVE_INFINITY)) ?? read;
      for (const { entry } of truth.entries.slice(from, last)) {
        if (entry.kind !== 'message' && entry.kind !== 'account') continue;
        const shown = lines.get(`${id}/${entry.position}`) ?? [];
        const canRead = entry.kind === 'account' || isReadable(truth, device, entry);
        const wanted = canRead ? entry.kind : 'warning';
        // a receipt shows nothing where it can be read
        if (shown.length === 0 && canRead && ledger.sayings.isSilent(entry)) continue;
        if (shown.length === 1 && shown[0] === wanted) continue;
        const isLostEpoch = (line: HistoryLine): boolean =>
          line.kind === 'warning' &&
          line.group === id &&
          line.position === entry.position &&
          isUnreadableOfBlind(ledger.branches, line, ledger.leftIn);
        if (shown.join() === 'warning' && present.some(isLostEpoch)) continue;
        const isOut = view.groups.get(id)?.phase !== 'member';
        if (shown.length === 0 && wasAbsent(ledger.branches, view.lines, id, entry.position, isOut)) continue;
        if (shown.length === 0) {
          missed.push(entry.position);
          continue;
        }
        const text = `${name} shows [${shown.join()}] at ${entry.position} of ${id}, not [${wanted}]`;
        found.push({ rule: 'delivered exactly once', text });
      }
    }
    for (const position of untold({ lines: view.lines, device }, id, missed, ledger.firstKept(id))) {
      const text = `${name} shows nothing at ${position} of ${id}, and does not say so`;
      found.push({ rule: 'delivered exactly once', text });
    }
  }
  return found;
}

function isReadable(truth: GroupTruth, device: DeviceId, { sender, position, epoch }: MessageEntry): boolean {
  return sender === device || truth.hasKeys(device, position, epoch);
}

/**
 * A text that was taken is in the log, or its person was told that it is not, and it is not, or is shown after that; those in the log
 * are in the order typed.
 */
function texts(scene: Scene, { persona, typed, view }: SimulatedClient): Violation[] {
  const { ledger } = scene;
  const found: Violation[] = [];
  const last = new Map<GroupId, number>();
  const lost: TypedText[] = [];
  for (const { text, group, deed } of typed) {
    const place = ledger.positionOf(text) ?? placeOf(scene, persona.device, group, deed);
    if (place === undefined) {
      const record = view.groups.get(group);
      const isOut = record && isShutOut(record, view.lines, ledger.group(group), persona.device, group);
      const isKnown =
        isOut === true ||
        ledger.accounts.isRevoked(persona.device) ||
        isToldLost(ledger.branches, view, { text, group });
      if (deed.state === 'done' && !isKnown) lost.push({ text, group, deed });
      continue;
    }
    const denied = denialsOf(view.lines, { text, group }).at(-1) ?? -1;
    const denial = view.lines[denied];
    // what it says by now may be something else
    const isIt = (line: HistoryLine): boolean =>
      line.kind === 'message' && ledger.sayings.of(persona.device, line.id)?.text === text;
    const isShown = view.lines.slice(denied).some(isIt);
    // a revoked device is refused whatever it asks, also what was taken before, and reads no more
    const canKnow = text !== '' && !ledger.accounts.isRevoked(persona.device);
    if (canKnow && denial?.kind === 'warning' && denial.text.startsWith('Not sent (') && !isShown) {
      const where = `${place.position} of ${group}`;
      found.push({ rule: 'not sent is not there', text: `${persona.name}: "${denial.text}" stands at ${where}` });
    }
    const before = last.get(group) ?? 0;
    // one that left before its sender could hear that the log went back may stand before what was asked for again
    if (place.position < before && isBlindAt(ledger.branches, group, before, ledger.leftIn) === undefined) {
      found.push({ rule: 'texts in order', text: `"${text}" of ${persona.name} stands before one typed before it` });
    }
    last.set(group, Math.max(before, place.position));
  }
  for (const { text } of undenied(view.lines, lost)) {
    found.push({ rule: 'acknowledged is kept', text: `"${text}" was taken and is nowhere` });
  }
  return found;
}

/** Of a text that nobody has read, compacted away before, say. */
function placeOf({ ledger }: Scene, device: DeviceId, group: GroupId, { outcome }: Deed) {
  const id = (outcome as { id?: string } | undefined)?.id;
  const position = id === undefined ? undefined : ledger.group(group)?.positionOf(device, id);
  return position === undefined ? undefined : { group, position };
}
