/** The state of a controller as the driver has it: kernels before 4.11 have no file that shows it. */
import type { Machine } from '@nvme-stack/machine';

/** In the words of the file; `gone` when there is no such controller. */
export function stateOf(machine: Machine, name = 'nvme0'): string {
  return machine.controllers().find((one) => one.name === name)?.state ?? 'gone';
}
