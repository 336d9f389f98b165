/** The fault plan of a controller, from the front door: changed between two items of the run, and in its journal. */
import { KernelError } from '@nvme-stack/kernel';
import { checkFaultPlan, checkFaultRule } from '@nvme-stack/nvme-controller';
import type { FaultControl } from '@nvme-stack/nvme-controller/ports';
import type { PciFunction } from '@nvme-stack/pci-function';
import type { JournalRecorder } from './journal.js';
import type { MachineFaults } from './ports.js';

/** The rules of the controller at `bdf`; throws EOPNOTSUPP when that function takes none. */
export function deviceFaults(fn: PciFunction, bdf: string, call: JournalRecorder['call']): MachineFaults {
  const { faults: control } = fn as PciFunction & { readonly faults?: FaultControl };
  if (control === undefined) throw new KernelError('EOPNOTSUPP', `${bdf} takes no fault plan`);
  return {
    get rules() {
      return control.rules;
    },
    set: async (plan) => {
      checkFaultPlan(plan);
      return call('device.faults.set', [bdf, plan], async () => control.set(plan));
    },
    add: async (rule) => {
      checkFaultRule(rule);
      return call('device.faults.add', [bdf, rule], async () => control.add(rule));
    },
    clear: () => call('device.faults.clear', [bdf], async () => control.clear()),
  };
}
