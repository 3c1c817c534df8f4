import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { createNodeSuite, nodeSha256 } from '../../mls/suite-node.ts';
import { nodeHttp } from '../transport/http-request.ts';
import type { Platform } from './start-on.ts';

/** node:crypto and node:http. @throws MlsError `library-unpatched` */
export function nodePlatform(): Platform {
  return {
    suite: createNodeSuite(),
    sha256: nodeSha256,
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
    http: nodeHttp,
    deviceLabel: hostname(),
  };
}
