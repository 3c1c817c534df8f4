import { explain } from '../client/terminal/explain.ts';
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
      const { rows } = await encryptFolder(config, secretFrom({ known: undefined, new: keyFile }, io));
      io.stdout.write(`${config} is encrypted now (${rows} rows). Without its passphrase or key file it is lost.\n`);
    } else {
      await changePassphrase(config, secretFrom({ known: keyFile, new: wanted.newKeyFile }, io));
      io.stdout.write(`${config} opens with the new passphrase from now on.\n`);
    }
    return EXIT.done;
  } catch (error) {
    io.stderr.write(`mlschat: ${explain(error)}\n`);
    return EXIT.error;
  }
}
