#!/usr/bin/env node
/** The guest's process: standard streams, the terminal and the exit code. */
import { main } from './main.js';

const { stdin, stdout, stderr } = process;
for (const stream of [stdout, stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
}

const code = await main(process.argv.slice(2), {
  out: (text) => void stdout.write(text),
  error: (text) => void stderr.write(text),
  keyboard: (typed) => {
    const onData = (data: Buffer): void => typed(data.toString('utf8'));
    // What is piped in ends by powering the guest off, so that everything before it has run.
    const onEnd = (): void => typed('poweroff -f\n');
    if (stdin.isTTY) stdin.setRawMode(true);
    stdin.on('data', onData).on('end', onEnd).resume();
    return () => {
      stdin.off('data', onData).off('end', onEnd).pause();
      if (stdin.isTTY) stdin.setRawMode(false);
    };
  },
});
// v86 leaves timers behind that would keep the process alive; what was written goes out first.
stdout.write('', () => stderr.write('', () => process.exit(code)));
