import { homedir } from 'node:os';
import { errorCode } from './explain.ts';
import { neutralise } from './neutralise.ts';

const HOME = /^~(?=\/|$)/;

/** A path as it was typed, where `~` is the home folder: no shell has looked at it. */
export function typedPath(typed: string): string {
  return typed.replace(HOME, homedir());
}

/** Why a file cannot be read or written, for people. Harmless. */
export function fileProblem(error: unknown): string {
  switch (errorCode(error)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'there is no such file or folder';
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'EISDIR':
      return 'it is a folder';
    case 'ENOSPC':
      return 'the disk is full';
    default:
      return neutralise(error instanceof Error ? error.message : String(error));
  }
}
