import { afterEach, expect } from 'vitest';
import type { GroupStatus } from '../../src/client/chat-client.ts';
import type { Group } from '../../src/client/engine/types.ts';
import { type AuditReport, auditStore } from '../../src/client/runner/audit.ts';
import { loadGroups } from '../../src/client/store/group-rows.ts';
import { createMemoryStore } from '../../src/client/store/memory-store.ts';
import { createMlsConfig } from '../../src/mls/config.ts';
import { createNodeSuite, nodeSha256 } from '../../src/mls/suite-node.ts';
import type { DeviceId, GroupId } from '../../src/wire/ids.ts';
import { type ChatterOptions, type ConnectableServer, openChatter, type TestChatter } from './chat-clients.ts';

/** The longest that catching up or sending is waited for; only a failing test takes that long. */
export const WAIT_MS = 240_000;

/** Clients over memory stores, each at a server that the test chooses; all that a test opened are stopped after it. */
export function useChatters(): (
  server: ConnectableServer,
  name: string,
  options?: ChatterOptions,
) => Promise<TestChatter> {
  const open = new Set<TestChatter>();
  afterEach(async () => {
    const all = [...open];
    open.clear();
    await Promise.all(all.map((chatter) => chatter.stop()));
  });
  return async (server, name, options) => {
    const chatter = await openChatter(server, name, options);
    open.add(chatter);
    return chatter;
  };
}

/** A new group of the first one's, with the others in it; all of them have read so far. */
export async function together(
  [founder, ...others]: readonly [TestChatter, ...TestChatter[]],
  name = 'tea',
): Promise<GroupId> {
  const opened = await founder.chat.openGroup(name);
  if (opened.kind !== 'created') throw new Error(opened.kind);
  const names = others.map((other) => other.name);
  if (names.length > 0) {
    const outcomes = await founder.chat.invite(opened.group, names);
    expect(outcomes).toEqual(names.map((each) => ({ name: each, kind: 'done' })));
  }
  for (const { chat } of [founder, ...others]) await chat.caughtUp(WAIT_MS);
  return opened.group;
}

export async function deviceOf({ chat }: TestChatter): Promise<DeviceId> {
  return (await chat.status()).me.device;
}

export async function statusIn({ chat }: TestChatter, group: GroupId): Promise<GroupStatus | undefined> {
  return (await chat.groups()).find((each) => each.group === group);
}

/** What this person was warned of: in this group, or anywhere. */
export async function warningsOf(who: TestChatter, group?: GroupId): Promise<string[]> {
  return (await who.lines(group)).flatMap((line) => (line.kind === 'warning' ? [line.text] : []));
}

/** The group as it is stored. */
export async function storedGroup({ rows }: TestChatter, group: GroupId): Promise<Group> {
  const stored = await loadGroups(createMemoryStore(rows), createMlsConfig({ validateCredential: () => true }));
  return stored.find(({ id }) => id === group)!;
}

/** What an audit of somebody's store says, while the chat goes on. */
export function audited(who: Pick<TestChatter, 'rows'>): Promise<AuditReport> {
  return auditStore(createMemoryStore(who.rows), { suite: createNodeSuite(), sha256: nodeSha256 });
}
