import { TransportError } from './server-api.ts';

export interface HttpAnswer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** Its chunks are `Uint8Array`s. `destroy` ends the answer wherever it is. */
  readonly body: AsyncIterable<unknown> & { destroy(): unknown };
}

export interface HttpClient {
  /** Sends one request and resolves with the head of its answer. @throws TransportError `unreachable` */
  send(request: {
    readonly method: string;
    readonly url: URL;
    readonly headers: Record<string, string>;
    readonly body?: Uint8Array;
    /** Time until the head of the answer; and, later, the longest silence inside its body. */
    readonly timeoutMs: number;
    readonly signal?: AbortSignal;
  }): Promise<HttpAnswer>;
  close(): void;
}

/** One half of an X25519 agreement (RFC 7748 §6.1). */
export interface KeyExchange {
  /** 32 bytes, for the other side. */
  readonly publicKey: Uint8Array;
  /** The secret shared with the holder of `peer`; `undefined` when `peer` is no key, or one of low order. */
  agree(peer: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined>;
}

/** What a connection needs of the machine it runs on. */
export interface HttpPlatform {
  createHttpClient(): HttpClient;
  /** A fresh key for one agreement. */
  createKeyAgreement(): KeyExchange | Promise<KeyExchange>;
}

/** The whole body. @throws TransportError `malformed` when it is longer than `maxBytes`, `unreachable` when it breaks off. */
export async function readBody(answer: HttpAnswer, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of answer.body as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (length > maxBytes) {
        answer.body.destroy();
        throw new TransportError('malformed', `the server's answer has more than ${maxBytes} bytes`);
      }
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof TransportError) throw cause;
    throw new TransportError('unreachable', "the server's answer broke off", cause);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
