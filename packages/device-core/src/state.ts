/**
 * What one machine's driver core holds: the sysfs tree, buses, classes, drivers, devices in order of registration,
 * probes under way, uevents, and the tables of device numbers.
 * Kernel counterpart: the file-scope variables of drivers/base/ and fs/char_dev.c.
 */
import {
  type ErrnoCode,
  errnoName,
  type HasKernel,
  type Kernel,
  KernelError,
  type LogLevel,
  Mutex,
  type Task,
  WaitQueue,
} from '@nvme-stack/kernel';
import type { Workqueues, WorkStruct } from '@nvme-stack/workqueue/ports';
import type { BusPrivate } from './bus.js';
import type { DevTables } from './char-dev.js';
import type { ClassPrivate } from './class.js';
import type { DeviceImpl } from './device.js';
import type { DriverPrivate } from './driver.js';
import { DEVICE_CORE_ERAS, type DeviceCoreEra } from './eras.js';
import type { KobjectImpl } from './kobject.js';
import type { BusType, DeviceClass, DeviceDriver, SuspendState, Uevent } from './ports.js';
import { SysfsNode } from './sysfs-node.js';

/** Makes steps fail on purpose. `fail(point)` returns a negative errno, or 0; a point is `symbol:object`, as `kobject_add:nvme0`. */
export interface DeviceCoreFaults {
  fail(point: string): number;
}

/** What a driver core is made of. */
export interface DeviceCoreDeps {
  readonly kernel: Kernel;
  readonly workqueues: Workqueues;
  readonly faults?: DeviceCoreFaults;
}

/** The directories every kobject stands below. */
export interface TopKobjects {
  readonly devices: KobjectImpl;
  readonly bus: KobjectImpl;
  readonly class: KobjectImpl;
  readonly devChar: KobjectImpl;
  readonly devBlock: KobjectImpl;
}

export class DeviceCoreState implements HasKernel {
  readonly kernel: Kernel;
  readonly workqueues: Workqueues;
  readonly faults: DeviceCoreFaults | null;
  readonly era: DeviceCoreEra;
  readonly sysfsRoot = new SysfsNode('sys', 'dir', 0o755, null, null, null);
  /** Set once, while the state is being built. */
  top: TopKobjects;
  /** /sys/devices/virtual, made when first needed. */
  virtualDir: KobjectImpl | null = null;

  readonly buses = new Map<BusType, BusPrivate>();
  readonly classes = new Map<DeviceClass, ClassPrivate>();
  readonly drivers = new Map<DeviceDriver, DriverPrivate>();
  /** Every registered device, in order of registration: parents before children. */
  readonly devices = new Set<DeviceImpl>();
  /** The sleep that is under way. */
  suspendState: SuspendState | null = null;
  /** Devices `dpmSuspend` has put to sleep, in that order. */
  suspended: DeviceImpl[] = [];

  /** Stores under way: removing a directory waits for those below it. */
  readonly activeStores = new Set<{ readonly node: SysfsNode; readonly task: Task }>();
  readonly storeDone: WaitQueue;

  /** @kernel drivers/base/dd.c probe_count */
  probeCount = 0;
  readonly probeWaitqueue: WaitQueue;
  /** Devices whose probe waits for another driver. @kernel drivers/base/dd.c deferred_probe_pending_list */
  readonly deferredPending = new Set<DeviceImpl>();
  /** Devices about to be tried again. @kernel drivers/base/dd.c deferred_probe_active_list */
  readonly deferredActive = new Set<DeviceImpl>();
  /** @kernel drivers/base/dd.c deferred_trigger_count */
  deferredTriggerCount = 0;
  deferredWork: WorkStruct;

  readonly uevents: Uevent[] = [];
  readonly ueventListeners = new Set<(event: Uevent) => void>();
  ueventSeqnum = 0;
  tables: DevTables;

  constructor(deps: DeviceCoreDeps) {
    this.kernel = deps.kernel;
    this.workqueues = deps.workqueues;
    this.faults = deps.faults ?? null;
    this.era = DEVICE_CORE_ERAS[deps.kernel.profile];
    this.top = null as unknown as TopKobjects;
    this.storeDone = new WaitQueue(deps.kernel, 'a store under way in sysfs');
    this.probeWaitqueue = new WaitQueue(deps.kernel, 'probes under way');
    this.deferredWork = null as unknown as WorkStruct;
    this.tables = null as unknown as DevTables;
  }
}

/** A lock of one device. @kernel include/linux/device.h device_lock */
export function deviceMutex(kernel: Kernel, name: string): Mutex {
  return new Mutex(kernel, `device_lock of ${name}`);
}

/** The error for a negative errno. */
export function failure(errno: number, what: string): KernelError {
  return new KernelError(errnoName(errno) as ErrnoCode, what);
}

/** Throws what the fault plan has for `point`, if anything. */
export function faultAt(core: DeviceCoreState, point: string): void {
  const errno = core.faults === null ? 0 : core.faults.fail(point);
  if (errno !== 0) throw failure(errno, point);
}

/** @kernel include/linux/printk.h printk */
export function log(core: DeviceCoreState, level: LogLevel, text: string): void {
  core.kernel.printk.print(level, text);
}
