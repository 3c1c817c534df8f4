import { createProposal, encodeMlsMessage, type Proposal } from 'ts-mls';
import { decodeMessage } from '../../../src/mls/encoding/decode.ts';
import {
  type CommitSummary,
  type KnownProposal,
  summarizeCommit,
  summarizeProposal,
} from '../../../src/mls/handshake.ts';
import type { GroupRoles } from '../../../src/mls/roles.ts';
import { foldRoster, type Roster, rosterOfGroupInfo } from '../../../src/mls/roster.ts';
import { createCommit } from '../../../src/mls/session/commit.ts';
import { joinExternal } from '../../../src/mls/session/external-join.ts';
import { createGroupInfo } from '../../../src/mls/session/group-info.ts';
import { encrypt } from '../../../src/mls/session/message.ts';
import {
  epochAuthenticatorOf,
  epochOf,
  type GroupState,
  membersOf,
  ownLeafOf,
  ratchetTreeBytesOf,
  unwrap,
  wrap,
  zeroConsumed,
} from '../../../src/mls/session/state.ts';
import { changedRows, decodeState, encodeState, type RatchetRow } from '../../../src/mls/session/state-codec.ts';
import type { Suite } from '../../../src/mls/suite.ts';
import { nodeSha256 } from '../../../src/mls/suite-node.ts';
import { fromUtf8, toHex, toUtf8 } from '../../../src/wire/bytes.ts';
import { founded, mustJoin, mustReceive, NOW, type Person, packageOf, person, rolesWith, trusting } from './people.ts';
import type { Random } from './random.ts';

/** More people than one world ever has. */
const PEOPLE_MAX = 600;

/** What changes who is in the group, or its leaves; the other steps are `rotate`, and `nothing` where a draw was impossible. */
export const CHANGES = [
  'add',
  'remove',
  'add and remove',
  'add by reference',
  'leave',
  'external join',
  'resync',
] as const;
type Done = (typeof CHANGES)[number] | 'rotate' | 'nothing';

interface Player {
  who: Person;
  state: GroupState;
  /** What a client's store would hold, moved only by changedRows. */
  record: Uint8Array;
  rows: Map<string, RatchetRow>;
}

/** What passes by the server: everything it folds and verifies. */
export interface Handshake {
  /** Identity of the device that sent the commit. */
  readonly caller: string;
  readonly proposals: readonly { readonly caller: string; readonly bytes: Uint8Array }[];
  readonly commit: Uint8Array;
  readonly groupInfo: Uint8Array;
  readonly welcome?: Uint8Array;
}

/** A group of simulated clients under random membership changes, checked after each. */
export interface World {
  /** One random change, delivered to everybody, then one message to everybody; or nothing at all. Returns what was done. */
  step(): Promise<Done>;
  readonly size: () => number;
}

