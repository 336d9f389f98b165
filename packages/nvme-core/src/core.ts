/**
 * What all controllers of one machine share: workqueues, classes, character device regions, numbers, subsystems.
 * Kernel counterpart: the static variables of drivers/nvme/host/core.c, nvme_core_init and nvme_core_exit.
 */
import type { BlkMq } from '@nvme-stack/blk-mq/ports';
import type { Device, DeviceClass, DeviceCore } from '@nvme-stack/device-core/ports';
import { type HasKernel, type Kernel, Mutex } from '@nvme-stack/kernel';
import { nvmeCheckSize } from '@nvme-stack/nvme-protocol';
import type { WorkqueueStruct, Workqueues } from '@nvme-stack/workqueue/ports';
import type { Ctrl } from './ctrl.js';
import { type EraWorkqueue, NVME_CORE_ERAS, type NvmeCoreEra } from './eras.js';
import { Ida } from './ida.js';
import { defaultParams } from './module-params.js';
import type { Subsystem } from './subsystem.js';

/** Minors of /dev/nvmeN, and of /dev/ngNnM. @kernel drivers/nvme/host/core.c NVME_MINORS */
const NVME_MINORS = 1 << 20;

/** What createNvmeCore is given. */
export interface NvmeCoreDeps {
  readonly kernel: Kernel;
  readonly blkMq: BlkMq;
  readonly deviceCore: DeviceCore;
  readonly workqueues: Workqueues;
}

/**
 * What every event of a controller says beside the usual. Showing the `uevent` file asks for it too, and a file may be
 * shown while nothing of the machine runs: only a task's call is announced. @kernel drivers/nvme/host/core.c nvme_class_uevent
 */
function nvmeClassUevent(dev: Device): Record<string, string> {
  const { ex, trace, costs } = dev.kernel;
  const announced = trace.functions && ex.context === 'task';
  if (ex.context === 'task') ex.charge(costs.functionNs);
  if (announced) trace.enter('nvme_class_uevent');
  const env = { NVME_TRTYPE: (dev.container as Ctrl).ops.name };
  if (announced) trace.exit();
  return env;
}

/** One machine's nvme-core.ko. */
export class CoreState implements HasKernel {
  readonly kernel: Kernel;
  readonly blkMq: BlkMq;
  readonly deviceCore: DeviceCore;
  readonly workqueues: Workqueues;
  readonly era: NvmeCoreEra;
  /** Live parameter values. */
  params: Readonly<Record<string, number | boolean | string>>;
  readonly controllers: Ctrl[];
  readonly subsystems: Subsystem[];
  readonly subsystemsLock: Mutex;
  readonly instances: Ida;
  readonly genericMinors: Ida;
  readonly hwmonNumbers: Ida;
  readonly nvmeClass: DeviceClass;
  readonly subsystemClass: DeviceClass;
  readonly genericClass: DeviceClass;
  readonly hwmonClass: DeviceClass;
  nvmeWq: WorkqueueStruct | null;
  nvmeResetWq: WorkqueueStruct | null;
  nvmeDeleteWq: WorkqueueStruct | null;
  /** In the order in which they were registered. */
  readonly registeredClasses: DeviceClass[];
  ctrlMajor: number;
  genericMajor: number;
  /** Messages that are printed once per machine. */
  readonly warnedOnce: Set<string>;

  constructor(deps: NvmeCoreDeps) {
    this.kernel = deps.kernel;
    this.blkMq = deps.blkMq;
    this.deviceCore = deps.deviceCore;
    this.workqueues = deps.workqueues;
    this.era = NVME_CORE_ERAS[deps.kernel.profile];
    this.params = defaultParams(deps.kernel.profile);
    this.controllers = [];
    this.subsystems = [];
    this.subsystemsLock = new Mutex(deps.kernel, 'nvme_subsystems_lock');
    this.instances = new Ida();
    this.genericMinors = new Ida();
    this.hwmonNumbers = new Ida();
    this.nvmeClass = this.era.ueventsNameTransport ? { name: 'nvme', devUevent: nvmeClassUevent } : { name: 'nvme' };
    this.subsystemClass = { name: 'nvme-subsystem' };
    this.genericClass = { name: 'nvme-generic' };
    this.hwmonClass = { name: 'hwmon' };
    this.nvmeWq = null;
    this.nvmeResetWq = null;
    this.nvmeDeleteWq = null;
    this.registeredClasses = [];
    this.ctrlMajor = 0;
    this.genericMajor = 0;
    this.warnedOnce = new Set();
  }

