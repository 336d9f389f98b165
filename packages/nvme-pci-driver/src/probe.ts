/**
 * A PCI function becomes a controller.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_probe, nvme_async_probe.
 *
 * On 6.12 probe brings the controller up itself, in a worker, and reset work serves resets only. Earlier kernels queue
 * the reset work, which brings it up; up to 4.13 nobody waits for it.
 */
import { dmaSetMaskAndCoherent, KernelError, traced } from '@nvme-stack/kernel';
import {
  NVME_CTRL_DELETING,
  NVME_CTRL_RESETTING,
  NVME_QUIRK_DMA_ADDRESS_BITS_48,
  NVME_QUIRK_FORCE_NO_SIMPLE_SUSPEND,
  NVME_QUIRK_SIMPLE_SUSPEND,
} from '@nvme-stack/nvme-core/ports';
import type { PciDev } from '@nvme-stack/pci-bus/ports';
import { bringUp } from './bring-up.js';
import { removeWork } from './dead-ctrl.js';
import { NvmeDev, type NvmeDriverState, resetWorkOf, resetWqOf } from './dev.js';
import { allocDevMemory, freeDevMemory } from './dev-memory.js';
import { nvmeDevDisable } from './disable.js';
import { nvmePciEnable } from './enable.js';
import type { ProbeStep } from './eras.js';
import { nvmeFreeHostMem } from './host-mem.js';
import { NvmeIo } from './io.js';
import { nvmeMaxIoQueues } from './io-queues.js';
import { NVME_MAX_KB_SZ } from './limits.js';
import { nvmeReleasePrpPools, nvmeSetupPrpPools } from './map-data.js';
import { nvmeFreeQueues } from './queue.js';
import { nvmeDevMap, nvmeDevUnmap } from './registers.js';
import { nvmeDevRemoveAdmin } from './remove.js';
import { nvmeResetWork } from './reset.js';
import { nvmeDbbufDmaFree } from './shadow-doorbell.js';
import { nvmeFreeTagset } from './tag-sets.js';
import { ctrlOpsOf } from './transport.js';
import { checkVendorCombinationBug } from './vendor-combinations.js';

/** A bound device: what probe made and remove takes down. */
export interface BoundNvme {
  readonly dev: NvmeDev;
  readonly io: NvmeIo;
}

/** A probe under way. */
interface Probing extends BoundNvme {
  readonly quirks: number;
  /** Steps that undo what was done so far; run last first. */
  readonly undo: (() => Promise<void> | void)[];
}

/** Binds the driver to a function, whose `driverData` is then a BoundNvme; throws what the bus reports. Task context. @kernel drivers/nvme/host/pci.c nvme_probe */
export const nvmeProbe = traced(
  'nvme_probe',
  async (driver: NvmeDriverState, pdev: PciDev, quirks: number): Promise<void> => {
    const probing = nvmePciAllocDev(driver, pdev, quirks);
    try {
      for (const step of driver.era.probeSteps) await STEPS[step](probing);
    } catch (error) {
      for (let step = probing.undo.pop(); step !== undefined; step = probing.undo.pop()) await step();
      throw error;
    }
  },
);

/** Makes the device's data. Throws. @kernel drivers/nvme/host/pci.c nvme_pci_alloc_dev */
function nvmePciAllocDev(driver: NvmeDriverState, pdev: PciDev, quirks: number): Probing {
  const { dma } = pdev.dev;
  if (dma === null) throw new KernelError('ENODEV', `${pdev.dev.name} does no DMA`);
  const dev = new NvmeDev(driver, pdev, dma);
  dev.nrWriteQueues = Number(driver.params.write_queues ?? 0);
  dev.nrPollQueues = Number(driver.params.poll_queues ?? 0);
  dev.nrAllocatedQueues = nvmeMaxIoQueues(dev) + 1;
  allocDevMemory(dev);
  // Once there is a controller, its last reference frees the memory.
  const free = (): void => {
    if (!hasCtrl(dev)) freeDevMemory(dev);
  };
  const known = quirks | checkVendorCombinationBug(dev.deps.dmi, pdev, driver.features.vendorCombinations);
  return { dev, io: new NvmeIo(dev), quirks: known | firmwareQuirks(dev, known), undo: [free] };
}

/** What firmware asks for, unless the machine is known to ask in error. */
function firmwareQuirks({ driver, pdev, kernel, deps }: NvmeDev, known: number): number {
  const asks = driver.features.asksFirmware && driver.params.noacpi !== true;
  if (!asks || known & NVME_QUIRK_FORCE_NO_SIMPLE_SUSPEND || !deps.pciBus.acpiStorageD3(pdev)) return 0;
  kernel.printk.print('info', `nvme ${pdev.dev.name}: platform quirk: setting simple suspend`);
  return NVME_QUIRK_SIMPLE_SUSPEND;
}

