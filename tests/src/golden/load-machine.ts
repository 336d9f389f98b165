/** The machine package's front door, as far as the golden run uses it. */
import * as machine from '@nvme-stack/machine';
import type { CreateMachine } from './machine-run.js';

/** Gives `createMachine`. */
export async function loadMachine(): Promise<CreateMachine> {
  const { createMachine } = machine as unknown as { createMachine?: CreateMachine };
  if (createMachine === undefined) throw new Error('@nvme-stack/machine offers no createMachine');
  return createMachine;
}
