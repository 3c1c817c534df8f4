import { open } from 'node:fs/promises';
import { StringDecoder } from 'node:string_decoder';
import { ClientError } from '../client/client-error.ts';
import type { AskSecret } from '../client/store/store-folder.ts';
import { toUtf8 } from '../wire/bytes.ts';
import type { SecretSettings } from './mlschat-args.ts';
import type { ChatProcess } from './mlschat-run.ts';

const KEY_FILE_MAX_BYTES = 1024 * 1024;
const ATTEMPTS_MAX = 3;

/** Which files stand for a passphrase; without one it is asked for on the terminal. */
export interface SecretFiles {
  readonly known: string | undefined;
  readonly new: string | undefined;
}

/**
 * The same passphrase or file whether the store is there or is to be: for whatever opens a client's folder. Whoever names a
 * key file wants an encrypted store: a plain one is not opened in its place.
 */
export function storeOptions(
  { encrypt, keyFile }: SecretSettings,
  io: Terminal,
): { readonly encrypt?: true; readonly askSecret: AskSecret } {
  const askSecret = secretFrom({ known: keyFile, new: keyFile }, io);
  return { askSecret, ...(encrypt === true || keyFile !== undefined ? { encrypt: true } : {}) };
}

type Terminal = Pick<ChatProcess, 'stdin' | 'stderr'>;

/**
 * Asks for a passphrase without showing it, twice for a new one, or reads the file that stands for it: all its bytes.
 * Rejects with ClientError `passphrase` where there is nobody to ask.
 */
export function secretFrom(files: SecretFiles, io: Terminal): AskSecret {
  return async (which) => {
    const file = files[which];
    if (file !== undefined) return readKeyFile(file);
    if (io.stdin.isTTY !== true) {
      throw new ClientError(
        'passphrase',
        'a passphrase is needed, and there is no terminal to ask on: give --key-file FILE',
      );
    }
    return which === 'known' ? askFor('Passphrase: ', io) : askTwice(io);
  };
}

async function askTwice(io: Terminal): Promise<Uint8Array> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const first = await askFor('New passphrase: ', io);
    if (first.length === 0) {
      io.stderr.write('It cannot be empty.\n');
      continue;
    }
    const second = await askFor('The same again: ', io);
    if (Buffer.compare(first, second) === 0) return first;
    io.stderr.write('These were not the same.\n');
  }
  throw new ClientError('passphrase', 'no new passphrase was chosen');
}

/** A line from the terminal, in raw mode: nothing of it is shown. What was typed beyond it stays to be read. */
async function askFor(prompt: string, { stdin, stderr }: Terminal): Promise<Uint8Array> {
  stderr.write(prompt);
  stdin.setRawMode?.(true);
  try {
    return toUtf8((await readLine(stdin)).normalize('NFC'));
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
    stderr.write('\n');
  }
}

function readLine(stdin: ChatProcess['stdin']): Promise<string> {
  return new Promise((resolve, reject) => {
    const decoder = new StringDecoder('utf8');
    let typed: string[] = [];
    const done = (settle: () => void): void => {
      stdin.off('data', onData);
      stdin.off('end', onEnd);
      stdin.pause();
      settle();
    };
    const interrupted = (): void => done(() => reject(new ClientError('passphrase', 'no passphrase was given')));
    const onEnd = interrupted;
    const onData = (chunk: Buffer | string): void => {
      const characters = [...(typeof chunk === 'string' ? chunk : decoder.write(chunk))];
      for (const [index, character] of characters.entries()) {
        if (character === '\r' || character === '\n') {
          const rest = characters.slice(index + 1).join('');
          done(() => resolve(typed.join('')));
          if (rest !== '') stdin.unshift(Buffer.from(rest));
          return;
        }
        if (character === '\u0003' || character === '\u0004') {
          interrupted();
          return;
        }
        if (character === '\u007f' || character === '\b') typed.pop();
        else if (character === '\u0015') typed = [];
        else typed.push(character);
      }
    };
    stdin.on('data', onData);
    stdin.on('end', onEnd);
    stdin.resume();
  });
}

async function readKeyFile(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    const file = await open(path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(KEY_FILE_MAX_BYTES + 1), 0, KEY_FILE_MAX_BYTES + 1, 0);
      bytes = new Uint8Array(buffer.subarray(0, bytesRead));
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new ClientError('passphrase', `the key file ${path} cannot be read`, cause);
  }
  if (bytes.length === 0) throw new ClientError('passphrase', `the key file ${path} is empty`);
  if (bytes.length > KEY_FILE_MAX_BYTES) {
    throw new ClientError('passphrase', `the key file ${path} has more than ${KEY_FILE_MAX_BYTES} bytes`);
  }
  return bytes;
}
