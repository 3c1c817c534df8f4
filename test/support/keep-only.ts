import { compact } from '../../src/tools/compact/compact.ts';
import { NO_PROGRESS } from '../../src/tools/progress.ts';
import { openSite } from '../../src/tools/site.ts';
import type { TestServer } from './server.ts';

const WAIT_MS = 240_000;

/** Ends what a running server serves of every group, but for its newest `keep` entries; its node has folded that. */
export async function keepOnly(server: TestServer, keep: number): Promise<void> {
  const { folder: dataFolder } = server;
  const options = { dataFolder, secretFile: '', domain: 'localhost', log: { kind: 'embedded' } } as const;
  await using site = await openSite(options);
  await compact(site, { policy: { keep }, dryRun: false, progress: NO_PROGRESS });
  const { projections, log } = server.running();
  await projections.read.waitForSequence((await log.describe()).lastSequence, AbortSignal.timeout(WAIT_MS));
}
