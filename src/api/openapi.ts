import { z } from 'zod';
import { PROBLEMS, type ProblemCode } from '../wire/problems.ts';
import { MEDIA_TYPES } from './http/negotiate.ts';
import type { Route, RouteAnswer } from './route.ts';
import { ROUTES } from './routes.ts';

type Json = Record<string, unknown>;

/** Problems that any request may meet, and those that any signed one may. */
const COMMON_PROBLEMS: readonly ProblemCode[] = ['invalid-request', 'payload-too-large', 'rate-limited', 'internal'];
const SIGNED_PROBLEMS: readonly ProblemCode[] = ['unauthenticated', 'not-ready'];
const BODY_PROBLEMS: readonly ProblemCode[] = ['unsupported-media-type'];

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
    detail: z.string().optional(),
    reason: z.string().optional().meta({ description: 'What exactly is wrong, for programs.' }),
    currentEpoch: z.int().optional().meta({ description: '`epoch-conflict`: the epoch the group is in now.' }),
    entries: z
      .array(z.string())
      .optional()
      .meta({ description: '`epoch-conflict`: entries from the caller’s epoch on, base64url.' }),
    more: z.boolean().optional().meta({ description: '`epoch-conflict`: whether the group has more entries.' }),
  })
  .meta({ description: 'A problem (RFC 9457).' });

/** The contract of the whole API, from the route table and the schemas of `wire`: OpenAPI 3.1. */
export function openApiDocument(version: string): Json {
  const paths: Record<string, Json> = {};
  for (const route of ROUTES) {
    const path = route.path.replace(/:([a-z]+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'mlsd',
      version,
      description:
        'An event-sourced delivery service for MLS (RFC 9420). Requests are signed with HTTP Message Signatures (RFC 9421), label sig1, tag mlsd. In JSON, bytes are base64url without padding; in CBOR they are byte strings.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    paths,
    components: {
      schemas: { Problem: jsonSchema(problemSchema, 'output') },
      securitySchemes: {
        signature: {
          type: 'apiKey',
          in: 'header',
          name: 'Signature',
          description:
            'HTTP Message Signature (RFC 9421) by the device key or a session, with Signature-Input; it covers Content-Digest and Idempotency-Key where they are sent.',
        },
      },
    },
  };
}

function operation(route: Route): Json {
  const parameters = [
    ...parametersOf(route.params, 'path'),
    ...parametersOf(route.query, 'query'),
    ...(route.idempotent === true ? [IDEMPOTENCY_KEY] : []),
  ];
  return {
    operationId: route.operationId,
    summary: route.summary,
    security: route.auth === 'public' ? [] : [{ signature: [] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(route.body === undefined ? {} : { requestBody: { required: true, content: both(route.body, 'input') } }),
    responses: { ...answersOf(route), ...problemsOf(route) },
  };
}

const IDEMPOTENCY_KEY: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  required: true,
  description: 'Chosen by the client and kept until answered: sent again, it gives the original answer.',
  schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{16,64}$' },
};

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query'): Json[] {
  if (schema === undefined) return [];
  const { properties = {}, required = [] } = jsonSchema(schema, 'input') as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...property }]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema: property,
  }));
}

function answersOf(route: Route): Json {
  return Object.fromEntries(Object.entries(route.answers).map(([status, answer]) => [status, answerOf(answer)]));
}

function answerOf({ about, schema, otherTypes = [] }: RouteAnswer): Json {
  const others = otherTypes.map((type) => [type, {}] as const);
  const content = { ...(schema === undefined ? {} : both(schema, 'output')), ...Object.fromEntries(others) };
  return { description: about, content };
}

/** One response a status, naming the codes that share it. */
function problemsOf(route: Route): Json {
  const signed = route.auth === 'public' ? [] : SIGNED_PROBLEMS;
  const body = route.body === undefined ? [] : BODY_PROBLEMS;
  const codes = new Set([...COMMON_PROBLEMS, ...signed, ...body, ...route.problems]);
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const { status } = PROBLEMS[code];
    if (!Object.hasOwn(route.answers, status)) byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const content = { [MEDIA_TYPES.problem]: { schema: { $ref: '#/components/schemas/Problem' } } };
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      status,
      { description: some.map((code) => `\`${code}\``).join(', '), content },
    ]),
  );
}

function both(schema: z.ZodType, io: 'input' | 'output'): Json {
  const content = { schema: jsonSchema(schema, io) };
  return { [MEDIA_TYPES.json]: content, [MEDIA_TYPES.cbor]: content };
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any', reused: 'inline' });
  return json;
}
