import { z } from 'zod';
import {
  accountIdSchema,
  bytesSchema,
  clientIdSchema,
  deviceIdSchema,
  epochSchema,
  groupIdBytes,
  hashBytes,
  mlsMessage,
  nameSchema,
  positionSchema,
  receiptSchema,
  timeSchema,
} from './common.ts';

export const handshakesSchema = z.enum(['public', 'private']);

export const createGroupRequest = z.strictObject({
  group: groupIdBytes,
  name: nameSchema.optional(),
  handshakes: handshakesSchema.optional().meta({
    description:
      '`private`: an opaque group, whose commits and proposals are PrivateMessages. The server then only orders them; its roster is what members declare.',
  }),
  groupInfo: mlsMessage('GroupInfo of epoch 0, signed by the caller’s leaf, with ratchet_tree and external_pub')
    .optional()
    .meta({
      description: 'GroupInfo of epoch 0. May be left out of an opaque group; then nobody can join from outside.',
    }),
});
export type CreateGroupRequest = z.infer<typeof createGroupRequest>;

export const acceptedSchema = z.object({
  position: positionSchema,
  head: hashBytes,
  epoch: epochSchema.meta({ description: 'The epoch the group is in after this.' }),
  time: timeSchema,
  receipt: receiptSchema,
});
export type Accepted = z.infer<typeof acceptedSchema>;

/** More than a group has members is a mistake in any case. */
const DECLARED_MAX = 10_000;

export const joinPolicy = z.enum(['invite', 'open']);
export const invitePolicy = z.enum(['admins', 'members']);

export const memberSchema = z.object({
  leaf: z.int().nonnegative().optional().meta({ description: 'Not known of an opaque group.' }),
  account: accountIdSchema,
  device: deviceIdSchema,
  name: nameSchema,
  role: z.enum(['admin', 'member']),
});

export const groupSummarySchema = z.object({
  group: groupIdBytes,
  name: nameSchema.optional(),
  epoch: epochSchema,
  position: positionSchema,
  head: hashBytes,
  handshakes: handshakesSchema,
});
export type GroupSummary = z.infer<typeof groupSummarySchema>;

export const groupListResponse = z.object({ groups: z.array(groupSummarySchema) });
export type GroupListResponse = z.infer<typeof groupListResponse>;

export const groupDetailSchema = groupSummarySchema.extend({
  logStart: positionSchema.optional().meta({ description: 'First position that is kept.' }),
  firstEpoch: epochSchema
    .optional()
    .meta({ description: 'The epoch of the entry at `logStart`; absent while all entries are kept.' }),
  join: joinPolicy,
  invite: invitePolicy,
  members: z.array(memberSchema),
});
export type GroupDetail = z.infer<typeof groupDetailSchema>;

export const groupLookupResponse = z.object({
  groups: z.array(
    z.object({
      group: groupIdBytes,
      name: nameSchema,
      join: joinPolicy,
      member: z.boolean().meta({ description: 'Whether the calling device is a member.' }),
      administrators: z.array(z.object({ account: accountIdSchema, name: nameSchema })),
    }),
  ),
});
export type GroupLookupResponse = z.infer<typeof groupLookupResponse>;

/** What the committer of an opaque group tells the server, which cannot read the commit. */
export const declaredRoster = z.strictObject({
  added: z
    .array(z.strictObject({ device: deviceIdSchema, ref: hashBytes.meta({ description: 'Its claimed key package.' }) }))
    .max(DECLARED_MAX),
  removed: z.array(deviceIdSchema).max(DECLARED_MAX),
});
export type DeclaredRoster = z.infer<typeof declaredRoster>;

export const commitRequest = z.strictObject({
  commit: mlsMessage('PublicMessage with a commit; in an opaque group a PrivateMessage, or an external commit'),
  welcome: mlsMessage('Welcome; present exactly when the commit adds members').optional(),
  groupInfo: mlsMessage('GroupInfo of the new epoch, signed by the committer, with ratchet_tree and external_pub')
    .optional()
    .meta({ description: 'GroupInfo of the new epoch. May be left out in an opaque group only.' }),
  roster: declaredRoster
    .optional()
    .meta({ description: 'In an opaque group, and only there: what the commit changes.' }),
});
export type CommitRequest = z.infer<typeof commitRequest>;

export const proposalRequest = z.strictObject({
  proposal: mlsMessage('PublicMessage with a proposal; in an opaque group a PrivateMessage'),
});
export type ProposalRequest = z.infer<typeof proposalRequest>;

export const reportRequest = z.strictObject({
  epoch: epochSchema.meta({ description: 'The epoch that the commit ended.' }),
  position: positionSchema.meta({ description: 'Where the commit stands.' }),
  commit: hashBytes.meta({ description: 'SHA-256 of the commit, an MLSMessage.' }),
  reason: z.literal('cannot-process'),
  code: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/)
    .meta({ description: 'What went wrong, in a word of the reporting client.' }),
});
export type ReportRequest = z.infer<typeof reportRequest>;

export const messagesRequest = z.strictObject({
  messages: z
    .array(z.strictObject({ id: clientIdSchema, message: mlsMessage('PrivateMessage with application data') }))
    .min(1)
    .max(100),
});
export type MessagesRequest = z.infer<typeof messagesRequest>;

export const messageResultSchema = z.object({
  id: clientIdSchema,
  position: positionSchema.optional(),
  problem: z.enum(['epoch-conflict', 'forbidden', 'idempotency-conflict']).optional(),
});
export const messagesResponse = z.object({
  results: z.array(messageResultSchema).meta({ description: 'One a message, in the order of the request.' }),
  epoch: epochSchema,
  time: timeSchema.optional(),
  receipt: receiptSchema
    .optional()
    .meta({ description: 'For the last accepted message; with `logStart`, for the entry before that.' }),
  logStart: positionSchema.optional().meta({
    description:
      'First position that is kept. Present where all accepted messages stood before it: they were accepted earlier, and are gone.',
  }),
});
export type MessagesResponse = z.infer<typeof messagesResponse>;

export const groupInfoResponse = z.object({
  epoch: epochSchema,
  handshakes: handshakesSchema,
  groupInfo: mlsMessage('GroupInfo of the current epoch'),
  ratchetTree: bytesSchema({ about: 'ratchet_tree of the same epoch (RFC 9420 §12.4.3.3).' }),
  position: positionSchema,
  head: hashBytes,
});
export type GroupInfoResponse = z.infer<typeof groupInfoResponse>;

export const treeResponse = z.object({
  epoch: epochSchema,
  ratchetTree: bytesSchema({ about: 'ratchet_tree (RFC 9420 §12.4.3.3).' }),
});
export type TreeResponse = z.infer<typeof treeResponse>;
