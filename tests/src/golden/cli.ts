/** The entry of `pnpm golden`. */
import { readFileSync } from 'node:fs';
import { createMachine } from '@nvme-stack/machine';
import { createGoldenMachine } from '../qemu/golden-machine.js';
import { golden } from './command.js';

process.exitCode = await golden(process.argv.slice(2), {
  readFile: (path) => readFileSync(path, 'utf8'),
  out: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  createMachine,
  createOnQemu: createGoldenMachine,
});
