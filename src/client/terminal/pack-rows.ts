import { resolve } from 'node:path';
import type { ChatClient } from '../chat-client.ts';
import { errorCode } from './explain.ts';
import { fileProblem, typedPath } from './local-path.ts';
import { neutralise } from './neutralise.ts';

type Client = Pick<ChatClient, 'groups' | 'portableHistory' | 'signHistory' | 'takeOver' | 'checkHistory'>;

/** `/pack FILE`: gives the rows that say what came of it, the code that opens the file among them. */
export async function packRows(args: readonly string[], client: Client): Promise<readonly string[]> {
  const path = resolve(typedPath(args.join(' ')));
  const shown = neutralise(path);
  // loaded when it is used: a chat that packs nothing starts without it
  const { packHistory } = await import('../history/pack-history.ts');
  try {
    const { code, messages, groups } = await packHistory(client, path);
    return [
      `${countOf(messages, 'message')} of ${countOf(groups, 'group')} are in ${shown}, encrypted. On your other device type:`,
      '',
      `    /unpack FILE ${code}`,
      '',
      'This code stands nowhere else. Whoever has it and the file can read what is in it.',
    ];
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return [`${shown} is there already and stays as it is; name a new file`];
    if (errorCode(error) === undefined) throw error;
    return [`not packed: ${shown}: ${fileProblem(error)}`];
  }
}

/** `/unpack FILE CODE`: gives the rows that say what came of it. */
export async function unpackRows(args: readonly string[], client: Client): Promise<readonly string[]> {
  const code = args.at(-1) ?? '';
  if (args.length < 2) return ['/unpack needs the file and the code that /pack has shown: /unpack FILE CODE'];
  const path = resolve(typedPath(args.slice(0, -1).join(' ')));
  const shown = neutralise(path);
  const { unpackHistory } = await import('../history/unpack-history.ts');
  try {
    const outcome = await unpackHistory(client, path, code);
    if (outcome.kind === 'refused') return [`not taken from ${shown}: ${outcome.reason}; nothing was changed`];
    const { messages, added, unknown } = outcome;
    const others = 'here already, or not for this device';
    const left = messages === added ? '' : `; the other ${(messages - added).toLocaleString('en')} in it: ${others}`;
    return [
      added === 0 && messages > 0
        ? `nothing was added: ${countOf(messages, 'message')} in it, all ${others}`
        : `${countOf(added, 'message')} from before this device joined ${added === 1 ? 'was' : 'were'} added${left}`,
      ...(unknown.length === 0
        ? []
        : [`not taken, because this device is not there: ${unknown.map((name) => `#${neutralise(name)}`).join(', ')}`]),
    ];
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return [`not taken: ${shown}: ${fileProblem(error)}`];
  }
}

function countOf(count: number, what: string): string {
  return count === 1 ? `1 ${what}` : `${count.toLocaleString('en')} ${what}s`;
}
