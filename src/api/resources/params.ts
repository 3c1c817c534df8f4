import { z } from 'zod';
import { isGroupId } from '../../wire/ids.ts';
import { accountIdSchema } from '../../wire/schemas/common.ts';

const GROUP_ID = '^[A-Za-z0-9_-]{22,43}$';

/** `:group` of a path: base64url of an MLS group id. */
export const groupParams = z.strictObject({
  group: z
    .string()
    .refine(isGroupId, 'a group id has 22–43 characters of base64url')
    .meta({ type: 'string', pattern: GROUP_ID, description: 'Group id, base64url.' }),
});

export const accountParams = z.strictObject({ id: accountIdSchema });

/** A number of a query string. */
export function countQuery(options: { min: number; max: number; about: string }) {
  const { min, max, about } = options;
  return z
    .preprocess(
      (value) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value),
      z.int().min(min).max(max),
    )
    .meta({ type: 'integer', minimum: min, maximum: max, description: about });
}
