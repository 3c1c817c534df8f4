#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { EXIT } from './mlsd/process.ts';
import { runMlsd } from './mlsd/run.ts';

const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const stopping = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());
const { argv, env, stdin, stdout, stderr } = process;
// Whoever read our output has gone, `| head` say: that ends the work, and is no failure.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  stopping.abort();
  if (error.code === 'EPIPE') return;
  stderr.write(`mlsd: standard output: ${error.message}\n`);
  process.once('exit', () => {
    process.exitCode = EXIT.error;
  });
});
// What cannot be told is not told: a server whose log file is on a full disk, or whose reader has gone, serves on.
stderr.on('error', () => undefined);
process.exitCode = await runMlsd(argv.slice(2), {
  env,
  stdout,
  stderr,
  binary: { input: stdin, output: stdout },
  version,
  stopping: stopping.signal,
});
