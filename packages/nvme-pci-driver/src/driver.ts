/**
 * The PCI driver as the bus knows it.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_driver, nvme_init, nvme_exit.
 */
import { KernelError } from '@nvme-stack/kernel';
import type { NvmeCtrl } from '@nvme-stack/nvme-core/ports';
import { nvmeCheckSize } from '@nvme-stack/nvme-protocol';
import type { PciDriver } from '@nvme-stack/pci-bus/ports';
import { NvmeDriverState, type NvmeQueue } from './dev.js';
import { nvmeIdTable } from './id-table.js';
import { nvmePciParams } from './module-params.js';
import type { NvmePciDriver, NvmePciDriverDeps, NvmeQueueInfo } from './ports.js';
import { boundOf, nvmeDevPmOps, nvmeErrHandler } from './power.js';
import { nvmeProbe, nvmeRemove, nvmeShutdown } from './probe.js';

/** Makes nvme.ko for a machine; `nvmeInit` registers it. */
export function createNvmePciDriver(deps: NvmePciDriverDeps): NvmePciDriver {
  const state = new NvmeDriverState(deps);
  const driver = pciDriver(state);
  return {
    params: nvmePciParams(deps.kernel.nrCpus),
    nvmeInit: async (params) => {
      nvmeCheckSize();
      state.params = params;
      await deps.pciBus.pciRegisterDriver(driver);
    },
    nvmeExit: async () => {
      await deps.pciBus.pciUnregisterDriver(driver);
    },
    queues: (ctrl) => queueInfo(state, ctrl),
  };
}

/** @kernel drivers/nvme/host/pci.c nvme_driver */
function pciDriver(state: NvmeDriverState): PciDriver {
  const { pciBus } = state.deps;
  return {
    name: 'nvme',
    owner: 'nvme',
    idTable: nvmeIdTable,
    probeType: 'prefer-asynchronous',
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
