import { createWebSuite, webSha256 } from '../../mls/suite-web.ts';
import { webHttp } from '../transport/http-web.ts';
import type { Platform } from './start-on.ts';

const DEVICE_LABEL = 'browser';

/** WebCrypto and `fetch`. @throws MlsError `library-unpatched`, `unknown-suite` where WebCrypto or one of its curves is missing */
export async function webPlatform(): Promise<Platform> {
  return {
    suite: await createWebSuite(),
    sha256: webSha256,
    randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    http: webHttp,
    deviceLabel: DEVICE_LABEL,
  };
}
