import { LogError } from '../../src/log/errors.ts';

/** The code that something of the log fails with, or `no error`; what is no error of the log is thrown. */
export async function logErrorCode(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'no error';
  } catch (error) {
    if (error instanceof LogError) return error.code;
    throw error;
  }
}
