import { type Committed, createCommit } from '../../src/mls/session/commit.ts';
import { type GroupState, unwrap } from '../../src/mls/session/state.ts';
import type { Suite } from '../../src/mls/suite.ts';
import { equalBytes } from '../../src/wire/bytes.ts';

const PATH_LABEL = new TextEncoder().encode('MLS 1.0 UpdatePathNode');

/**
 * A commit whose update path holds garbage for these leaves instead of their path secret. Everything that the public can
 * check is as it should be, and so is everything for the other members: tags and hashes are made over the garbage.
 */
export function corruptCommit(suite: Suite, state: GroupState, victims: readonly number[]): Promise<Committed> {
  const { ratchetTree } = unwrap(state);
  const keys = victims.map((leaf) => {
    const node = ratchetTree[leaf * 2];
    if (node?.nodeType !== 'leaf') throw new Error(`nobody is at leaf ${leaf}`);
    return node.leaf.hpkePublicKey;
  });
  const hpke: Suite['hpke'] = {
    ...suite.hpke,
    seal: async (publicKey, plaintext, info, aad) => {
      const sealed = await suite.hpke.seal(publicKey, plaintext, info, aad);
      const isPath = info.length > PATH_LABEL.length && equalBytes(info.subarray(1, 1 + PATH_LABEL.length), PATH_LABEL);
      const to = await suite.hpke.exportPublicKey(publicKey);
      if (!isPath || !keys.some((key) => equalBytes(key, to))) return sealed;
      return { ...sealed, ct: sealed.ct.map((byte) => byte ^ 0xff) };
    },
  };
  return createCommit({ ...suite, hpke }, state, { inlineTree: true, groupInfoTree: true, now: Date.now() });
}
