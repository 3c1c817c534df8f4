/** Stands for `src/mls/suite-node.ts` where tests run in a browser: the same names over the suite that browsers have. */
import { BASE_SUITE, type Suite, type SuiteName } from '../../src/mls/suite.ts';
import { createWebSuite, webSha256 } from '../../src/mls/suite-web.ts';

const suite = await createWebSuite();

export const nodeSha256 = webSha256;

export function createNodeSuite(name: SuiteName = BASE_SUITE): Suite {
  if (name !== BASE_SUITE) throw new Error(`browsers have no ${name}`);
  return suite;
}
