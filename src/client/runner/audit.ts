import { createMlsConfig } from '../../mls/config.ts';
import type { Suite } from '../../mls/suite.ts';
import { equalBytes, toBase64Url, toHex } from '../../wire/bytes.ts';
import type { GroupId, Sha256 } from '../../wire/ids.ts';
import { decodeReceipt } from '../../wire/receipt.ts';
import { ClientError } from '../client-error.ts';
import type { BrokenPromise, Promised } from '../engine/evidence.ts';
import { keptHead } from '../engine/recent-heads.ts';
import type { Group } from '../engine/types.ts';
import { OTHER_HISTORY } from '../engine/witness.ts';
import type { ClientStore } from '../store/client-store.ts';
import { loadGroups } from '../store/group-rows.ts';
import { loadServerKey, readReceipts } from '../store/receipt-rows.ts';
import { flawOf } from './receipt-book.ts';

/** A proof that the server said two things: bytes as base64url, heads as hexadecimal. */
export interface ReceiptProof {
  readonly kind: 'receipt';
  readonly group: string;
  readonly groupId: GroupId;
  readonly position: number;
  /** When the server signed, milliseconds since 1970. */
  readonly signedAt: number;
  /** The head that it signed for this position, and the head of what it then served here; `null`: another entry stands there. */
  readonly signedHead: string;
  readonly servedHead: string | null;
  readonly receipt: string;
  readonly signature: string;
  readonly serverKey: string;
}

export type AuditFinding =
  | ReceiptProof
  /** An answer had a receipt that proves nothing, which an honest server has no reason for. */
  | {
      readonly kind: 'unproven';
      readonly group: string;
      readonly groupId: GroupId;
      readonly position: number;
      readonly reason: string;
    }
  /** The server showed another head at an entry than it did before, as after its log went back. */
  | { readonly kind: 'history'; readonly group: string; readonly groupId: GroupId; readonly position: number }
  /** A member signed a head of this group that is not the one that this device was shown. */
  | {
      readonly kind: 'split';
      readonly group: string;
      readonly groupId: GroupId;
      readonly position: number;
      readonly with: string;
    };

export interface AuditedGroup {
  readonly group: string;
  readonly groupId: GroupId;
  /** Receipts that agree with what was served. */
  readonly agreeing: number;
  /** Receipts of entries that were not served yet. */
  readonly waiting: number;
  /** Receipts of entries that this device did not follow the chain of, as before a rejoin. */
  readonly unknown: number;
}

export interface AuditReport {
  readonly groups: readonly AuditedGroup[];
  /** What speaks against the server, group by group. Empty: nothing does. */
  readonly findings: readonly AuditFinding[];
}

/** What receipts are verified with. */
interface AuditWorld {
  readonly suite: Suite;
  readonly sha256: Sha256;
}

/** Compares every receipt that is kept with what the server served, and names every difference that was ever noticed. */
export async function auditStore(store: ClientStore, world: AuditWorld): Promise<AuditReport> {
  const serverKey = await loadServerKey(store);
  // nothing is decrypted here: no credential is looked at
  const groups = await loadGroups(store, createMlsConfig({ validateCredential: () => false }));
  const audited: AuditedGroup[] = [];
  const findings: AuditFinding[] = [];
  for (const group of groups) {
    const counts = { agreeing: 0, waiting: 0, unknown: 0 };
    const broken: (Promised & { readonly served?: Uint8Array })[] = [];
    for (const settled of await readReceipts(store, group.bytes)) {
      if (settled.served === undefined) counts.unknown += 1;
      else if (equalBytes(settled.served, settled.head)) counts.agreeing += 1;
      else broken.push(settled);
    }
    for (const promised of group.evidence?.promised ?? []) {
      const served = keptHead(group, promised.position);
      if (served === undefined || promised.position > group.position) counts.waiting += 1;
      else if (equalBytes(served, promised.head)) counts.agreeing += 1;
      else broken.push({ ...promised, served });
    }
    audited.push({ group: group.name, groupId: group.id, ...counts });
    findings.push(...(await findingsOf(group, broken, serverKey, world)));
  }
  return { groups: audited, findings };
}

async function findingsOf(
  group: Group,
  compared: readonly (Promised & { readonly served?: Uint8Array })[],
  serverKey: Uint8Array | undefined,
  world: AuditWorld,
): Promise<readonly AuditFinding[]> {
  const about = { group: group.name, groupId: group.id };
  const proofs = new Map<string, ReceiptProof>();
  const others: AuditFinding[] = [];
  const remembered = group.evidence?.broken ?? [];
  const all: readonly BrokenPromise[] = [...compared, ...remembered];
  for (const { position, receipt, signature, served, reason } of all) {
    if (reason === OTHER_HISTORY) {
      others.push({ kind: 'history', ...about, position });
      continue;
    }
    if (receipt === undefined || signature === undefined) {
      others.push({ kind: 'unproven', ...about, position, reason: reason ?? 'it proves nothing' });
      continue;
    }
    if (serverKey === undefined) throw new ClientError('storage', 'there are receipts here, and no key to verify them');
    const flaw = await flawOf(world, serverKey, { receipt, signature });
    if (flaw !== undefined) throw new ClientError('storage', `a stored receipt was changed: ${flaw}`);
    const { head, time } = decodeReceipt(receipt);
    proofs.set(`${position}/${toHex(head)}`, {
      kind: 'receipt',
      ...about,
      position,
      signedAt: time,
      signedHead: toHex(head),
      servedHead: served === undefined ? null : toHex(served),
      receipt: toBase64Url(receipt),
      signature: toBase64Url(signature),
      serverKey: toBase64Url(serverKey),
    });
  }
  const splits = (group.evidence?.splits ?? []).map(
    ({ with: { name }, position }): AuditFinding => ({ kind: 'split', ...about, position, with: name }),
  );
  return [...[...proofs.values()].sort((a, b) => a.position - b.position), ...others, ...splits];
}
