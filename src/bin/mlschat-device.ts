import { createInterface } from 'node:readline';
import { addedRow, offerRows } from '../client/terminal/account-rows.ts';
import { explain } from '../client/terminal/explain.ts';
import { neutralise } from '../client/terminal/neutralise.ts';
import { EXIT, type ExitCode } from '../client/terminal/pipe.ts';
import type { DeviceSettings, ParsedArguments } from './mlschat-args.ts';
import type { ChatProcess } from './mlschat-run.ts';
import { storeOptions } from './mlschat-secret.ts';

type Wanted = Extract<ParsedArguments, { kind: 'link' | 'recover' }>;
type NewDevice = typeof import('../client/open-new-device.ts');

/** `mlschat link` and `mlschat recover`. Resolves with the exit code and never rejects. */
export async function runMlschatDevice(
  wanted: Wanted,
  io: Pick<ChatProcess, 'stdin' | 'stdout' | 'stderr' | 'signal'>,
  load: () => Promise<Pick<NewDevice, 'linkFolder' | 'recoverFolder'>>,
): Promise<ExitCode> {
  const say = (row: string): void => void io.stdout.write(`${row}\n`);
  try {
    if (wanted.kind === 'link') await link(wanted, io, say, load);
    else await recover(wanted, io, say, load);
    return EXIT.done;
  } catch (error) {
    io.stderr.write(`mlschat: ${explain(error)}\n`);
    return EXIT.error;
  }
}

async function link(
  { account, long = false, config, server, ...secret }: Extract<Wanted, { kind: 'link' }>,
  io: Pick<ChatProcess, 'stdin' | 'stderr' | 'signal'>,
  say: (row: string) => void,
  load: () => Promise<Pick<NewDevice, 'linkFolder'>>,
): Promise<void> {
  const { linkFolder } = await load();
  const onOffer = (code: string): void => {
    for (const row of offerRows(code)) say(row);
  };
  const name = await linkFolder({
    ...{ dir: config, server, account, long, signal: io.signal, onOffer },
    ...storeOptions(secret, io),
  });
  say(addedRow(name, account));
  say(startHint({ config, server }, name));
}

async function recover(
  { config, server, ...secret }: DeviceSettings,
  io: Pick<ChatProcess, 'stdin' | 'stderr' | 'signal'>,
  say: (row: string) => void,
  load: () => Promise<Pick<NewDevice, 'recoverFolder'>>,
): Promise<void> {
  const { recoverFolder } = await load();
  if (io.stdin.isTTY === true) say('Recovery code:');
  const code = await codeLines(io.stdin);
  const { name, groups, revoked } = await recoverFolder({
    ...{ dir: config, server, code, signal: io.signal },
    ...storeOptions(secret, io),
  });
  say(`This is the device of ${neutralise(name)} now.`);
  for (const label of revoked) say(`The device "${neutralise(label)}" is revoked.`);
  for (const { name: group, outcome } of groups) {
    const shown = `#${neutralise(group)}`;
    say(
      outcome.kind === 'done'
        ? `${shown}: joined; what was written before cannot be read here.`
        : `${shown}: not joined (${neutralise(outcome.reason)}); ask a member to invite you.`,
    );
  }
  say(startHint({ config, server }, name));
}

function startHint({ config, server }: Pick<DeviceSettings, 'config' | 'server'>, name: string): string {
  return `Start it with: mlschat --server ${server} --config ${config} GROUP ${neutralise(name)}`;
}

/** A code as it was shown: a row that ends with a dash goes on in the next one. */
async function codeLines(input: NodeJS.ReadableStream): Promise<string> {
  let code = '';
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    code += line.trim();
    if (!code.endsWith('-')) return code;
  }
  return code;
}
