import type { ClientState } from 'ts-mls';

/** A state under which the library finds every credential good, and what the client's own judge said meanwhile. */
export interface JudgedAfterwards {
  readonly state: ClientState;
  readonly isRefused: () => boolean;
  /** The client's judge put back. */
  readonly restored: (next: ClientState) => ClientState;
}

/**
 * The library stops at the first leaf of a commit that its judge refuses. Here the judge hears of all of them, so that every account that is
 * not known yet can be fetched at once; the commit is refused as a whole afterwards.
 */
export function judgedAfterwards(state: ClientState): JudgedAfterwards {
  const { clientConfig } = state;
  let isRefused = false;
  const authService: typeof clientConfig.authService = {
    async validateCredential(credential, signatureKey) {
      if (!(await clientConfig.authService.validateCredential(credential, signatureKey))) isRefused = true;
      return true;
    },
  };
  return {
    state: { ...state, clientConfig: { ...clientConfig, authService } },
    isRefused: () => isRefused,
    restored: (next) => ({ ...next, clientConfig }),
  };
}
