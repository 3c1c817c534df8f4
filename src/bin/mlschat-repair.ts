import { createInterface } from 'node:readline/promises';
import type { RepairedGroup, RepairedRows } from '../client/repair/rebuild.ts';
import type { RepairPlan } from '../client/repair/repair-store.ts';
import { explain } from '../client/terminal/explain.ts';
import { neutralise } from '../client/terminal/neutralise.ts';
import { EXIT, type ExitCode } from '../client/terminal/pipe.ts';
import type { ParsedArguments } from './mlschat-args.ts';
import type { ChatProcess } from './mlschat-run.ts';
import { secretFrom } from './mlschat-secret.ts';

type Wanted = Extract<ParsedArguments, { kind: 'repair' }>;
type AtRest = typeof import('../client/open-at-rest.ts');

/** Of what is wrong, so many are named. */
const FAULTS_SHOWN = 5;

/**
 * `mlschat repair`: says what is wrong and what becomes of it, and does it when that is agreed to. Resolves with the exit code,
 * 0 for a store that is good or was repaired, and never rejects.
 */
export async function runMlschatRepair(
  { config, keyFile, yes }: Wanted,
  io: Pick<ChatProcess, 'stdin' | 'stdout' | 'stderr'>,
  load: () => Promise<Pick<AtRest, 'repairFolder'>>,
): Promise<ExitCode> {
  const say = (...rows: readonly string[]): void => {
    for (const row of rows) io.stdout.write(`${row}\n`);
  };
  const agree = async (plan: RepairPlan): Promise<boolean> => {
    say(...damageRows(config, plan.faults), ...planRows(plan));
    if (yes) return true;
    if (io.stdin.isTTY === true) return confirm(io);
    say('Nothing was changed. With --yes it is done without being asked.');
    return false;
  };
  try {
    const { repairFolder } = await load();
    const ask = secretFrom({ known: keyFile, new: keyFile }, io);
    const outcome = await repairFolder(config, { ask, agree });
    switch (outcome.kind) {
      case 'intact':
        say(`The store in ${config} is as it was written: nothing was changed.`);
        return EXIT.done;
      case 'repaired':
        say(
          'Repaired. Start mlschat as always.',
          `What was there is kept in ${outcome.kept}: it holds keys; delete it when you miss nothing.`,
        );
        return EXIT.done;
      case 'declined':
        return EXIT.error;
      case 'lost':
        say(...damageRows(config, outcome.faults), ...LOST);
        return EXIT.error;
    }
  } catch (error) {
    io.stderr.write(`mlschat: ${explain(error)}\n`);
    return EXIT.error;
  }
}

const LOST = [
  'The keys of this device cannot be read any more, and nothing here can go on without them. Nothing was changed.',
  'Your recovery code brings the account back, in a folder of its own: mlschat recover --config NEWDIR',
  'With another device of yours at hand: mlschat link ACCOUNT --config NEWDIR, then /revoke this one.',
];

function damageRows(config: string, faults: readonly string[]): readonly string[] {
  const more = faults.length > FAULTS_SHOWN ? [`  and ${faults.length - FAULTS_SHOWN} more of that kind`] : [];
  return [`The store in ${config} is damaged:`, ...faults.slice(0, FAULTS_SHOWN).map((fault) => `  ${fault}`), ...more];
}

function planRows({ rebuilt }: RepairPlan): readonly string[] {
  const { lines, accounts, files, keyPackages, groups, isCursorLost } = rebuilt;
  return [
    'What can be recovered:',
    '  the keys of this device',
    `  ${countText(lines, 'line(s) of history')}`,
    `  ${countText(accounts, 'account(s) that were verified')}`,
    `  ${countText(files, 'key(s) of files')}`,
    `  ${countText(keyPackages, 'key package(s); invitations made with one that is lost cannot be used')}`,
    ...(isCursorLost ? ['  The place that was read to is lost: the log is read again; nothing is shown twice.'] : []),
    ...groups.flatMap(groupRows),
  ];
}

function countText({ recovered, lost }: RepairedRows, what: string): string {
  const rest = lost === undefined ? ', how many are lost is not known' : lost === 0 ? '' : `, ${lost} lost`;
  return `${recovered} ${what}${rest}`;
}

function groupRows({ name, fate, uncertain }: RepairedGroup): readonly string[] {
  const group = `  #${neutralise(name)}`;
  if (fate === 'kept') return [`${group}: as it was`];
  return [
    `${group}: its keys cannot be trusted any more; this device joins it again, and what is sent until then cannot be read`,
    ...uncertain.map((text) => `    not known whether sent: ${neutralise(text)}`),
  ];
}

async function confirm({ stdin, stdout }: Pick<ChatProcess, 'stdin' | 'stdout'>): Promise<boolean> {
  const lines = createInterface({ input: stdin, output: stdout });
  try {
    const answer = await lines.question('Replace the store by this? The damaged one is kept. [y/N] ');
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
