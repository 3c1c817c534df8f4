/** What it costs the server to verify a commit whole, by the size of the group. */

import type { PublicGroup } from '../src/mls/public-group/group.ts';
import { openPublicGroup } from '../src/mls/public-group/open.ts';
import { type CommitBundle, type CommitRules, verifyCommit } from '../src/mls/public-group/verify.ts';
import { createCommit } from '../src/mls/session/commit.ts';
import { joinExternal } from '../src/mls/session/external-join.ts';
import { createGroupInfo } from '../src/mls/session/group-info.ts';
import { receive } from '../src/mls/session/receive.ts';
import type { GroupState } from '../src/mls/session/state.ts';
import { nodeSha256 } from '../src/mls/suite-node.ts';
import { createMember, groupOfAll, type Member, NOW, suite, trusting } from './client-world.ts';
import { type Figure, quantile, round } from './figure.ts';
import { lessThanMs, type Machine } from './machine.ts';

const SIZES = [10, 100, 500, 1_000, 2_000];
/** Targets, in ms, of the machine they were set on. */
const TARGETS: ReadonlyMap<number, number> = new Map([
  [1_000, 10],
  [2_000, 15],
]);
/** Members all over the tree that renew their path first, as in any group that has lived a while. */
const RENEWALS = 16;
const ROTATIONS = 8;
const REPEATS = 5;
const PLOT_WIDTH = 60;

const verifier = { suite, sha256: nodeSha256 };

export async function run(machine: Machine): Promise<readonly Figure[]> {
  const people: Member[] = [];
  while (people.length <= Math.max(...SIZES)) people.push(await createMember());
  const rows: { size: number; usual: number; first: number }[] = [];
  for (const size of SIZES) rows.push({ size, ...(await measure(people.slice(0, size), people[size]!)) });
  plot(rows);
  return rows.flatMap(({ size, usual, first }): Figure[] => {
    const target = TARGETS.get(size);
    if (target === undefined) return [];
    const { target: words, met } = lessThanMs(machine, target);
    const rest = `the first after ${(size - 1).toLocaleString('en')} were added at once: ${round(first)} ms`;
    return [
      {
        name: `verify a commit in a group of ${size.toLocaleString('en')}, median of rotations, adds and removes`,
        value: `${round(usual)} ms (${rest})`,
        target: words,
        met: met(usual),
      },
    ];
  });
}

async function measure(members: readonly Member[], newcomer: Member): Promise<{ usual: number; first: number }> {
  const world = await groupOfAll(members);
  let state = world.founder;
  const opened = await openPublicGroup(verifier, { groupInfo: await createGroupInfo(suite, state, { tree: true }) });
  if (opened.kind !== 'opened') throw new Error(`the group cannot be opened: ${opened.reason}`);
  let group = opened.group;
  const founder = members[0]!;

  const commit = async (intent: Omit<Parameters<typeof createCommit>[2], 'now' | 'inlineTree' | 'groupInfoTree'>) => {
    const made = await createCommit(suite, state, { ...intent, inlineTree: false, groupInfoTree: true, now: NOW });
    const measured = await verifyTimes(group, made, founder.identity);
    state = made.next;
    group = measured.group;
    return measured.ms;
  };

  const first = await commit({});
  for (const member of spread(members.slice(1), RENEWALS)) {
    const groupInfo = await createGroupInfo(suite, state, { tree: true });
    const { identity, keys } = member;
    const options = { groupInfo, identity, keys, resync: true, groupInfoTree: true, now: NOW };
    const renewed = await joinExternal(suite, trusting, options);
    if (renewed.kind !== 'joined') throw new Error(`no renewal: ${renewed.code}`);
    group = (await verifyTimes(group, renewed, identity, 1)).group;
    state = await after(state, renewed.commit);
  }
  const samples: number[] = [];
  for (let i = 0; i < ROTATIONS; i += 1) samples.push(await commit({}));
  samples.push(await commit({ add: [newcomer.keyPackage.bytes] }));
  samples.push(await commit({ remove: [members.length] }));
  samples.push(await commit({ remove: [members.length - 1] }));
  return { usual: quantile(samples, 0.5), first };
}

async function after(state: GroupState, commit: Uint8Array): Promise<GroupState> {
  const received = await receive(suite, state, commit);
  if (received.kind !== 'commit') throw new Error(`not taken: ${received.kind}`);
  return received.state;
}

/** The best of a few: a verification changes nothing, so each begins at the same group. */
async function verifyTimes(
  group: PublicGroup,
  bundle: CommitBundle,
  caller: string,
  times = REPEATS,
): Promise<{ group: PublicGroup; ms: number }> {
  const rules: CommitRules = {
    now: NOW,
    caller,
    isSignatureKeyOf: () => true,
    isClaimed: () => true,
    maxMembers: Math.max(...SIZES) + 1,
  };
  const { commit, welcome, groupInfo } = bundle;
  const parts = welcome === undefined ? { commit, groupInfo } : { commit, welcome, groupInfo };
  let best: { group: PublicGroup; ms: number } | undefined;
  for (let i = 0; i < times; i += 1) {
    const started = performance.now();
    const verified = await verifyCommit(verifier, group, parts, rules);
    const ms = performance.now() - started;
    if (verified.kind !== 'valid') throw new Error(`refused: ${verified.reason} ${verified.detail ?? ''}`);
    if (best === undefined || ms < best.ms) best = { group: verified.group, ms };
  }
  return best!;
}

function spread<Item>(items: readonly Item[], count: number): Item[] {
  if (items.length <= count) return [...items];
  return Array.from({ length: count }, (_, i) => items[Math.floor((i * items.length) / count)]!);
}

/** Both axes start at nothing, so a straight line is growth with the group and a flat one growth with its path. */
function plot(rows: readonly { readonly size: number; readonly usual: number; readonly first: number }[]): void {
  const most = Math.max(...rows.map(({ first }) => first));
  console.log('\n  verifying a commit, ms by members: # the usual, · the first after everybody was added at once');
  for (const { size, usual, first } of rows) {
    const [full, dotted] = [usual, first].map((ms) => Math.round((ms / most) * PLOT_WIDTH)) as [number, number];
    const bar = '#'.repeat(full) + '·'.repeat(Math.max(0, dotted - full));
    console.log(`  ${String(size).padStart(6)}  ${bar.padEnd(PLOT_WIDTH)}  ${round(usual)} · ${round(first)}`);
  }
}
