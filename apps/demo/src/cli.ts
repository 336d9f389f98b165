#!/usr/bin/env node
/** The demo's process: standard streams, colour and the exit code. */
import { main } from './main.js';
import { endOnBrokenPipe, wantsColour } from './terminal.js';

for (const stream of [process.stdout, process.stderr]) endOnBrokenPipe(stream, () => process.exit());

process.exitCode = await main(process.argv.slice(2), {
  out: (text) => void process.stdout.write(text),
  error: (text) => void process.stderr.write(text),
  colour: wantsColour(process.stdout.isTTY === true, process.env),
});
