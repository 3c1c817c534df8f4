import type { Scene } from './scene.ts';
import type { SimulatedClient } from './simulated-client.ts';
import type { Violation } from './violation.ts';

/** What still moves, or has not come to where it must; empty when a history is at its end. */
export function unrest({ clients, nodes, log, ledger }: Scene): Violation[] {
  const found: Violation[] = [];
  const say = (rule: Violation['rule'], text: string): void => void found.push({ rule, text });
  for (const node of nodes) {
    const at = node.tables?.standing.sequence;
    if (at !== log.events.length) say('all comes to rest', `${node.name} is at ${at} of ${log.events.length}`);
  }
  for (const client of clients) {
    const { persona, view, chat, deeds } = client;
    const { name, device } = persona;
    if (chat === undefined) say('all comes to rest', `${name} is not there`);
    for (const deed of deeds) if (deed.state === 'running') say('intentions are answered', `${deed.text}: no answer`);
    if (view.waiting.size > 0) say('outboxes empty', `${name} has ${view.waiting.size} rows that wait`);
    for (const [id, { intentions, leaving, phase }] of view.groups) {
      if (intentions.length > 0) {
        const kinds = intentions.map(({ kind }) => kind).join(', ');
        say('intentions are answered', `${name} still wants ${kinds} in ${id}`);
      }
      if (leaving !== undefined && phase === 'member') say('intentions are answered', `${name} still leaves ${id}`);
    }
    for (const [id, truth] of ledger.groups) {
      if (truth.entries.length === 0) continue;
      const record = view.groups.get(id);
      const isMember = truth.members.has(device);
      if (isMember !== (record?.phase === 'member')) {
        say('all comes to rest', `${name} is ${record?.phase ?? 'nothing'} in ${id}, a member: ${isMember}`);
      } else if (!isMember && (record?.position ?? 0) < (truth.memberships.get(device)?.at(-1)?.to ?? 0)) {
        say('all comes to rest', `${name} has not seen that it was taken out of ${id}`);
      } else if (isMember && record?.position !== truth.entries.length) {
        say('all comes to rest', `${name} is at ${record?.position} of ${truth.entries.length} in ${id}`);
      }
    }
  }
  return found;
}

/** What must be true of a history that has come to rest. */
export function finalViolations(scene: Scene): Violation[] {
  return scene.clients.flatMap((client) => [...undelivered(scene, client), ...texts(scene, client)]);
}

/** Every member of a time shows every message of that time, once; or says that it was sent before it had keys. */
function undelivered({ ledger }: Scene, { persona, view }: SimulatedClient): Violation[] {
  const { name, device } = persona;
  const lines = new Map<string, string[]>();
  for (const line of view.lines) {
    if (line.kind !== 'message' && line.kind !== 'warning') continue;
    const place = `${line.group}/${line.position}`;
    lines.set(place, [...(lines.get(place) ?? []), line.kind]);
  }
  const found: Violation[] = [];
  for (const [id, truth] of ledger.groups) {
    for (const { from, to } of truth.memberships.get(device) ?? []) {
      for (const { entry } of truth.entries.slice(from, to)) {
        if (entry.kind !== 'message') continue;
        const isReadable = entry.sender === device || truth.hasKeys(device, entry.position, entry.epoch);
        const shown = lines.get(`${id}/${entry.position}`) ?? [];
        const wanted = isReadable ? 'message' : 'warning';
        if (shown.length === 1 && shown[0] === wanted) continue;
        const text = `${name} shows [${shown.join()}] at ${entry.position} of ${id}, not [${wanted}]`;
        found.push({ rule: 'delivered exactly once', text });
      }
    }
  }
  return found;
}

/** A text that was taken is in the log, or its person was told that it is not; those in the log are in the order typed. */
function texts({ ledger }: Scene, { persona, typed, view }: SimulatedClient): Violation[] {
  const found: Violation[] = [];
  const last = new Map<string, number>();
  for (const { text, group, deed } of typed) {
    const place = ledger.positionOf(text);
    if (place === undefined) {
      const isTold = view.lines.some((line) => line.kind === 'warning' && line.text.endsWith(`: ${text}`));
      if (deed.state === 'done' && !isTold) {
        found.push({ rule: 'acknowledged is kept', text: `"${text}" was taken and is nowhere` });
      }
      continue;
    }
    if (place.position < (last.get(group) ?? 0)) {
      found.push({ rule: 'texts in order', text: `"${text}" of ${persona.name} stands before one typed before it` });
    }
    last.set(group, place.position);
  }
  return found;
}
