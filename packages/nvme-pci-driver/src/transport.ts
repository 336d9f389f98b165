/**
 * What nvme-core asks of this transport.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_pci_ctrl_ops.
 */
import { KernelError, spinLockIrq, spinUnlockIrq, traced, withMutex } from '@nvme-stack/kernel';
import {
  NVME_CTRL_CONNECTING,
  NVME_CTRL_LIVE,
  NVME_CTRL_RESETTING,
  NVME_F_METADATA_SUPPORTED,
  type NvmeCtrl,
  type NvmeCtrlOps,
} from '@nvme-stack/nvme-core/ports';
import {
  NVME_REG_CSTS,
  NVME_REG_NSSR,
  NVME_SUBSYS_RESET,
  NvmeAdminOpcode,
  NvmeAsyncEventCmd,
} from '@nvme-stack/nvme-protocol';
import { type NvmeDev, type NvmeQueue, resetWorkOf, resetWqOf } from './dev.js';
import { freeDevMemory } from './dev-memory.js';
import { NVME_NR_AEN_COMMANDS } from './limits.js';
import { nvmePciAttributeGroup } from './pci-attributes.js';
import { commandWords } from './queue-commands.js';
import { nvmeBar, nvmePciRegRead32, nvmePciRegRead64, nvmePciRegWrite32, toNvmeDev } from './registers.js';
import { nvmeSqCopyCmd, nvmeWriteSqDb } from './submit.js';

/** Puts one AER on the admin queue, past the block layer's tags. Any context. @kernel drivers/nvme/host/pci.c nvme_pci_submit_async_event */
const nvmePciSubmitAsyncEvent = traced('nvme_pci_submit_async_event', (ctrl: NvmeCtrl): void => {
  const dev = toNvmeDev(ctrl);
  const nvmeq = dev.queues[0] as NvmeQueue;
  const commandId = dev.driver.era.adminQueueDepth - NVME_NR_AEN_COMMANDS;
  const cmd = NvmeAsyncEventCmd.encode({ opcode: NvmeAdminOpcode.asyncEvent, commandId });
  spinLockIrq(nvmeq.sqLock);
  nvmeSqCopyCmd(nvmeq, commandWords(cmd));
  nvmeWriteSqDb(nvmeq, true);
  spinUnlockIrq(nvmeq.sqLock);
});

/** Whether peer devices may be mapped: the DMA operations of our platforms map memory only. @kernel drivers/nvme/host/pci.c nvme_pci_supports_pci_p2pdma */
const nvmePciSupportsPciP2pdma = traced('nvme_pci_supports_pci_p2pdma', (_ctrl: NvmeCtrl): boolean => false);

/**
 * Writes "NVMe" to NSSR, with no reset and no removal at the same time; the read finds what became of the link. The
 * controller counts as live until something finds that it is not. Throws ENODEV, EBUSY. Task context.
 * @kernel drivers/nvme/host/pci.c nvme_pci_subsystem_reset
 */
const nvmePciSubsystemReset = traced('nvme_pci_subsystem_reset', async (ctrl: NvmeCtrl): Promise<void> => {
  const dev = toNvmeDev(ctrl);
  const { nvmeCore } = dev.deps;
  await withMutex(dev.shutdownLock, async () => {
    if (dev.barMappedSizeBytes === 0) throw new KernelError('ENODEV', ctrl.name);
    if (!nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_RESETTING)) throw new KernelError('EBUSY', `${ctrl.name}: reset`);
    nvmeBar(dev).writel(NVME_REG_NSSR, NVME_SUBSYS_RESET);
    const live = [NVME_CTRL_CONNECTING, NVME_CTRL_LIVE] as const;
    if (live.every((state) => nvmeCore.nvmeChangeCtrlState(ctrl, state))) nvmePciRegRead32(ctrl, NVME_REG_CSTS);
  });
});

/** Queues the reset work and waits for it. Throws ENODEV without an admin queue, and while another reset is under way. @kernel drivers/nvme/host/pci.c nvme_pci_reset_ctrl */
const nvmePciResetCtrl = traced('nvme_pci_reset_ctrl', async (ctrl: NvmeCtrl): Promise<void> => {
  const dev = toNvmeDev(ctrl);
  const { workqueues } = dev.deps;
  const { pending, running } = resetWorkOf(dev);
  if (ctrl.adminQ === null || ctrl.adminQ.dying || pending || running) throw new KernelError('ENODEV', ctrl.name);
  if (!workqueues.queueWork(resetWqOf(dev), resetWorkOf(dev))) throw new KernelError('EBUSY', `${ctrl.name}: reset`);
  await workqueues.flushWork(resetWorkOf(dev));
});

/** @kernel drivers/nvme/host/pci.c nvme_pci_ctrl_ops */
const nvmePciCtrlOps: NvmeCtrlOps = {
  name: 'pcie',
  flags: NVME_F_METADATA_SUPPORTED,
  regRead32: (ctrl, offset) => nvmePciRegRead32(ctrl, offset),
  regWrite32: (ctrl, offset, value) => nvmePciRegWrite32(ctrl, offset, value),
  regRead64: (ctrl, offset) => nvmePciRegRead64(ctrl, offset),
  resetCtrl: (ctrl) => nvmePciResetCtrl(ctrl),
  freeCtrl: (ctrl) => freeDevMemory(toNvmeDev(ctrl)),
  submitAsyncEvent: (ctrl) => nvmePciSubmitAsyncEvent(ctrl),
  subsystemReset: (ctrl) => nvmePciSubsystemReset(ctrl),
  getAddress: (ctrl) => toNvmeDev(ctrl).pdev.dev.name,
  printDeviceInfo: (ctrl) => {
    const { pdev } = toNvmeDev(ctrl);
    const hex = (value: number): string => value.toString(16).padStart(4, '0');
    pdev.kernel.printk.print(
      'err',
      `nvme ${ctrl.name}: VID:DID ${hex(pdev.vendor)}:${hex(pdev.device)} model:${ctrl.model} firmware:${ctrl.firmwareRev}`,
    );
  },
  supportsPciP2pdma: (ctrl) => nvmePciSupportsPciP2pdma(ctrl),
  devAttrGroups: (ctrl) => [nvmePciAttributeGroup(ctrl)],
};

/** Those of an era that has the reset work in the device. */
const WITH_OWN_RESET_WORK: NvmeCtrlOps = {
  ...nvmePciCtrlOps,
  queueReset: (ctrl) => {
    const dev = toNvmeDev(ctrl);
    return dev.deps.workqueues.queueWork(resetWqOf(dev), resetWorkOf(dev));
  },
};

/** What the core of the device's era is given. */
export function ctrlOpsOf(dev: NvmeDev): NvmeCtrlOps {
  return dev.driver.era.resetWorkIn === 'device' ? WITH_OWN_RESET_WORK : nvmePciCtrlOps;
}
