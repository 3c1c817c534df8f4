import {
  type ClientState,
  createGroupInfoWithExternalPub,
  createGroupInfoWithExternalPubAndRatchetTree,
  encodeMlsMessage,
} from 'ts-mls';
import { guardLibrary } from '../errors.ts';
import type { Suite } from '../suite.ts';
import { activeState, type GroupState } from './state.ts';

/**
 * A GroupInfo of the state's epoch, signed by us, as an MLSMessage: always with `external_pub`, so that a device can
 * join by external commit; with the ratchet tree when asked.
 *
 * @throws MlsError `not-active`
 */
export async function createGroupInfo(
  suite: Suite,
  state: GroupState,
  options: { readonly tree: boolean },
): Promise<Uint8Array> {
  return groupInfoOf(suite, activeState(state), options.tree);
}

export async function groupInfoOf(suite: Suite, state: ClientState, withTree: boolean): Promise<Uint8Array> {
  const make = withTree ? createGroupInfoWithExternalPubAndRatchetTree : createGroupInfoWithExternalPub;
  const groupInfo = await guardLibrary('GroupInfo', () => make(state, [], suite));
  return encodeMlsMessage({ version: 'mls10', wireformat: 'mls_group_info', groupInfo });
}
