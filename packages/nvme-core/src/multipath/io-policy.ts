/**
 * I/O policies: how a path is chosen among several, as parameter and as the subsystem's attribute.
 * Kernel counterpart: drivers/nvme/host/multipath.c nvme_set_iopolicy, nvme_subsys_iopolicy_store.
 */
import type { Attribute } from '@nvme-stack/device-core/ports';
import { KernelError, traced, withMutex } from '@nvme-stack/kernel';
import type { CoreState } from '../core.js';
import { POLICY_NAMES, type PolicyName } from '../module-params.js';
import type { Subsystem } from '../subsystem.js';
import { nvmeMpathClearCtrlPaths } from './paths.js';

/** Whether this kernel joins the paths of a namespace: it can, and the parameter says so. Any context. */
export function usesMultipath(core: CoreState): boolean {
  return core.era.multipath !== null && core.params.multipath === true;
}

/** What the parameter holds now. */
function defaultPolicy(core: CoreState): PolicyName {
  return POLICY_NAMES.find((name) => name === core.params.iopolicy) ?? 'numa';
}

/** A new subsystem begins with the parameter's policy. Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_default_iopolicy */
export const nvmeMpathDefaultIopolicy = traced('nvme_mpath_default_iopolicy', (subsys: Subsystem): void => {
  subsys.ioPolicy = defaultPolicy(subsys.core);
});

/** @kernel drivers/nvme/host/multipath.c nvme_subsys_iopolicy_update */
async function updatePolicy(subsys: Subsystem, policy: PolicyName): Promise<void> {
  const { core, ioPolicy: old } = subsys;
  if (old === policy) return;
  subsys.ioPolicy = policy;
  if (core.era.multipath?.policyChangeTells !== true) return;
  await withMutex(core.subsystemsLock, async () => {
    for (const ctrl of subsys.ctrls) nvmeMpathClearCtrlPaths(ctrl);
  });
  core.kernel.printk.print('notice', `subsysnqn ${subsys.nqn} iopolicy changed from ${old} to ${policy}`);
}

/** The attribute `iopolicy` of a subsystem. Throws EINVAL. @kernel drivers/nvme/host/multipath.c nvme_subsys_iopolicy_show, nvme_subsys_iopolicy_store */
export function ioPolicyFile(subsys: Subsystem): Attribute {
  return {
    name: 'iopolicy',
    mode: 0o644,
    show: () => `${subsys.ioPolicy}\n`,
    store: async (text) => {
      const given = text.replace(/\n$/, '');
      const allowed = subsys.core.era.multipath?.policies ?? [];
      const policy = allowed.find((name) => name === given);
      if (policy === undefined)
        throw new KernelError('EINVAL', `iopolicy: '${given}', allowed are ${allowed.join(', ')}`);
      await updatePolicy(subsys, policy);
    },
  };
}
