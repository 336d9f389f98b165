/**
 * The controller's state machine.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_change_ctrl_state, nvme_wait_reset, nvme_reset_ctrl.
 *
 * Which transitions are allowed is the era's table. The state is changed in one place only; sleepers on it are woken
 * by every change.
 */
import { KernelError, traced, waitEvent, wakeUpAll } from '@nvme-stack/kernel';
import { nvmeResetWq } from './core.js';
import type { Ctrl } from './ctrl.js';
import { nvmeKickRequeueLists } from './multipath/failover.js';
import type { NvmeCtrlState } from './ports.js';
import {
  NVME_CTRL_DEAD,
  NVME_CTRL_DELETING,
  NVME_CTRL_DELETING_NOIO,
  NVME_CTRL_LIVE,
  NVME_CTRL_RESETTING,
} from './ports.js';

/** Any context; false when the era's table does not allow it. @kernel drivers/nvme/host/core.c nvme_change_ctrl_state */
export const nvmeChangeCtrlState = traced('nvme_change_ctrl_state', (ctrl: Ctrl, state: NvmeCtrlState): boolean => {
  if (!ctrl.core.era.enteredFrom[state].includes(ctrl.state)) return false;
  ctrl.state = state;
  wakeUpAll(ctrl.stateWq);
  if (state === NVME_CTRL_LIVE) nvmeKickRequeueLists(ctrl);
  return true;
});

/** No way back to life. @kernel drivers/nvme/host/core.c nvme_state_terminal */
export function nvmeStateTerminal(ctrl: Ctrl): boolean {
  return ctrl.state === NVME_CTRL_DELETING || ctrl.state === NVME_CTRL_DELETING_NOIO || ctrl.state === NVME_CTRL_DEAD;
}

/** Waits until this caller made the state RESETTING; false when the controller goes away. Task context. @kernel drivers/nvme/host/core.c nvme_wait_reset */
export const nvmeWaitReset = traced('nvme_wait_reset', async (ctrl: Ctrl): Promise<boolean> => {
  let mine = false;
  await waitEvent(ctrl.stateWq, () => {
    mine = nvmeChangeCtrlState(ctrl, NVME_CTRL_RESETTING);
    return mine || nvmeStateTerminal(ctrl);
  });
  return mine;
});

/** Queues the transport's reset. Throws EBUSY when one is under way. Any context. @kernel drivers/nvme/host/core.c nvme_reset_ctrl */
export const nvmeResetCtrl = traced('nvme_reset_ctrl', (ctrl: Ctrl): void => {
  if (ctrl.core.era.resettingFrom === 'request' && !nvmeChangeCtrlState(ctrl, NVME_CTRL_RESETTING))
    throw new KernelError('EBUSY', `${ctrl.name}: reset`);
  queueReset(ctrl);
});

function queueReset(ctrl: Ctrl): void {
  if (!queueResetWork(ctrl)) throw new KernelError('EBUSY', `${ctrl.name}: reset`);
}

function queueResetWork(ctrl: Ctrl): boolean {
  const { resetWork } = ctrl;
  if (ctrl.ops.queueReset !== undefined) return ctrl.ops.queueReset(ctrl);
  return resetWork !== null && ctrl.core.workqueues.queueWork(nvmeResetWq(ctrl.core), resetWork);
}

/** Resets, when the caller has made the state RESETTING already. @kernel drivers/nvme/host/core.c nvme_try_sched_reset */
export function nvmeTrySchedReset(ctrl: Ctrl): void {
  if (ctrl.state !== NVME_CTRL_RESETTING) throw new KernelError('EBUSY', `${ctrl.name}: reset`);
  queueReset(ctrl);
}

/** Resets and waits; throws EBUSY when a reset is under way, and since 4.17 ENETRESET when the controller is not live afterwards. Task context. @kernel drivers/nvme/host/core.c nvme_reset_ctrl_sync */
export const nvmeResetCtrlSync = traced('nvme_reset_ctrl_sync', async (ctrl: Ctrl): Promise<void> => {
  if (ctrl.core.era.transportResets && ctrl.ops.resetCtrl !== undefined) {
    await ctrl.ops.resetCtrl(ctrl);
    return;
  }
  nvmeResetCtrl(ctrl);
  await ctrl.core.workqueues.flushWork(ctrl.resetWork as NonNullable<Ctrl['resetWork']>);
  if (ctrl.core.era.reportsFailedReset && (ctrl.state as NvmeCtrlState) !== NVME_CTRL_LIVE)
    throw new KernelError('ENETRESET', `${ctrl.name}: not live after its reset`);
});