function hasCtrl(dev: NvmeDev): boolean {
  return (dev.ctrl as NvmeDev['ctrl'] | null) !== null;
}

const STEPS: Readonly<Record<ProbeStep, (at: Probing) => Promise<void> | void>> = {
  'init-ctrl': initCtrl,
  'dma-mask': ({ dev, quirks }) => {
    try {
      dmaSetMaskAndCoherent(dev.dma, quirks & NVME_QUIRK_DMA_ADDRESS_BITS_48 ? 48 : 64);
    } catch {
      // The mask the bus has set stays.
    }
  },
  'add-ctrl': async ({ dev, undo }) => {
    const { nvmeCore } = dev.deps;
    await nvmeCore.nvmeAddCtrl(dev.ctrl);
    undo.push(() => nvmeCore.nvmeUninitCtrl(dev.ctrl));
  },
  map: ({ dev, undo }) => {
    nvmeDevMap(dev);
    undo.push(() => nvmeDevUnmap(dev));
  },
  pools: ({ dev, quirks, undo }) => {
    undo.push(() => nvmeReleasePrpPools(dev));
    nvmeSetupPrpPools(dev, quirks);
  },
  announce: ({ dev }) => dev.kernel.printk.print('info', `nvme ${dev.ctrl.name}: pci function ${dev.pdev.dev.name}`),
  enable: async ({ dev, io, undo }) => {
    undo.push(() => nvmeFreeQueues(dev, 0));
    await nvmePciEnable(dev, io.completion);
  },
  'bring-up': async (at) => {
    at.undo.push(() => takeDown(at));
    await bringUp(at.dev, at.io, at.dev.driver.era.bringUpSteps);
  },
  bind: ({ dev, io }) => {
    const bound: BoundNvme = { dev, io };
    dev.pdev.dev.driverData = bound;
    dev.driver.devices.set(dev.ctrl, dev);
  },
  start: ({ dev }) => dev.deps.nvmeCore.nvmeStartCtrl(dev.ctrl),
  'flush-scan': async ({ dev }) => {
    await dev.deps.workqueues.flushWork(dev.ctrl.scanWork);
  },
  'enter-resetting': ({ dev }) => {
    dev.deps.nvmeCore.nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_RESETTING);
  },
  'reset-ctrl': ({ dev }) => dev.deps.nvmeCore.nvmeResetCtrl(dev.ctrl),
  'queue-reset': ({ dev }) => {
    dev.deps.workqueues.queueWork(resetWqOf(dev), resetWorkOf(dev));
  },
  'async-probe': ({ dev }) => {
    dev.deps.nvmeCore.nvmeGetCtrl(dev.ctrl);
    dev.deps.workqueues.asyncScheduleNode(nvmeAsyncProbe, dev, dev.ctrl.numaNode);
  },
};

function initCtrl({ dev, io, quirks, undo }: Probing): void {
  const { nvmeCore, workqueues } = dev.deps;
  const ctrl = nvmeCore.nvmeInitCtrl(dev.pdev.dev, ctrlOpsOf(dev), quirks, dev);
  dev.ctrl = ctrl;
  undo.push(() => nvmeCore.nvmePutCtrl(ctrl));
  const holder = dev.driver.era.resetWorkIn === 'device' ? dev : ctrl;
  holder.resetWork = workqueues.initWork('nvme_reset_work', dev, (device) => nvmeResetWork(device, io));
  if (dev.driver.era.afterFailedReset === 'unbind') dev.removeWork = removeWork(dev, io);
  ctrl.maxHwSectors = NVME_MAX_KB_SZ << 1;
  ctrl.maxSegments = dev.driver.era.maxSegments;
  // One metadata pointer, and no SGL for it.
  ctrl.maxIntegritySegments = 1;
}

/** What insmod waits for: the controller is up, and its namespaces are found. @kernel drivers/nvme/host/pci.c nvme_async_probe */
const nvmeAsyncProbe = traced('nvme_async_probe', async (dev: NvmeDev): Promise<void> => {
  const { nvmeCore, workqueues } = dev.deps;
  await workqueues.flushWork(resetWorkOf(dev));
  await workqueues.flushWork(dev.ctrl.scanWork);
  nvmeCore.nvmePutCtrl(dev.ctrl);
});

/** Undoes bringing up wherever it stopped: the controller is stopped before the memory that it uses goes. */
async function takeDown({ dev, io }: BoundNvme): Promise<void> {
  dev.deps.nvmeCore.nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_DELETING);
  await nvmeDevDisable(dev, true, io.completion);
  await nvmeFreeTagset(dev);
  nvmeFreeHostMem(dev);
  await nvmeDevRemoveAdmin(dev);
  nvmeDbbufDmaFree(dev);
}
