#!/usr/bin/env node
/** The demo's process: standard streams, terminal, clock and the exit code. */
import { fileURLToPath } from 'node:url';
import { callerDirectory } from './caller.js';
import { Keys } from './keys.js';
import { main } from './main.js';
import { endOnBrokenPipe, wantsColour } from './terminal.js';

const { stdin, stdout, stderr, env } = process;
for (const stream of [stdout, stderr]) endOnBrokenPipe(stream, () => process.exit());

const keys = new Keys(stdin);
const code = await main(process.argv.slice(2), {
  out: (text) => void stdout.write(text),
  error: (text) => void stderr.write(text),
  colour: wantsColour(stdout.isTTY === true, env),
  columns: stdout.isTTY === true ? stdout.columns : null,
  terminal: stderr.isTTY === true ? (text) => void stderr.write(text) : null,
  cwd: callerDirectory(process.cwd(), fileURLToPath(new URL('../../..', import.meta.url)), env),
  nowMs: () => performance.now(),
  nextKey: () => keys.next(),
});
process.exitCode = code;
