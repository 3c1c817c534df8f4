import * as library from 'ts-mls';
import { MlsError } from './errors.ts';

/** The revision of `patches/ts-mls+1.6.4.patch` that this code is written for. */
const PATCH_REVISION = 3;

/**
 * Whether the installed ts-mls carries our patch. The patch is applied as a whole or not at all, so the marker that
 * it adds stands for every hunk. The faults it mends cannot be probed for: some of them abort the process.
 */
export function isPatched(): boolean {
  return (library as { mlsdPatchRevision?: unknown }).mlsdPatchRevision === PATCH_REVISION;
}

/**
 * Refuses to go on with a library that lets a group break.
 *
 * @throws MlsError `library-unpatched`
 */
export function assertPatchedLibrary(): void {
  if (isPatched()) return;
  throw new MlsError(
    'library-unpatched',
    `ts-mls is installed without patch revision ${PATCH_REVISION}; run: npx patch-package --error-on-fail`,
  );
}
