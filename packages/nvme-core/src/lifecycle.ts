/**
 * How a controller is made known, started, stopped and taken away.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_init_ctrl, nvme_add_ctrl, nvme_init_ctrl_finish, nvme_start_ctrl,
 * nvme_stop_ctrl, nvme_uninit_ctrl, nvme_remove_namespaces.
 */
import type { Device } from '@nvme-stack/device-core/ports';
import { type HasKernel, type Kernel, traced, withMutex } from '@nvme-stack/kernel';
import { CAP, NVME_REG_CAP, NVME_REG_VS, NVME_VS } from '@nvme-stack/nvme-protocol';
import { nvmeAsyncEventWork, nvmeFwActWork } from './aen.js';
import { nvmeConfigureApst, nvmeSetLatencyTolerance } from './apst.js';
import type { CoreState } from './core.js';
import { allocDiscardPage, Ctrl, nvmeFreeCtrl, nvmeGetCtrl, nvmePutCtrl } from './ctrl.js';
import { ctrlAttributeGroup } from './ctrl-sysfs.js';
import type { FinishStep, StartStep } from './eras.js';
import { nvmeConfigureHostOptions, nvmeConfigureTimestamp, nvmeEnableAen, nvmeQueueAsyncEvents } from './features.js';
import { nvmeHwmonExit, nvmeHwmonInit } from './hwmon.js';
import { nvmeInitIdentify } from './identify.js';
import { ctrlFileOperations } from './ioctl.js';
import { nvmeKeepAliveWork, nvmeStartKeepAlive, nvmeStopKeepAlive } from './keep-alive.js';
import { nvmeMpathUpdate } from './multipath/ana.js';
import { nvmeMpathInitCtrl, nvmeMpathStop } from './multipath/init-ctrl.js';
import { nvmeMpathClearCtrlPaths } from './multipath/paths.js';
import { type Ns, nvmeNsRemove } from './namespace.js';
import { NVME_CTRL_DEAD, NVME_CTRL_DELETING_NOIO, type NvmeCtrlOps } from './ports.js';
import { nvmeUnquiesceAdminQueue, nvmeUnquiesceIoQueues } from './queues.js';
import { nvmeQueueScan, nvmeScanWork } from './scan.js';
import { nvmeChangeCtrlState } from './state.js';
import { nvmeConfigureDirectives } from './streams.js';
import { nvmeLeaveSubsystem } from './subsystem.js';

const S32_MAX = 0x7fffffff;
const WORKS = {
  scan: nvmeScanWork,
  asyncEvent: nvmeAsyncEventWork,
  fwAct: nvmeFwActWork,
  keepAlive: nvmeKeepAliveWork,
  initFinish: async (ctrl: Ctrl): Promise<void> => await nvmeInitCtrlFinish(ctrl, false),
};

/** What a transport brings. */
export interface CtrlInit extends HasKernel {
  readonly kernel: Kernel;
  readonly core: CoreState;
  readonly dev: Device;
  readonly ops: NvmeCtrlOps;
  readonly quirks: number;
  readonly transport: unknown;
}

/** Number, works and device object; nothing is visible yet. Throws ENOMEM. Task context. @kernel drivers/nvme/host/core.c nvme_init_ctrl */
export const nvmeInitCtrl = traced('nvme_init_ctrl', (init: CtrlInit): Ctrl => {
  const { core } = init;
  const ctrl = new Ctrl(core, init.dev, init.ops, init.quirks, init.transport, WORKS);
  try {
    allocDiscardPage(ctrl);
  } catch (error) {
    core.instances.free(ctrl.instance);
    throw error;
  }
  ctrl.device = core.deviceCore.deviceInitialize({
    name: ctrl.name,
    parent: init.dev,
    container: ctrl,
    class: core.nvmeClass,
    groups: [ctrlAttributeGroup(ctrl), ...(ctrl.ops.devAttrGroups?.(ctrl) ?? [])],
    devt: { major: core.ctrlMajor, minor: ctrl.instance },
    release: () => nvmeFreeCtrl(ctrl),
  });
  const after = core.controllers.findIndex((other) => other.instance > ctrl.instance);
  core.controllers.splice(after < 0 ? core.controllers.length : after, 0, ctrl);
  if (core.era.multipath?.preparesIn === 'nvme_init_ctrl') nvmeMpathInitCtrl(ctrl);
  return ctrl;
});

/** Makes it visible; the caller still drops its own reference when it fails. Throws. Task context. @kernel drivers/nvme/host/core.c nvme_add_ctrl */
export const nvmeAddCtrl = traced('nvme_add_ctrl', async (ctrl: Ctrl): Promise<void> => {
  ctrl.cdev = { ops: ctrlFileOperations(ctrl), container: ctrl };
  await ctrl.core.deviceCore.cdevDeviceAdd(ctrl.cdev, ctrl.device);
  if (ctrl.core.era.latencyTolerance)
    await nvmeSetLatencyTolerance(ctrl, Math.min(ctrl.core.number('default_ps_max_latency_us'), S32_MAX));
  if (ctrl.core.era.multipath?.preparesIn === 'nvme_add_ctrl') nvmeMpathInitCtrl(ctrl);
  nvmeGetCtrl(ctrl);
});

/** Undoes nvme_add_ctrl. Task context. @kernel drivers/nvme/host/core.c nvme_uninit_ctrl */
export const nvmeUninitCtrl = traced('nvme_uninit_ctrl', async (ctrl: Ctrl): Promise<void> => {
  await nvmeStopKeepAlive(ctrl);
  await nvmeHwmonExit(ctrl);
  await nvmeLeaveSubsystem(ctrl);
  if (ctrl.cdev !== null) await ctrl.core.deviceCore.cdevDeviceDel(ctrl.cdev, ctrl.device);
  ctrl.cdev = null;
  nvmePutCtrl(ctrl);
});