export async function createWorld(
  suite: Suite,
  random: Random,
  options: {
    readonly maxMembers: number;
    readonly onFounded?: (groupInfo: Uint8Array, caller: string) => Promise<void>;
    readonly onHandshake?: (handshake: Handshake, state: GroupState) => Promise<void>;
  },
): Promise<World> {
  let born = 0;
  const newPerson = () => person(suite, `person ${born++}`);
  // who comes from outside is nobody whom the roles name already
  const newGuest = () => person(suite, `guest ${born++}`);
  const founder = await newPerson();
  const { state, groupInfo } = await founded(suite, founder, random.bytes(16), everybodyAdministers('admins'));
  await options.onFounded?.(groupInfo, founder.identity);
  const players: Player[] = [playerOf(founder, state)];
  let roster: Roster = rosterOfGroupInfo(groupInfo)!;
  let pending: KnownProposal[] = [];
  let proposalBytes: Handshake['proposals'][number][] = [];

  const byIdentity = (identity: string) => players.find((player) => player.who.identity === identity)!;
  const others = (self: Player) => players.filter((player) => player !== self);
  const administrators = () => players.filter(({ who }) => !who.name.startsWith('guest'));

  /** Everybody but the committer takes the commit; who is removed notices and goes. */
  async function deliver(
    handshake: Omit<Handshake, 'proposals' | 'caller'>,
    caller: string,
    committer: Player | undefined,
    next: GroupState,
  ) {
    const summary = summarizeCommit(handshake.commit, pending, nodeSha256);
    if (summary.kind === 'malformed') throw new Error(summary.reason);
    for (const player of [...players]) {
      if (player === committer) continue;
      const received = await mustReceive(suite, player.state, handshake.commit, 'commit');
      if (received.selfRemoved) players.splice(players.indexOf(player), 1);
      else {
        advance(player, received.state);
        zeroConsumed(received.consumed);
      }
      const isRemoved = received.removed.some(({ identity }) => identity === player.who.identity);
      if (isRemoved !== received.selfRemoved) throw new Error('selfRemoved is wrong');
    }
    if (committer !== undefined) advance(committer, next);
    await folded(summary);
    if (options.onHandshake !== undefined) {
      await options.onHandshake({ ...handshake, caller, proposals: proposalBytes }, next);
    }
    pending = [];
    proposalBytes = [];
  }

  async function folded(summary: CommitSummary) {
    const fold = foldRoster(roster, summary);
    if (fold.kind === 'impossible') throw new Error(fold.reason);
    roster = fold.roster;
  }

  async function propose(proposer: Player, proposal: Proposal) {
    const { newState, message } = await createProposal(unwrap(proposer.state), true, proposal, suite);
    const bytes = encodeMlsMessage(message);
    for (const player of others(proposer)) {
      advance(player, (await mustReceive(suite, player.state, bytes, 'proposal')).state);
    }
    advance(proposer, wrap(newState));
    const summary = summarizeProposal(bytes, nodeSha256);
    if (summary.kind === 'malformed') throw new Error(summary.reason);
    pending.push(summary);
    proposalBytes.push({ caller: proposer.who.identity, bytes });
  }

  async function commit(
    committer: Player,
    newcomers: readonly Person[],
    remove: readonly Player[],
    referred: Newcomer[],
  ) {
    const inline = await Promise.all(newcomers.map(async (who) => ({ who, own: await packageOf(suite, who) })));
    const inlineTree = random.below(2) === 0;
    const mayAll = administrators().includes(committer);
    const committed = await createCommit(suite, committer.state, {
      add: inline.map(({ own }) => own.bytes),
      remove: remove.map((player) => ownLeafOf(player.state)),
      ...(mayAll && random.below(12) === 0 ? { roles: everybodyAdministers(random.pick(['admins', 'members'])) } : {}),
      authenticatedData: random.bytes(random.below(40)),
      inlineTree,
      groupInfoTree: random.below(2) === 0,
      now: NOW,
    });
    await deliver(committed, committer.who.identity, committer, committed.next);
    zeroConsumed(committed.consumed);
    const tree = inlineTree ? undefined : ratchetTreeBytesOf(committed.next);
    for (const { who, own } of [...referred, ...inline]) {
      players.push(playerOf(who, await mustJoin(suite, committed.welcome!, own, tree)));
    }
  }

  async function external(resync: boolean) {
    const lost = resync ? random.pick(players) : undefined;
    const helper = lost === undefined ? random.pick(players) : random.pick(others(lost));
    let who = lost?.who ?? (await newGuest());
    if (lost !== undefined && random.below(2) === 0)
      who = { ...(await person(suite, who.name)), identity: who.identity };
    const inside = random.below(2) === 0;
    const joined = await joinExternal(suite, trusting, {
      groupInfo: await createGroupInfo(suite, helper.state, { tree: inside }),
      ...(inside ? {} : { tree: ratchetTreeBytesOf(helper.state) }),
      identity: who.identity,
      keys: who.keys,
      resync,
      groupInfoTree: false,
      now: NOW,
    });
    if (joined.kind === 'refused') throw new Error(joined.code, { cause: joined.cause });
    await deliver(joined, who.identity, undefined, joined.state);
    players.push(playerOf(who, joined.state));
  }

  async function change(): Promise<Done> {
    const committer = random.pick(administrators());
    const room = options.maxMembers - players.length;
    const people = (count: number) => Promise.all(Array.from({ length: Math.min(count, room) }, newPerson));
    const targets = (count: number) => random.sample(others(committer), Math.min(count, players.length - 2));
    switch (random.below(10)) {
      case 0:
      case 1:
        if (room < 1) return 'nothing';
        await commit(committer, await people(1 + random.below(3)), [], []);
        return 'add';
      case 2:
      case 3:
        if (players.length < 3) return 'nothing';
        await commit(committer, [], targets(1 + random.below(2)), []);
        return 'remove';
      case 4:
        if (room < 1 || players.length < 3) return 'nothing';
        await commit(committer, await people(1 + random.below(2)), targets(1 + random.below(2)), []);
        return 'add and remove';
      case 5: {
        const proposers = administrators().filter((player) => player !== committer);
        if (room < 1 || proposers.length < 1) return 'nothing';
        const who = await newPerson();
        const own = await packageOf(suite, who);
        const decoded = decodeMessage(own.bytes);
        if ('malformed' in decoded || decoded.message.wireformat !== 'mls_key_package') throw new Error('no package');
        const { keyPackage } = decoded.message;
        await propose(random.pick(proposers), { proposalType: 'add', add: { keyPackage } });
        await commit(committer, [], [], [{ who, own }]);
        return 'add by reference';
      }
      case 6: {
        if (players.length < 3) return 'nothing';
        const leaver = random.pick(others(committer));
        await propose(leaver, { proposalType: 'remove', remove: { removed: ownLeafOf(leaver.state) } });
        await commit(committer, random.below(2) === 0 ? await people(1) : [], [], []);
        return 'leave';
      }
      case 7:
        if (room < 1) return 'nothing';
        await external(false);
        return 'external join';
      case 8:
        if (players.length < 2) return 'nothing';
        await external(true);
        return 'resync';
      default:
        await commit(random.pick(players), [], [], []);
        return 'rotate';
    }
  }

  async function check() {
    const authenticators = new Set(players.map(({ state }) => toHex(epochAuthenticatorOf(state))));
    if (authenticators.size !== 1) throw new Error('members disagree');
    const seen = membersOf(players[0]!.state).map(({ leaf, identity }) => `${leaf} ${identity}`);
    const rosterSeen = roster.flatMap((entry, leaf) => (entry === null ? [] : [`${leaf} ${entry.identity}`]));
    if (seen.join() !== rosterSeen.join()) throw new Error('the folded roster is not the members’ view');
    for (const [leaf, entry] of roster.entries()) {
      if (entry !== null && ownLeafOf(byIdentity(entry.identity).state) !== leaf) throw new Error('a wrong leaf');
    }
  }

  async function talk() {
    const speaker = random.pick(players);
    const text = `message ${random.below(1e6)}`;
    const sent = await encrypt(suite, speaker.state, toUtf8(text), toUtf8('aad'));
    advance(speaker, sent.state);
    zeroConsumed(sent.consumed);
    for (const player of others(speaker)) {
      const received = await mustReceive(suite, player.state, sent.message, 'message');
      const isRight =
        fromUtf8(received.plaintext) === text &&
        received.sender.identity === speaker.who.identity &&
        received.sender.generation === sent.generation &&
        received.sender.epoch === epochOf(player.state);
      if (!isRight) throw new Error('a message arrived otherwise than it was sent');
      advance(player, received.state);
      zeroConsumed(received.consumed);
    }
  }

  /** Sometimes a client restarts: it goes on from its rows alone. */
  function restartSome() {
    for (const player of players) {
      if (random.below(6) !== 0) continue;
      const ratchets = [...player.rows.values()];
      player.state = decodeState({ epochRecord: player.record, ratchets }, trusting);
    }
  }

  return {
    size: () => players.length,
    async step() {
      const done = await change();
      if (done === 'nothing') return done;
      await check();
      restartSome();
      await talk();
      return done;
    },
  };
}

/** Random members do everything here, so all of them may, but who joined from outside. */
function everybodyAdministers(invite: GroupRoles['invite']): GroupRoles {
  return { ...rolesWith(...Array.from({ length: PEOPLE_MAX }, (_, i) => `person ${i}`)), invite };
}

interface Newcomer {
  readonly who: Person;
  readonly own: Awaited<ReturnType<typeof packageOf>>;
}

function playerOf(who: Person, state: GroupState): Player {
  const { epochRecord, ratchets } = encodeState(state);
  return { who, state, record: epochRecord, rows: new Map(ratchets.map((row) => [`${row.epoch} ${row.leaf}`, row])) };
}

function advance(player: Player, state: GroupState) {
  const changed = changedRows(player.state, state);
  if (changed.epochRecord !== undefined) player.record = changed.epochRecord;
  for (const row of changed.put) player.rows.set(`${row.epoch} ${row.leaf}`, row);
  for (const row of changed.remove) player.rows.delete(`${row.epoch} ${row.leaf}`);
  player.state = state;
}
