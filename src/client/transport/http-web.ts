import { createKeyAgreement } from '../../mls/key-agreement-web.ts';
import { onAbort } from '../on-abort.ts';
import type { HttpAnswer, HttpClient, HttpPlatform } from './http-client.ts';
import { TransportError } from './server-api.ts';

/** `fetch` and WebCrypto: for browsers. */
export const webHttp: HttpPlatform = { createHttpClient: createFetchClient, createKeyAgreement };

/** Over `fetch`; closing it ends what is under way. */
function createFetchClient(): HttpClient {
  const closed = new AbortController();
  return {
    async send({ method, url, headers, body, timeoutMs, signal }) {
      const silence = createSilence(timeoutMs, [closed.signal, ...(signal === undefined ? [] : [signal])]);
      try {
        const answer = await fetch(url, {
          method,
          headers,
          signal: silence.signal,
          // what is signed is for one server: no cookies, and no other place
          credentials: 'omit',
          redirect: 'error',
          ...(body === undefined ? {} : { body: body.slice() }),
        });
        silence.heard();
        return { status: answer.status, headers: Object.fromEntries(answer.headers), body: bodyOf(answer, silence) };
      } catch (cause) {
        silence.end();
        const reason = silence.wasTooLong ? `no answer for ${timeoutMs / 1000} s` : `${url.host} cannot be reached`;
        throw new TransportError('unreachable', reason, cause);
      }
    },
    close: () => closed.abort(),
  };
}

interface Silence {
  /** Fires when nothing was heard for so long, or with the first of those it was made with. */
  readonly signal: AbortSignal;
  readonly wasTooLong: boolean;
  heard(): void;
  /** Nothing of it stays in those signals, which live on: `AbortSignal.any` would leave an entry in each (Node 20). */
  end(): void;
}

function createSilence(ms: number, given: readonly AbortSignal[]): Silence {
  const controller = new AbortController();
  const stops: (() => void)[] = [];
  let isOver = false;
  let wasTooLong = false;
  const end = (): void => {
    isOver = true;
    clearTimeout(timer);
    for (const stop of stops) stop();
  };
  const giveUp = (): void => {
    end();
    controller.abort(given.find(({ aborted }) => aborted)?.reason);
  };
  const tooLong = (): void => {
    wasTooLong = true;
    end();
    controller.abort(new Error(`no answer for ${ms / 1000} s`));
  };
  let timer = setTimeout(tooLong, ms);
  if (given.some(({ aborted }) => aborted)) giveUp();
  else stops.push(...given.map((each) => onAbort(each, giveUp)));
  return {
    signal: controller.signal,
    get wasTooLong() {
      return wasTooLong;
    },
    heard: () => {
      if (isOver) return;
      clearTimeout(timer);
      timer = setTimeout(tooLong, ms);
    },
    end,
  };
}

function bodyOf(answer: Response, silence: Silence): HttpAnswer['body'] {
  const reader = answer.body?.getReader();
  const destroy = (): void => {
    silence.end();
    // of a body that broke off there is nothing to cancel, and its reader has been told why
    reader?.cancel().catch(() => undefined);
  };
  if (reader === undefined) silence.end();
  return {
    destroy,
    async *[Symbol.asyncIterator]() {
      try {
        for (;;) {
          const next = await reader?.read();
          if (next === undefined || next.done) return;
          silence.heard();
          yield next.value;
        }
      } finally {
        destroy();
      }
    },
  };
}
