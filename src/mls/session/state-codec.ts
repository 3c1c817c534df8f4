import type { ClientState, EpochReceiverData, Proposal, RatchetTree } from 'ts-mls';
import type { Decoder } from 'ts-mls/codec/tlsDecoder.js';
import { encode } from 'ts-mls/codec/tlsEncoder.js';
import { decodeGroupContext, encodeGroupContext } from 'ts-mls/groupContext.js';
import { decodeKeySchedule, encodeKeySchedule } from 'ts-mls/keySchedule.js';
import { decodePrivateKeyPath, privateKeyPathEncoder } from 'ts-mls/privateKeyPath.js';
import { decodeProposal, encodeProposal } from 'ts-mls/proposal.js';
import { decodeNode, decodeRatchetTree, encodeNode, encodeRatchetTree } from 'ts-mls/ratchetTree.js';
import { decodeSecretTreeNode, type SecretTree, secretTreeNodeEncoder } from 'ts-mls/secretTree.js';
import { fromBase64, toBase64 } from '../../wire/bytes.ts';
import { decodeCbor, encodeCbor } from '../../wire/cbor.ts';
import { libraryConfig, type MlsConfig } from '../config.ts';
import { MlsError } from '../errors.ts';
import { asLazy, EMPTY_RATCHETS, type GroupState, readWhole, unwrap } from './state.ts';

/** The message ratchets of one member in one epoch: 76 bytes, and 38 for each skipped message. */
export interface RatchetRow {
  readonly epoch: number;
  readonly leaf: number;
  readonly bytes: Uint8Array;
}

/**
 * A group state as rows. A message changes one ratchet row; only a handshake writes the epoch record. All of it is
 * secret: our signature key, path keys, message keys.
 */
export interface EncodedState {
  readonly epochRecord: Uint8Array;
  readonly ratchets: readonly RatchetRow[];
}

/** What to write, in one transaction, when a state follows another. */
export interface ChangedRows {
  /** Absent when only ratchets moved. */
  readonly epochRecord?: Uint8Array;
  readonly put: readonly RatchetRow[];
  readonly remove: readonly { readonly epoch: number; readonly leaf: number }[];
}

const encodeRatchets = encode(secretTreeNodeEncoder);
const encodePath = encode(privateKeyPathEncoder);

export function encodeState(state: GroupState): EncodedState {
  const library = unwrap(state);
  const ratchets = [...epochsOf(library)].flatMap(([epoch, keys]) => rowsOf(epoch, keys));
  return { epochRecord: encodeRecord(library), ratchets };
}

/** The difference between two states of one group; from nothing when there is no state before. */
export function changedRows(before: GroupState | undefined, after: GroupState): ChangedRows {
  if (before === undefined) {
    const { epochRecord, ratchets } = encodeState(after);
    return { epochRecord, put: ratchets, remove: [] };
  }
  const was = unwrap(before);
  const is = unwrap(after);
  const epochsAfter = epochsOf(is);
  const epochsBefore = epochsOf(was);
  const put: RatchetRow[] = [];
  for (const [epoch, keys] of epochsAfter) {
    const old = epochsBefore.get(epoch)?.secretTree;
    if (old === keys.secretTree) continue;
    put.push(...rowsOf(epoch, keys, (leaf) => old?.[leaf * 2] !== keys.secretTree[leaf * 2]));
  }
  const remove = [...epochsBefore]
    .filter(([epoch]) => !epochsAfter.has(epoch))
    .flatMap(([epoch, keys]) => leavesOf(keys).map((leaf) => ({ epoch, leaf })));
  return { ...(isSameRecord(was, is) ? {} : { epochRecord: encodeRecord(is) }), put, remove };
}

/**
 * The state that these rows were made from, continued under `config`. Nothing of it aliases the rows: secrets in it
 * will be overwritten, and rows may be mapped memory of a store.
 *
 * @throws MlsError `invalid-state`
 */
export function decodeState(encoded: EncodedState, config: MlsConfig): GroupState {
  const { epochRecord, ratchets } = encoded;
  const state = decodeStateLazily({ epochRecord, ratchets: () => ratchets }, config);
  return readWhole(unwrap(state)) as unknown as GroupState;
}

/**
 * As {@link decodeState}, but members and message keys are read when they are first asked for: most groups of a client
 * that has many are silent most of the time, and in memory their rows are a tenth of what is made of them. The rows must
 * stay as they are; where one member has two of an epoch the later one counts.
 *
 * @throws MlsError `invalid-state`, now or when the part that is damaged is asked for
 */
