/**
 * The PCI driver as the bus knows it.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_driver, nvme_init, nvme_exit.
 */
import { KernelError } from '@nvme-stack/kernel';
import type { NvmeCtrl } from '@nvme-stack/nvme-core/ports';
import { nvmeCheckSize } from '@nvme-stack/nvme-protocol';
import type { PciDriver } from '@nvme-stack/pci-bus/ports';
import { NvmeDriverState, type NvmeQueue } from './dev.js';
import { nvmePciParams } from './module-params.js';
import type { NvmePciDriver, NvmePciDriverDeps, NvmeQueueInfo } from './ports.js';
import { boundOf, nvmeErrHandler } from './power.js';
import { nvmeProbe } from './probe.js';
import { nvmeRemove, nvmeShutdown } from './remove.js';
import { nvmeDevPmOps } from './sleep.js';

/** Makes nvme.ko for a machine; `nvmeInit` registers it. */
export function createNvmePciDriver(deps: NvmePciDriverDeps): NvmePciDriver {
  const state = new NvmeDriverState(deps);
  const driver = pciDriver(state);
  deps.kernel.trace.renameSymbols(state.era.symbols);
  return {
    params: nvmePciParams(state.features.params, deps.kernel.nrCpus),
    nvmeInit: async (params) => {
      nvmeCheckSize();
      state.params = params;
      await nvmeInit(state, driver);
    },
    nvmeExit: async () => {
      await deps.pciBus.pciUnregisterDriver(driver);
      await destroyWorkqueue(state);
    },
    queues: (ctrl) => queueInfo(state, ctrl),
  };
}

/** Makes the module's own workqueue, where the era has one, and registers the driver. Throws ENOMEM without a workqueue, else what the bus throws. @kernel drivers/nvme/host/pci.c nvme_init */
async function nvmeInit(state: NvmeDriverState, driver: PciDriver): Promise<void> {
  const { pciBus, workqueues } = state.deps;
  const { workqueue } = state.era;
  if (workqueue !== null) state.workqueue = workqueues.allocWorkqueue(workqueue.name, workqueue.flags, 0);
  try {
    await pciBus.pciRegisterDriver(driver);
  } catch (error) {
    await destroyWorkqueue(state);
    throw error;
  }
}

async function destroyWorkqueue(state: NvmeDriverState): Promise<void> {
  const { workqueue } = state;
  state.workqueue = null;
  if (workqueue !== null) await state.deps.workqueues.destroyWorkqueue(workqueue);
}

/** @kernel drivers/nvme/host/pci.c nvme_driver */
function pciDriver(state: NvmeDriverState): PciDriver {
  const { pciBus } = state.deps;
  return {
    name: 'nvme',
    owner: 'nvme',
    idTable: state.features.idTable,
    probeType: state.era.probeType,
    probe: (pdev, id) => nvmeProbe(state, pdev, id.driverData),
    remove: async (pdev) => {
      const { dev, io } = boundOf(pdev.dev);
      pdev.dev.driverData = null;
      await nvmeRemove(dev, io);
    },
    shutdown: async (pdev) => {
      const { dev, io } = boundOf(pdev.dev);
      await nvmeShutdown(dev, io);
    },
    sriovConfigure: (pdev, numVfs) => pciBus.pciSriovConfigureSimple(pdev, numVfs),
    pm: nvmeDevPmOps,
    errHandler: nvmeErrHandler,
  };
}

function queueInfo(state: NvmeDriverState, ctrl: NvmeCtrl): NvmeQueueInfo[] {
  const dev = state.devices.get(ctrl);
  if (dev === undefined) throw new KernelError('ENODEV', `${ctrl.name} is not driven by this driver`);
  return dev.queues.map((nvmeq: NvmeQueue) => ({
    qid: nvmeq.qid,
    depth: nvmeq.qDepth,
    vector: nvmeq.cqVector,
    polled: nvmeq.polled,
    sqTail: nvmeq.sqTail,
    cqHead: nvmeq.cqHead,
    cqPhase: nvmeq.cqPhase,
    cpus: cpusOf(dev.ctrl, nvmeq.qid),
  }));
}

/** CPUs that submit to a queue; the admin queue serves all. */
function cpusOf(ctrl: NvmeCtrl, qid: number): readonly number[] {
  if (qid === 0) return Array.from({ length: ctrl.kernel.nrCpus }, (_, cpu) => cpu);
  const cpus: number[] = [];
  for (const map of ctrl.tagset?.map ?? []) {
    map.mqMap.forEach((hwQueue, cpu) => {
      if (map.nrQueues > 0 && hwQueue === qid - 1 && !cpus.includes(cpu)) cpus.push(cpu);
    });
  }
  return cpus;
}
