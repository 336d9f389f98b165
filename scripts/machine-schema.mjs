/** `packages/machine/machine.schema.json`: the JSON Schema of a machine's description, as the built package has it. */
import { generated } from './generated.mjs';

const { machineSchema } = await import('../packages/machine/dist/index.js');
generated('packages/machine/machine.schema.json', `${JSON.stringify(machineSchema, null, 2)}\n`);
