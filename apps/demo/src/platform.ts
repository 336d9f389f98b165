/** The one place where the demo's machine is made: another platform comes in here. */
import { KernelError, type Machine, type MachineDescription } from '@nvme-stack/machine';
import { createMachine, QemuError } from '@nvme-stack/machine/node';
import { BadInput } from './input.js';

/** Builds and boots the machine. Rejects with BadInput for what the machine refuses in its description. */
export async function openMachine(description: MachineDescription): Promise<Machine> {
  try {
    return await createMachine(description);
  } catch (error) {
    if (error instanceof RangeError || isQemuMissing(error)) throw new BadInput(`${error.message}.`);
    if (isSystemError(error)) throw new BadInput(`An image cannot be opened: ${error.message}.`);
    throw error;
  }
}

/** QEMU is not here, or did not start with what it was told. */
function isQemuMissing(error: unknown): error is QemuError {
  return error instanceof QemuError;
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && !(error instanceof KernelError) && 'syscall' in error;
}
