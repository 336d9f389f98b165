/**
 * The steps that bring a controller up, which the era's lists put in order: in nvme_probe or in nvme_reset_work.
 * Kernel counterpart: the bodies of drivers/nvme/host/pci.c nvme_probe and nvme_reset_work.
 */
import { type ErrnoCode, errnoName, KernelError, mutexLock, mutexUnlock } from '@nvme-stack/kernel';
import { NVME_CTRL_CONNECTING, NVME_CTRL_LIVE, NVME_CTRL_RESETTING } from '@nvme-stack/nvme-core/ports';
import { CC } from '@nvme-stack/nvme-protocol';
import type { NvmeDev, NvmeQueue } from './dev.js';
import { nvmeDevDisable } from './disable.js';
import { nvmePciConfigureAdminQueue, nvmePciEnable } from './enable.js';
import type { BringUpStep, BringUpSteps } from './eras.js';
import { nvmeSetupHostMem } from './host-mem.js';
import type { NvmeIo } from './io.js';
import { nvmeSetupIoQueues } from './io-queues.js';
import { NVME_NR_AEN_COMMANDS } from './limits.js';
import { nvmeUpdateAttrs } from './pci-attributes.js';
import { nvmeInitQueue } from './queue.js';
import { nvmeDbbufDmaAlloc, nvmeDbbufSet } from './shadow-doorbell.js';
import { allocIoTagSet, nvmeFreeTagset, updateIoTagSet } from './tag-sets.js';
import { startWatchdog } from './watchdog.js';

/** A controller on its way up. */
interface BringUp {
  readonly dev: NvmeDev;
  readonly io: NvmeIo;
  /** It holds the shutdown lock. */
  locked: boolean;
  /** It had I/O queues before. */
  isReset: boolean;
}

/** Runs the steps in order; what a step throws ends them, with the shutdown lock given back. Task context. */
export async function bringUp(dev: NvmeDev, io: NvmeIo, steps: BringUpSteps): Promise<void> {
  const at: BringUp = { dev, io, locked: false, isReset: false };
  try {
    for (const step of steps) {
      if (typeof step === 'string') await STEPS[step](at);
      else for (const each of dev.onlineQueues > 1 ? step.withQueues : step.withoutQueues) await STEPS[each](at);
    }
  } finally {
    if (at.locked) mutexUnlock(dev.shutdownLock);
  }
}

type Step = (at: BringUp) => Promise<void> | void;

