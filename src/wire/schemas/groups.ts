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

export const createGroupRequest = z.strictObject({
  group: groupIdBytes,
  name: nameSchema.optional(),
  groupInfo: mlsMessage('GroupInfo of epoch 0, signed by the caller’s leaf, with ratchet_tree and external_pub'),
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

export const joinPolicy = z.enum(['invite', 'open']);
export const invitePolicy = z.enum(['admins', 'members']);

export const memberSchema = z.object({
  leaf: z.int().nonnegative(),
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
});
export type GroupSummary = z.infer<typeof groupSummarySchema>;

export const groupListResponse = z.object({ groups: z.array(groupSummarySchema) });

export const groupDetailSchema = groupSummarySchema.extend({
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

export const commitRequest = z.strictObject({
  commit: mlsMessage('PublicMessage with a commit'),
  welcome: mlsMessage('Welcome; present exactly when the commit adds members').optional(),
  groupInfo: mlsMessage('GroupInfo of the new epoch, signed by the committer, with ratchet_tree and external_pub'),
});
export type CommitRequest = z.infer<typeof commitRequest>;

export const proposalRequest = z.strictObject({ proposal: mlsMessage('PublicMessage with a proposal') });
export type ProposalRequest = z.infer<typeof proposalRequest>;

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
  receipt: receiptSchema.optional().meta({ description: 'For the last accepted message.' }),
});
export type MessagesResponse = z.infer<typeof messagesResponse>;

export const groupInfoResponse = z.object({
  epoch: epochSchema,
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