export function decodeStateLazily(
  encoded: { readonly epochRecord: Uint8Array; readonly ratchets: () => readonly RatchetRow[] },
  config: MlsConfig,
): GroupState {
  return guarded(() => {
    const record = decodeCbor(encoded.epochRecord.slice()) as StoredEpoch;
    if (record.v !== 1) throw new Error('an epoch record of another version');
    const groupContext = decodeAll(decodeGroupContext, record.context);
    const rows = once(() => groupRows(encoded.ratchets()));
    const tree = once(() => guarded(() => decodeAll(decodeRatchetTree, record.tree)));
    const secretTree = once(() => guarded(() => secretTreeOf(tree(), rows().get(Number(groupContext.epoch)))));
    const past = once(() => guarded(() => decodePast(record.past, tree(), rows())));
    const state: ClientState = {
      groupContext,
      get ratchetTree() {
        return tree();
      },
      keySchedule: decodeAll(decodeKeySchedule, record.keys),
      privatePath: decodeAll(decodePrivateKeyPath, record.path),
      signaturePrivateKey: record.sign,
      unappliedProposals: Object.fromEntries(
        record.pending.map(([ref, proposal, sender]) => [
          toBase64(ref),
          { proposal: decodeAll<Proposal>(decodeProposal, proposal), senderLeafIndex: sender ?? undefined },
        ]),
      ),
      confirmationTag: record.tag,
      groupActiveState: record.active ? { kind: 'active' } : { kind: 'removedFromGroup' },
      get secretTree() {
        return secretTree();
      },
      get historicalReceiverData() {
        return past();
      },
      clientConfig: libraryConfig(config),
    };
    return asLazy(state) as unknown as GroupState;
  });
}

function guarded<Value>(decode: () => Value): Value {
  try {
    return decode();
  } catch (error) {
    if (error instanceof MlsError) throw error;
    throw new MlsError('invalid-state', 'the stored rows are no group state', error);
  }
}

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

// ─── the epoch record ───

type TreeChange = readonly [index: number, node: Uint8Array | null];

interface StoredPast {
  readonly psk: Uint8Array;
  readonly sender: Uint8Array;
  readonly context: Uint8Array;
  readonly width: number;
  /** Against the tree of the next epoch: few nodes differ, and in memory the rest stays shared. */
  readonly changes: readonly TreeChange[];
}

interface StoredEpoch {
  readonly v: 1;
  readonly context: Uint8Array;
  readonly tree: Uint8Array;
  readonly keys: Uint8Array;
  readonly path: Uint8Array;
  readonly sign: Uint8Array;
  readonly tag: Uint8Array;
  readonly active: boolean;
  /** The library's own codec loses the sender when it is leaf 0. */
  readonly pending: readonly (readonly [ref: Uint8Array, proposal: Uint8Array, sender: number | null])[];
  /** Newest first. */
  readonly past: readonly StoredPast[];
}

function encodeRecord(state: ClientState): Uint8Array {
  if (state.groupActiveState.kind === 'suspendedPendingReinit') {
    throw new MlsError('invalid-state', 'a group that waits for its ReInit cannot be stored');
  }
  const record: StoredEpoch = {
    v: 1,
    context: encodeGroupContext(state.groupContext),
    tree: encodeRatchetTree(state.ratchetTree),
    keys: encodeKeySchedule(state.keySchedule),
    path: encodePath(state.privatePath),
    sign: state.signaturePrivateKey,
    tag: state.confirmationTag,
    active: state.groupActiveState.kind === 'active',
    pending: Object.entries(state.unappliedProposals).map(([ref, { proposal, senderLeafIndex }]) => [
      fromBase64(ref)!,
      encodeProposal(proposal),
      senderLeafIndex ?? null,
    ]),
    past: encodePast(state),
  };
  return encodeCbor(record);
}

function encodePast(state: ClientState): StoredPast[] {
  let newer = state.ratchetTree;
  return newestFirst(state.historicalReceiverData).map((past) => {
    const tree = past.ratchetTree;
    const changes: TreeChange[] = [];
    for (const [index, node] of tree.entries()) {
      if (node !== newer[index]) changes.push([index, node === undefined ? null : encodeNode(node)]);
    }
    newer = tree;
    return {
      psk: past.resumptionPsk,
      sender: past.senderDataSecret,
      context: encodeGroupContext(past.groupContext),
      width: tree.length,
      changes,
    };
  });
}

