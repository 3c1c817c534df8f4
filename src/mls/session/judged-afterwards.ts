import type { ClientState } from 'ts-mls';

/** A state under which the library finds every credential good, and what the client's own judge said meanwhile. */
export interface JudgedAfterwards {
  readonly state: ClientState;
  readonly isRefused: () => boolean;
  /** The client's judge put back. */
  readonly restored: (next: ClientState) => ClientState;
}

/**
 * The library judges the new leaves of a commit side by side. Where it refuses two of them, nobody hears of the second refusal, and
 * that ends the process: a commit that brings two strangers at once is enough. So it is let through, and refused as a whole here.
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
