import type Koa from 'koa';
import type { Logger } from 'pino';
import type { Answer } from '../route.ts';
import { encodeValue, MEDIA_TYPES, representationFor } from './negotiate.ts';

/** Sends what a handler answered, values in the representation that was asked for. A stream that fails ends its connection. */
export function respond(ctx: Koa.Context, answer: Answer, logger: Logger): void {
  switch (answer.kind) {
    case 'value': {
      const representation = representationFor(ctx.get('accept') || undefined);
      write(ctx, answer.status, MEDIA_TYPES[representation], encodeValue(answer.value, representation));
      return;
    }
    case 'bytes':
      write(ctx, answer.status, answer.type, answer.body);
      return;
    case 'stream':
      ctx.respond = false;
      answer.run().catch((error: unknown) => {
        logger.error({ type: error instanceof Error ? error.name : typeof error }, 'a stream failed');
        ctx.res.destroy();
      });
      return;
    default:
      answer satisfies never;
  }
}

/** Up to this a body is handed over as text of one byte a character: Node sends it with the head in one piece, not as two. */
const ONE_WRITE_BYTES = 4096;

/** Straight to the response: Koa's own way to it costs as much as checking the signature of a session. */
function write(ctx: Koa.Context, status: number, type: string, body: Uint8Array | string): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.buffer, body.byteOffset, body.length);
  const { res } = ctx;
  ctx.respond = false;
  res.statusCode = status;
  res.setHeader('content-type', type);
  res.setHeader('vary', 'accept');
  res.setHeader('content-length', bytes.length);
  if (bytes.length > ONE_WRITE_BYTES) res.end(bytes);
  else res.end(bytes.toString('latin1'), 'latin1');
}