  /** Value of a numeric parameter. */
  number(name: string): number {
    return Number(this.params[name] ?? 0);
  }
}

function required(wq: WorkqueueStruct | null): WorkqueueStruct {
  if (wq === null) throw new Error('nvme_core is not loaded');
  return wq;
}

/** Workqueues once the module is loaded. */
export function nvmeWq(core: CoreState): WorkqueueStruct {
  return required(core.nvmeWq);
}
export function nvmeResetWq(core: CoreState): WorkqueueStruct {
  return required(core.nvmeResetWq);
}
export function nvmeDeleteWq(core: CoreState): WorkqueueStruct {
  return required(core.nvmeDeleteWq);
}

/**
 * Loads the module. `params` is kept and read at use, so that writes below /sys/module take effect. Throws what an
 * allocation throws, with nothing left behind. Task context. @kernel drivers/nvme/host/core.c nvme_core_init
 */
export async function nvmeCoreInit(
  core: CoreState,
  params: Readonly<Record<string, number | boolean | string>>,
): Promise<void> {
  nvmeCheckSize();
  core.params = overlay(defaultParams(core.kernel.profile), params);
  try {
    acquireAll(core);
  } catch (error) {
    await nvmeCoreExit(core);
    throw error;
  }
}

/** Reads through to `params`, and to the defaults where it says nothing. */
function overlay(
  defaults: Readonly<Record<string, number | boolean | string>>,
  params: Readonly<Record<string, number | boolean | string>>,
): Record<string, number | boolean | string> {
  const view: Record<string, number | boolean | string> = {};
  for (const name of Object.keys(defaults)) {
    Object.defineProperty(view, name, { enumerable: true, get: () => params[name] ?? defaults[name] });
  }
  return view;
}

function acquireAll(core: CoreState): void {
  const { era, deviceCore } = core;
  core.nvmeWq = era.workqueue === null ? core.workqueues.systemWq : alloc(core, era.workqueue);
  core.nvmeResetWq = era.resetWorkqueue === null ? core.nvmeWq : alloc(core, era.resetWorkqueue);
  core.nvmeDeleteWq = era.deleteWorkqueue === null ? core.nvmeWq : alloc(core, era.deleteWorkqueue);
  core.ctrlMajor = deviceCore.allocChrdevRegion('nvme', NVME_MINORS, core.number('nvme_char_major'));
  register(core, core.nvmeClass);
  if (era.subsystems) register(core, core.subsystemClass);
  if (era.genericDevices) {
    core.genericMajor = deviceCore.allocChrdevRegion('nvme-generic', NVME_MINORS);
    register(core, core.genericClass);
  }
  if (era.finishSteps.includes('hwmon')) register(core, core.hwmonClass);
}

function register(core: CoreState, cls: DeviceClass): void {
  core.deviceCore.classRegister(cls);
  core.registeredClasses.push(cls);
}

function alloc(core: CoreState, { name, flags }: EraWorkqueue): WorkqueueStruct {
  return core.workqueues.allocWorkqueue(name, flags, 0);
}

/** Gives back what nvmeCoreInit acquired, last first. Task context. @kernel drivers/nvme/host/core.c nvme_core_exit */
export async function nvmeCoreExit(core: CoreState): Promise<void> {
  const { deviceCore, workqueues } = core;
  const { nvmeWq: wq, nvmeResetWq: resetWq, nvmeDeleteWq: deleteWq } = core;
  for (let cls = core.registeredClasses.pop(); cls !== undefined; cls = core.registeredClasses.pop()) {
    deviceCore.classUnregister(cls);
  }
  if (core.genericMajor !== 0) deviceCore.unregisterChrdevRegion(core.genericMajor);
  if (core.ctrlMajor !== 0) deviceCore.unregisterChrdevRegion(core.ctrlMajor);
  core.ctrlMajor = core.genericMajor = 0;
  core.nvmeWq = core.nvmeResetWq = core.nvmeDeleteWq = null;
  if (deleteWq !== null && deleteWq !== wq) await workqueues.destroyWorkqueue(deleteWq);
  if (resetWq !== null && resetWq !== wq) await workqueues.destroyWorkqueue(resetWq);
  if (wq !== null && wq !== workqueues.systemWq) await workqueues.destroyWorkqueue(wq);
}