async function finishStep(ctrl: Ctrl, step: FinishStep): Promise<void> {
  switch (step) {
    case 'apst':
      return await nvmeConfigureApst(ctrl);
    case 'directives':
      return await nvmeConfigureDirectives(ctrl);
    case 'timestamp':
      return await nvmeConfigureTimestamp(ctrl);
    case 'host-behaviour':
      return await nvmeConfigureHostOptions(ctrl);
    case 'hwmon':
      if (!ctrl.identified) await nvmeHwmonInit(ctrl);
      return;
    default:
      ctrl.dirtyCapability = false;
      ctrl.identified = true;
      nvmeStartKeepAlive(ctrl);
  }
}

/** Everything between an enabled controller and its I/O queues. Throws. Task context. @kernel drivers/nvme/host/core.c nvme_init_ctrl_finish */
export const nvmeInitCtrlFinish = traced(
  'nvme_init_ctrl_finish',
  async (ctrl: Ctrl, _wasSuspended: boolean): Promise<void> => {
    ctrl.vs = ctrl.ops.regRead32(ctrl, NVME_REG_VS) >>> 0;
    if (ctrl.core.era.identifyReadsCap) ctrl.cap = ctrl.ops.regRead64(ctrl, NVME_REG_CAP);
    ctrl.sqsize = Math.min(CAP.MQES.get(ctrl.cap.lo, ctrl.cap.hi), ctrl.sqsize);
    if (ctrl.vs >= NVME_VS(1, 1, 0)) ctrl.canResetSubsystem = CAP.NSSRS.get(ctrl.cap.lo, ctrl.cap.hi) === 1;
    await nvmeInitIdentify(ctrl);
    for (const step of ctrl.core.era.finishSteps) await finishStep(ctrl, step);
  },
);

/** Events, scan, queues; tells userland. Task context. @kernel drivers/nvme/host/core.c nvme_start_ctrl */
export const nvmeStartCtrl = traced('nvme_start_ctrl', async (ctrl: Ctrl): Promise<void> => {
  for (const step of ctrl.core.era.startSteps) await START_STEPS[step](ctrl);
});

const START_STEPS: Readonly<Record<StartStep, (ctrl: Ctrl) => Promise<void> | void>> = {
  'enable-aen': nvmeEnableAen,
  'queue-scan': (ctrl) => {
    if (ctrl.queueCount > 1) nvmeQueueScan(ctrl);
  },
  'queue-async-events': (ctrl) => {
    if (ctrl.queueCount > 1) nvmeQueueAsyncEvents(ctrl);
  },
  'start-queues': (ctrl) => {
    if (ctrl.queueCount > 1) nvmeUnquiesceIoQueues(ctrl);
  },
  'update-paths': async (ctrl) => {
    if (ctrl.queueCount > 1) await nvmeMpathUpdate(ctrl);
  },
  uevent: (ctrl) => ctrl.core.deviceCore.deviceUevent(ctrl.device, 'change', { NVME_EVENT: 'connected' }),
};

/** No work of the core runs afterwards but scans. Task context. @kernel drivers/nvme/host/core.c nvme_stop_ctrl */
export const nvmeStopCtrl = traced('nvme_stop_ctrl', async (ctrl: Ctrl): Promise<void> => {
  const { workqueues, era } = ctrl.core;
  if (era.multipath !== null) await nvmeMpathStop(ctrl);
  await nvmeStopKeepAlive(ctrl);
  await workqueues.flushWork(ctrl.asyncEventWork);
  await workqueues.cancelWorkSync(ctrl.fwActWork);
});

/** Every request of every namespace fails from now on. @kernel drivers/nvme/host/core.c nvme_mark_namespaces_dead */
export const nvmeMarkNamespacesDead = traced('nvme_mark_namespaces_dead', (ctrl: Ctrl): void => {
  for (const ns of ctrl.namespaces) ctrl.core.blkMq.blkMarkDiskDead(ns.disk);
});

/** Nothing waits any more for a controller that will not answer: its requests fail. Any context. @kernel drivers/nvme/host/core.c nvme_kill_queues */
export const nvmeKillQueues = traced('nvme_kill_queues', (ctrl: Ctrl): void => {
  if (ctrl.adminQ !== null && !ctrl.adminQ.dying) nvmeUnquiesceAdminQueue(ctrl);
  for (const ns of ctrl.namespaces) ctrl.core.blkMq.blkMarkDiskDead(ns.disk);
  nvmeUnquiesceIoQueues(ctrl);
});

/** Task context. @kernel drivers/nvme/host/core.c nvme_remove_namespaces */
export const nvmeRemoveNamespaces = traced('nvme_remove_namespaces', async (ctrl: Ctrl): Promise<void> => {
  const { workqueues, era } = ctrl.core;
  if (era.multipath !== null) nvmeMpathClearCtrlPaths(ctrl);
  // A scan under way needs its requests answered before it can end.
  nvmeUnquiesceIoQueues(ctrl);
  await workqueues.flushWork(ctrl.scanWork);
  if (ctrl.state === NVME_CTRL_DEAD) nvmeMarkNamespacesDead(ctrl);
  if (ctrl.core.era.enteredFrom[NVME_CTRL_DELETING_NOIO].length > 0) nvmeChangeCtrlState(ctrl, NVME_CTRL_DELETING_NOIO);
  const gone = await withMutex(ctrl.namespacesLock, async () => [...ctrl.namespaces] as Ns[]);
  for (const ns of gone) await nvmeNsRemove(ns);
});
