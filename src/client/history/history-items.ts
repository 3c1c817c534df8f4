import { z } from 'zod';
import { accountIdSchema, deviceIdSchema } from '../../wire/schemas/common.ts';
import type { HistorySignature, PortableMessage } from '../chat-client.ts';
import { safeFileName } from '../engine/file-name.ts';
import { HistoryFileError } from './sealed-chunks.ts';

/** What a packed history is made of: one CBOR item after the other (docs/HISTORY.md). */
export type HistoryItem =
  /** Messages that follow are of this group. */
  | { readonly kind: 'group'; readonly group: Uint8Array; readonly name: string }
  | { readonly kind: 'message'; readonly message: PortableMessage }
  /** The last one: how many messages there were, and whose word it is for all before it. */
  | { readonly kind: 'end'; readonly messages: number; readonly signed: HistorySignature };

const NAME_MAX = 256;
const ID_MAX = 128;
const bytes = (length: number) => z.instanceof(Uint8Array).refine((value) => value.length === length);
const id = z.string().max(ID_MAX);
const yes = z.literal(true).exactOptional();
const count = z.int().nonnegative();

const messageSchema = z
  .strictObject({
    position: z.int().positive(),
    time: count,
    id,
    sender: z.strictObject({ account: accountIdSchema, device: deviceIdSchema, name: z.string().max(NAME_MAX) }),
    text: z.string(),
    own: z.boolean(),
    messageId: id.exactOptional(),
    inReplyTo: id.exactOptional(),
    replaces: id.exactOptional(),
    deleted: yes,
    edited: yes,
    changedAt: z.int().positive().exactOptional(),
    changedBy: id.exactOptional(),
    action: yes,
    file: z
      .strictObject({
        // it is written under this name some day
        name: z.string().max(1024).transform(safeFileName),
        mediaType: z.string().max(NAME_MAX),
        size: count,
        expires: count,
      })
      .exactOptional(),
    fileKey: z.strictObject({ key: bytes(32), nonce: bytes(12), hash: bytes(32) }).exactOptional(),
  })
  .refine(({ deleted, text }) => deleted !== true || text === '');
const groupSchema = z.tuple([
  z.literal('group'),
  z.instanceof(Uint8Array).refine(({ length }) => length >= 16 && length <= 32),
  z.string().max(NAME_MAX),
]);
const endSchema = z.tuple([z.literal('end'), count, accountIdSchema, deviceIdSchema, bytes(64)]);

/** As it stands in the file. */
export function itemValue(item: HistoryItem): unknown {
  switch (item.kind) {
    case 'group':
      return ['group', item.group, item.name];
    case 'message':
      return item.message;
    case 'end':
      return ['end', item.messages, item.signed.account, item.signed.device, item.signed.signature];
    default:
      return item satisfies never;
  }
}

/** @throws HistoryFileError for anything that {@link itemValue} does not give */
export function itemOf(value: unknown): HistoryItem {
  if (!Array.isArray(value)) return { kind: 'message', message: checked(messageSchema, value) };
  if (value[0] === 'group') {
    const [, group, name] = checked(groupSchema, value);
    return { kind: 'group', group, name };
  }
  const [, messages, account, device, signature] = checked(endSchema, value);
  return { kind: 'end', messages, signed: { account, device, signature } };
}

function checked<Output>(schema: z.ZodType<Output>, value: unknown): Output {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new HistoryFileError('something in it is not what a packed history has');
}
