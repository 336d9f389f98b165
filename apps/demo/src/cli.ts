#!/usr/bin/env node
/** The demo's process: standard streams, colour and the exit code. */
import { main } from './main.js';

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever read along has seen enough: `demo | head`.
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

const noColor = (process.env['NO_COLOR'] ?? '') !== '';
process.exitCode = await main(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
  colour: process.stdout.isTTY === true && !noColor && process.env['TERM'] !== 'dumb',
});
