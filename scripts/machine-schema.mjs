/** `packages/machine/machine.schema.json`: the JSON Schema of a machine's description, as the built package has it. */
import { spawnSync } from 'node:child_process';
import { generated, root } from './generated.mjs';

const PATH = 'packages/machine/machine.schema.json';
const { machineSchema } = await import('../packages/machine/dist/index.js');
const formatted = spawnSync(`${root}node_modules/.bin/biome`, ['format', `--stdin-file-path=${PATH}`], {
  cwd: root,
  input: JSON.stringify(machineSchema),
  encoding: 'utf8',
});
if (formatted.status !== 0) throw new Error(`${PATH} cannot be formatted: ${formatted.stderr}`);
generated(PATH, formatted.stdout);
