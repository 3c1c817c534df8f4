import { z } from 'zod';
import { accountIdSchema, deviceIdSchema, groupIdBytes, mlsMessage } from './common.ts';

export const stockSchema = z.object({
  available: z.int().nonnegative().meta({ description: 'One-time packages left.' }),
  lastResort: z.boolean().meta({ description: 'Whether a last-resort package stands behind them.' }),
});
export type KeyPackageStock = z.infer<typeof stockSchema>;

export const publishRequest = z.strictObject({ keyPackages: z.array(mlsMessage('KeyPackage')).min(1).max(100) });
export type PublishRequest = z.infer<typeof publishRequest>;

export const publishResultSchema = z.object({
  stored: z.int().nonnegative(),
  refused: z.array(z.object({ index: z.int().nonnegative(), reason: z.string() })),
  stock: stockSchema,
});
export type PublishResult = z.infer<typeof publishResultSchema>;

export const claimRequest = z.strictObject({
  group: groupIdBytes,
  accounts: z.array(accountIdSchema).min(1).max(100),
});
export type ClaimRequest = z.infer<typeof claimRequest>;

export const claimResultSchema = z.object({
  account: accountIdSchema,
  /** Absent when the account is not known. */
  device: deviceIdSchema.optional(),
  keyPackage: mlsMessage('KeyPackage').optional(),
  lastResort: z.boolean().optional(),
  problem: z.enum(['exhausted', 'not-found', 'rate-limited']).optional(),
});
export const claimResponse = z.object({ results: z.array(claimResultSchema) });
export type ClaimResult = z.infer<typeof claimResultSchema>;
export type ClaimResponse = z.infer<typeof claimResponse>;
