#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import chalk from 'chalk';
import { BRACKETED_PASTE_OFF } from '../client/terminal/keyboard.ts';
import { EXIT } from '../client/terminal/pipe.ts';
import { parseChatArguments } from './mlschat-args.ts';
import { runMlschatAtRest } from './mlschat-at-rest.ts';
import { runMlschatAudit } from './mlschat-audit.ts';
import { runMlschatDevice } from './mlschat-device.ts';
import { runMlschatRepair } from './mlschat-repair.ts';
import { type ChatProcess, runMlschat } from './mlschat-run.ts';
import { storeOptions } from './mlschat-secret.ts';

/** By convention 128 + SIGINT: ended by force, before everything was closed. */
const EXIT_FORCED = 130;

async function main(): Promise<number> {
  const { stdin, stdout, stderr, env } = process;
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const parsed = await parseChatArguments(process.argv.slice(2), { env, version, columns: stdout.columns });
  if (parsed.kind === 'text') {
    stdout.write(`${parsed.text}\n`);
    return EXIT.done;
  }
  if (parsed.kind === 'usage') {
    stderr.write(`mlschat: ${parsed.reason}; mlschat --help shows the use\n`);
    return EXIT.usage;
  }
  const ending = new AbortController();
  const force = () => process.exit(EXIT_FORCED);
  const end = () => (ending.signal.aborted ? force() : ending.abort());
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  // A reader that goes away (`| head`) ends the chat; it is no failure of ours.
  stdout.on('error', () => ending.abort());
  if (stdout.isTTY) process.on('exit', () => stdout.write(BRACKETED_PASTE_OFF));
  const io: ChatProcess = { stdin, stdout, stderr, env, colours: chalk.level, signal: ending.signal, force, suspend };
  if (parsed.kind === 'audit') {
    const { askSecret } = storeOptions(parsed, io);
    return runMlschatAudit(parsed, io, async (dir) =>
      (await import('../client/open-audit.ts')).auditFolder(dir, askSecret),
    );
  }
  if (parsed.kind === 'encrypt' || parsed.kind === 'passwd') {
    return runMlschatAtRest(parsed, io, () => import('../client/open-at-rest.ts'));
  }
  if (parsed.kind === 'repair') return runMlschatRepair(parsed, io, () => import('../client/open-at-rest.ts'));
  if (parsed.kind !== 'run') return runMlschatDevice(parsed, io, () => import('../client/open-new-device.ts'));
  return runMlschat(parsed.settings, io, async ({ config, server, userName, rotation, ...secret }) => {
    // Loaded only now: help and mistakes are answered without the whole engine.
    const { openChatClient } = await import('../client/open-chat-client.ts');
    return openChatClient({ dir: config, server, userName, rotation, ...storeOptions(secret, io) });
  });
}

/** Ctrl-Z as a shell expects it: the process stops, and goes on with `fg`. */
function suspend(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGCONT', () => resolve());
    process.kill(process.pid, 'SIGTSTP');
  });
}

const code = await main();
// Written out before the end; then the end, whatever still holds the process open.
process.stdout.write('', () => process.exit(code));