const STEPS: Readonly<Record<BringUpStep, Step>> = {
  'refuse-unless-resetting': ({ dev }) => {
    if (dev.ctrl.state === NVME_CTRL_RESETTING) return;
    warn(dev, `ctrl state ${dev.ctrl.state} is not RESETTING`);
    throw new KernelError('ENODEV', 'the controller is not being reset');
  },
  'warn-unless-resetting': ({ dev }) => warnOn(dev, dev.ctrl.state !== NVME_CTRL_RESETTING),
  'warn-if-resetting': ({ dev }) => warnOn(dev, dev.ctrl.state === NVME_CTRL_RESETTING),
  'disable-if-enabled': async ({ dev, io }) => {
    if (CC.EN.get(dev.ctrl.ctrlConfig) === 1) await nvmeDevDisable(dev, false, io.completion);
  },
  'enter-resetting': ({ dev }) => {
    if (!core(dev).nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_RESETTING)) {
      throw new KernelError('ENODEV', 'the controller is going away');
    }
  },
  'sync-queues': ({ dev }) => core(dev).nvmeSyncQueues(dev.ctrl),
  lock: async (at) => {
    await mutexLock(at.dev.shutdownLock);
    at.locked = true;
  },
  unlock: (at) => {
    at.locked = false;
    mutexUnlock(at.dev.shutdownLock);
  },
  enable: ({ dev, io }) => nvmePciEnable(dev, io.completion),
  'configure-admin-queue': ({ dev, io }) => nvmePciConfigureAdminQueue(dev, io.completion),
  'init-admin-queue': ({ dev }) => nvmeInitQueue(dev.queues[0] as NvmeQueue),
  'admin-tags': async ({ dev, io }) => {
    if (dev.ctrl.adminQ !== null) {
      core(dev).nvmeUnquiesceAdminQueue(dev.ctrl);
      return;
    }
    await core(dev).nvmeAllocAdminTagSet(dev.ctrl, {
      ops: io.adminOps,
      nrMaps: 1,
      driverData: dev,
      // One slot stays empty for the ring, one tag is kept for AER.
      queueDepth: dev.driver.era.adminQueueDepth - 1 - NVME_NR_AEN_COMMANDS,
    });
  },
  'restart-admin': ({ dev }) => core(dev).nvmeUnquiesceAdminQueue(dev.ctrl),
  // Before the first admin command, so that its time-out is judged rightly.
  connecting: ({ dev }) => {
    if (core(dev).nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_CONNECTING)) return;
    warn(dev, 'failed to mark controller CONNECTING');
    throw new KernelError('EBUSY', 'controller state');
  },
  'init-finish': ({ dev }) => core(dev).nvmeInitCtrlFinish(dev.ctrl, false),
  'dbbuf-alloc': ({ dev }) => nvmeDbbufDmaAlloc(dev),
  'host-mem': async ({ dev }) => {
    const status = await nvmeSetupHostMem(dev);
    if (status < 0 && dev.driver.features.hostMem === 'kept')
      throw new KernelError(errnoName(status) as ErrnoCode, 'host memory buffer');
    nvmeUpdateAttrs(dev);
  },
  'io-queues': ({ dev, io }) => nvmeSetupIoQueues(dev, io.completion),
  'async-events': ({ dev }) => core(dev).nvmeQueueAsyncEvents(dev.ctrl),
  watchdog: ({ dev }) => startWatchdog(dev),
  'io-tags': ({ dev, io }) => allocIoTagSet(dev, io),
  'update-queues': ({ dev, io }) => updateIoTagSet(dev, io),
  'dbbuf-set': ({ dev }) => nvmeDbbufSet(dev),
  'dbbuf-set-again': async (at) => {
    at.isReset = at.dev.ctrl.tagset !== null;
    if (at.isReset) await nvmeDbbufSet(at.dev);
  },
  'dbbuf-set-first': async ({ dev, isReset }) => {
    if (!isReset) await nvmeDbbufSet(dev);
  },
  'start-queues': ({ dev }) => core(dev).nvmeUnquiesceIoQueues(dev.ctrl),
  'wait-freeze': ({ dev }) => core(dev).nvmeWaitFreeze(dev.ctrl),
  unfreeze: ({ dev }) => core(dev).nvmeUnfreeze(dev.ctrl),
  'warn-without-tags': ({ dev }) => {
    if (dev.ctrl.tagset === null) warn(dev, 'IO queues not created');
  },
  'warn-not-created': ({ dev }) => warn(dev, 'IO queues not created'),
  'warn-lost': ({ dev }) => warn(dev, 'IO queues lost'),
  'mark-dead': ({ dev }) => core(dev).nvmeMarkNamespacesDead(dev.ctrl),
  'kill-queues': ({ dev }) => core(dev).nvmeKillQueues(dev.ctrl),
  'remove-namespaces': ({ dev }) => core(dev).nvmeRemoveNamespaces(dev.ctrl),
  'free-tags': ({ dev }) => nvmeFreeTagset(dev),
  live: ({ dev }) => {
    if (core(dev).nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_LIVE)) return;
    warn(dev, `failed to mark controller live${dev.driver.era.liveFailureSuffix}`);
    throw new KernelError('ENODEV', 'controller state');
  },
  start: ({ dev }) => core(dev).nvmeStartCtrl(dev.ctrl),
  scan: ({ dev }) => core(dev).nvmeQueueScan(dev.ctrl),
};

function core(dev: NvmeDev): NvmeDev['deps']['nvmeCore'] {
  return dev.deps.nvmeCore;
}

function warn(dev: NvmeDev, text: string): void {
  dev.kernel.printk.print('warn', `nvme ${dev.ctrl.name}: ${text}`);
}

/** Throws ENODEV after a warning with who is running. @kernel include/asm-generic/bug.h WARN_ON */
function warnOn(dev: NvmeDev, condition: boolean): void {
  if (!condition) return;
  const { ex, printk } = dev.kernel;
  printk.print('warn', `WARNING: CPU: ${ex.cpu} PID: ${ex.current.pid} at drivers/nvme/host/pci.c nvme_reset_work`);
  throw new KernelError('ENODEV', 'the controller is in the wrong state for a reset');
}
