import { explain } from '../client/terminal/explain.ts';
import { neutralise } from '../client/terminal/neutralise.ts';
import { EXIT, type ExitCode } from '../client/terminal/pipe.ts';
import type { ParsedArguments } from './mlschat-args.ts';
import type { ChatProcess } from './mlschat-run.ts';
import { secretFrom } from './mlschat-secret.ts';

type Wanted = Extract<ParsedArguments, { kind: 'encrypt' | 'passwd' }>;
type AtRest = typeof import('../client/open-at-rest.ts');

/** `mlschat encrypt` and `mlschat passwd`. Resolves with the exit code and never rejects. */
export async function runMlschatAtRest(
  wanted: Wanted,
  io: Pick<ChatProcess, 'stdin' | 'stdout' | 'stderr'>,
  load: () => Promise<Pick<AtRest, 'encryptFolder' | 'changePassphrase'>>,
): Promise<ExitCode> {
  const { config, keyFile } = wanted;
  try {
    const { encryptFolder, changePassphrase } = await load();
    if (wanted.kind === 'encrypt') {
      const { rows, plain } = await encryptFolder(config, secretFrom({ known: undefined, new: keyFile }, io));
      io.stdout.write(`${config} is encrypted now (${rows} rows). Without its passphrase or key file it is lost.\n`);
      sayKept('Damaged stores that mlschat repair kept are NOT encrypted, and hold keys and messages.', plain, io);
    } else {
      const ask = secretFrom({ known: keyFile, new: wanted.newKeyFile }, io);
      const { unchanged } = await changePassphrase(config, ask);
      io.stdout.write(`${config} opens with the new passphrase from now on.\n`);
      sayKept('Damaged stores that mlschat repair kept still open with the passphrase of their time.', unchanged, io);
    }
    return EXIT.done;
  } catch (error) {
    io.stderr.write(`mlschat: ${explain(error)}\n`);
    return EXIT.error;
  }
}

/** They may be the only copy of something: whoever knows that it is not needed removes them. */
function sayKept(what: string, paths: readonly string[], { stdout }: Pick<ChatProcess, 'stdout'>): void {
  if (paths.length === 0) return;
  stdout.write(`${what} When you miss nothing, delete them:\n`);
  for (const path of paths) stdout.write(`  rm -r ${shellWord(path)}\n`);
}

function shellWord(path: string): string {
  return `'${neutralise(path).replaceAll("'", "'\\''")}'`;
}
