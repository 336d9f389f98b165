/**
 * What a user's command does to the rest: nothing may run beside some, and some change what is known of the controller.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_passthru_start, nvme_passthru_end.
 */
import { KernelError, mutexLock, mutexUnlock, traced } from '@nvme-stack/kernel';
import {
  NVME_CMD_EFFECTS_CCC,
  NVME_CMD_EFFECTS_CSE_MASK,
  NVME_CMD_EFFECTS_NCC,
  NVME_CMD_EFFECTS_NIC,
  NVME_FEAT_KATO,
  NvmeAdminOpcode,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { nvmeCommandEffects } from './effects.js';
import { nvmeUpdateKeepAlive } from './keep-alive.js';
import { ctrlLog } from './log.js';
import { nvmeMpathStartFreeze, nvmeMpathUnfreeze, nvmeMpathWaitFreeze } from './multipath/freeze.js';
import { nvmeStartFreeze, nvmeUnfreeze, nvmeWaitFreeze } from './queues.js';
import { nvmeQueueScan } from './scan.js';

/** The command's effects; while it has CSE bits, no I/O and no scan of this controller runs until nvme_passthru_end. Task context. @kernel drivers/nvme/host/core.c nvme_passthru_start */
export const nvmePassthruStart = traced(
  'nvme_passthru_start',
  async (ctrl: Ctrl, isIo: boolean, opcode: number): Promise<number> => {
    if (ctrl.core.era.ioctls.effects === 'none') return 0;
    const effects = nvmeCommandEffects(ctrl, isIo, opcode);
    if (effects & NVME_CMD_EFFECTS_CSE_MASK) {
      await mutexLock(ctrl.scanLock);
      if (ctrl.subsys !== null) await mutexLock(ctrl.subsys.lock);
      if (ctrl.subsys !== null && ctrl.core.era.multipath !== null) {
        nvmeMpathStartFreeze(ctrl.subsys);
        await nvmeMpathWaitFreeze(ctrl.subsys);
      }
      nvmeStartFreeze(ctrl);
      await nvmeWaitFreeze(ctrl);
    }
    return effects;
  },
);

/** A command and its NVMe status, or a negative errno. */
export interface FinishedCommand {
  readonly words: Uint32Array;
  readonly status: number;
}

/** Lets the rest go on, and looks at what the command may have changed. Task context. @kernel drivers/nvme/host/core.c nvme_passthru_end */
export const nvmePassthruEnd = traced(
  'nvme_passthru_end',
  async (ctrl: Ctrl, isIo: boolean, effects: number, { words, status }: FinishedCommand): Promise<void> => {
    if (effects & NVME_CMD_EFFECTS_CSE_MASK) {
      nvmeUnfreeze(ctrl);
      if (ctrl.subsys !== null && ctrl.core.era.multipath !== null) nvmeMpathUnfreeze(ctrl.subsys);
      if (ctrl.subsys !== null) mutexUnlock(ctrl.subsys.lock);
      mutexUnlock(ctrl.scanLock);
    }
    if (effects & NVME_CMD_EFFECTS_CCC) await capabilitiesChanged(ctrl);
    if (effects & (NVME_CMD_EFFECTS_NIC | NVME_CMD_EFFECTS_NCC)) {
      nvmeQueueScan(ctrl);
      await ctrl.core.workqueues.flushWork(ctrl.scanWork);
    }
    const setsKato = (words[0] & 0xff) === NvmeAdminOpcode.setFeatures && (words[10] & 0xff) === NVME_FEAT_KATO;
    if (!isIo && status === 0 && setsKato) await nvmeUpdateKeepAlive(ctrl, words[11]);
  },
);

/** Told once until the controller is initialised again; kernels before 6.2 initialised it at once. */
async function capabilitiesChanged(ctrl: Ctrl): Promise<void> {
  if (ctrl.core.era.ioctls.effects === 'initialise-again') {
    try {
      await ctrl.initFinish(ctrl);
    } catch (error) {
      if (!KernelError.is(error)) throw error;
    }
    return;
  }
  if (ctrl.dirtyCapability) return;
  ctrl.dirtyCapability = true;
  ctrlLog(ctrl, 'info', 'controller capabilities changed, reset may be required to take effect.');
}
