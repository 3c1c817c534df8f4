import { createGroup as createLibraryGroup } from 'ts-mls';
import { BACKDATE_MS, KEY_PACKAGE_LIFETIME_MAX_MS, libraryConfig, type MlsConfig } from '../config.ts';
import { guardLibrary, MlsError } from '../errors.ts';
import { encodeRoles, type GroupRoles, ROLES_EXTENSION } from '../roles.ts';
import type { Suite } from '../suite.ts';
import { groupInfoOf } from './group-info.ts';
import { generatePackage, type SignatureKeys } from './key-package.ts';
import { type GroupState, wrap } from './state.ts';

export interface NewGroup {
  readonly groupId: Uint8Array;
  readonly identity: string;
  readonly keys: SignatureKeys;
  readonly roles: GroupRoles;
  /** ms. */
  readonly now: number;
}

/**
 * A group of one, at epoch 0. `groupInfo` is an MLSMessage with external_pub and the ratchet tree.
 *
 * @throws MlsError `invalid-argument` when our own credential or the roles are refused
 */
export async function createGroup(
  suite: Suite,
  config: MlsConfig,
  group: NewGroup,
): Promise<{ state: GroupState; groupInfo: Uint8Array }> {
  const { groupId, identity, keys, now } = group;
  const lifetimeMs = KEY_PACKAGE_LIFETIME_MAX_MS - BACKDATE_MS;
  const own = await generatePackage(suite, { identity, keys, now, lifetimeMs, lastResort: false });
  const { leafNode } = own.publicPackage;
  const { authService } = libraryConfig(config);
  if (!(await authService.validateCredential(leafNode.credential, leafNode.signaturePublicKey))) {
    throw new MlsError('invalid-argument', 'our own credential is refused');
  }
  const extensions = [{ extensionType: ROLES_EXTENSION, extensionData: rolesBytes(group.roles) }];
  const state = await guardLibrary('create', () =>
    createLibraryGroup(
      groupId.slice(),
      own.publicPackage,
      own.privatePackage,
      extensions,
      suite,
      libraryConfig(config),
    ),
  );
  return { state: wrap(state), groupInfo: await groupInfoOf(suite, state, true) };
}

/** @throws MlsError `invalid-argument` */
export function rolesBytes(roles: GroupRoles): Uint8Array {
  try {
    return encodeRoles(roles);
  } catch (error) {
    throw new MlsError('invalid-argument', 'these are no valid roles', error);
  }
}