function decodePast(
  stored: readonly StoredPast[],
  current: RatchetTree,
  rows: ReadonlyMap<number, ReadonlyMap<number, Uint8Array>>,
): Map<bigint, EpochReceiverData> {
  let newer = current;
  const entries = stored.map((past): [bigint, EpochReceiverData] => {
    const ratchetTree: RatchetTree = Array.from({ length: past.width }, (_, index) => newer[index]);
    for (const [index, node] of past.changes) {
      ratchetTree[index] = node === null ? undefined : decodeAll(decodeNode, node);
    }
    newer = ratchetTree;
    const groupContext = decodeAll(decodeGroupContext, past.context);
    const secretTree = secretTreeOf(ratchetTree, rows.get(Number(groupContext.epoch)));
    const { psk: resumptionPsk, sender: senderDataSecret } = past;
    return [groupContext.epoch, { resumptionPsk, secretTree, ratchetTree, senderDataSecret, groupContext }];
  });
  return new Map(entries.reverse());
}

function newestFirst(past: ClientState['historicalReceiverData']): EpochReceiverData[] {
  return [...past.values()].sort((a, b) => (a.groupContext.epoch > b.groupContext.epoch ? -1 : 1));
}

/** The library never changes in place: what is the same object has the same content. */
function isSameRecord(a: ClientState, b: ClientState): boolean {
  return (
    a.groupContext === b.groupContext &&
    a.ratchetTree === b.ratchetTree &&
    a.keySchedule === b.keySchedule &&
    a.privatePath === b.privatePath &&
    a.signaturePrivateKey === b.signaturePrivateKey &&
    a.unappliedProposals === b.unappliedProposals &&
    a.confirmationTag === b.confirmationTag &&
    a.groupActiveState.kind === b.groupActiveState.kind &&
    a.historicalReceiverData.size === b.historicalReceiverData.size &&
    [...a.historicalReceiverData].every(
      ([epoch, past]) => b.historicalReceiverData.get(epoch)?.ratchetTree === past.ratchetTree,
    )
  );
}

// ─── ratchet rows ───

interface EpochKeys {
  readonly secretTree: SecretTree;
  readonly ratchetTree: RatchetTree;
}

function epochsOf(state: ClientState): ReadonlyMap<number, EpochKeys> {
  const epochs = new Map<number, EpochKeys>([[Number(state.groupContext.epoch), state]]);
  for (const [epoch, past] of state.historicalReceiverData) epochs.set(Number(epoch), past);
  return epochs;
}

function leavesOf({ ratchetTree }: EpochKeys): number[] {
  return ratchetTree.flatMap((node, index) => (index % 2 === 0 && node !== undefined ? [index / 2] : []));
}

function rowsOf(epoch: number, keys: EpochKeys, isWanted: (leaf: number) => boolean = () => true): RatchetRow[] {
  return leavesOf(keys)
    .filter(isWanted)
    .map((leaf) => ({ epoch, leaf, bytes: encodeRatchets(keys.secretTree[leaf * 2]!) }));
}

function groupRows(rows: readonly RatchetRow[]): ReadonlyMap<number, ReadonlyMap<number, Uint8Array>> {
  const byEpoch = new Map<number, Map<number, Uint8Array>>();
  for (const { epoch, leaf, bytes } of rows) {
    const leaves = byEpoch.get(epoch) ?? new Map<number, Uint8Array>();
    byEpoch.set(epoch, leaves.set(leaf, bytes));
  }
  return byEpoch;
}

function secretTreeOf(tree: RatchetTree, rows: ReadonlyMap<number, Uint8Array> | undefined): SecretTree {
  return tree.map((node, index) => {
    if (index % 2 === 1 || node === undefined) return EMPTY_RATCHETS;
    const row = rows?.get(index / 2);
    if (row === undefined) throw new Error(`no ratchet row for leaf ${index / 2}`);
    return decodeAll(decodeSecretTreeNode, row.slice());
  });
}

function decodeAll<Value>(decode: Decoder<Value>, bytes: Uint8Array): Value {
  const decoded = decode(bytes, 0);
  if (decoded === undefined || decoded[1] !== bytes.length) throw new Error('a part of it cannot be read');
  return decoded[0];
}
