#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { runMlsd } from './mlsd/run.ts';

const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};
const stopping = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopping.abort());
const { argv, env, stdin, stdout, stderr } = process;
// Whoever read our output has gone, `| head` say: that ends the work, and is no failure.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  stopping.abort();
});
process.exitCode = await runMlsd(argv.slice(2), {
  env,
  stdout,
  stderr,
  binary: { input: stdin, output: stdout },
  version,
  stopping: stopping.signal,
});
