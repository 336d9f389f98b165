/**
 * Devices: what they hold, their references and their end.
 * Kernel counterpart: device_initialize, get_device and put_device in drivers/base/core.c.
 */
import type { DmaDevice, HasKernel, Kernel, Mutex } from '@nvme-stack/kernel';
import type { DevresNode } from './devres.js';
import type { DriverPrivate } from './driver.js';
import { KobjectImpl, kobjectRemove } from './kobject.js';
import type { BusType, Device, DeviceClass, DeviceDriver, DeviceInit, DevT } from './ports.js';
import { type DeviceCoreState, deviceMutex, faultAt } from './state.js';

/** NUMA_NO_NODE. */
const NO_NODE = -1;

/** @kernel include/linux/device.h device */
export class DeviceImpl implements Device, HasKernel {
  readonly kernel: Kernel;
  readonly core: DeviceCoreState;
  readonly init: DeviceInit;
  readonly name: string;
  readonly parent: DeviceImpl | null;
  readonly kobj: KobjectImpl;
  readonly container: unknown;
  readonly bus: BusType | null;
  readonly class: DeviceClass | null;
  readonly devt: DevT | null;
  /** Its node below /dev. */
  readonly nodeName: string;
  /** Permission bits of that node. */
  nodeMode = 0o600;
  /** Serialises probe, remove, suspend and shutdown. @kernel include/linux/device.h device_lock */
  readonly lock: Mutex;
  numaNode: number;
  driver: DeviceDriver | null = null;
  driverData: unknown = null;
  dma: DmaDevice | null = null;
  registered = false;
  matchDriver = true;
  ueventSuppress = false;
  /** Being deleted: nothing binds to it any more. @kernel drivers/base/base.h device_private.dead */
  dead = false;
  /** A worker is on its way to probe it with this driver. @kernel drivers/base/base.h device_private.async_driver */
  asyncDriver: DriverPrivate | null = null;
  readonly devres: DevresNode[] = [];
  readonly children = new Set<DeviceImpl>();
  refcount = 1;

  constructor(core: DeviceCoreState, init: DeviceInit) {
    this.kernel = core.kernel;
    this.core = core;
    this.init = init;
    this.name = init.name;
    this.parent = init.parent as DeviceImpl | null;
    this.kobj = new KobjectImpl(core, init.name, this.parent?.kobj ?? core.top.devices, this);
    this.container = init.container;
    this.bus = init.bus ?? null;
    this.class = init.class ?? null;
    this.devt = init.devt ?? null;
    this.nodeName = init.devnode ?? init.name;
    this.lock = deviceMutex(core.kernel, init.name);
    this.numaNode = init.numaNode ?? NO_NODE;
  }
}

/** One reference, the caller's. Throws ENOMEM through the fault plan. @kernel drivers/base/core.c device_initialize */
export function deviceInitialize(core: DeviceCoreState, init: DeviceInit): DeviceImpl {
  faultAt(core, `device_initialize:${init.name}`);
  const dev = new DeviceImpl(core, init);
  core.kernel.live.add('kobjects', dev.name);
  return dev;
}

/** @kernel drivers/base/core.c get_device */
export function getDevice(dev: DeviceImpl): DeviceImpl {
  if (dev.refcount <= 0) dev.kernel.ex.bug(`get_device of ${dev.name}, which has been released`);
  dev.refcount++;
  return dev;
}

/** @kernel drivers/base/core.c put_device */
export function putDevice(dev: DeviceImpl): void {
  if (dev.refcount <= 0) dev.kernel.ex.bug(`put_device of ${dev.name}, which has been released`);
  dev.refcount--;
  if (dev.refcount === 0) deviceRelease(dev);
}

/** @kernel drivers/base/core.c device_release */
function deviceRelease(dev: DeviceImpl): void {
  if (dev.registered) dev.kernel.ex.bug(`device ${dev.name} lost its last reference while it is registered`);
  for (let node = dev.devres.pop(); node !== undefined; node = dev.devres.pop()) {
    if (node.release() !== undefined)
      dev.kernel.ex.bug(`devres action ${node.name} of ${dev.name} sleeps in put_device`);
  }
  kobjectRemove(dev.kobj);
  dev.kernel.live.remove('kobjects', dev.name);
  dev.init.release?.(dev);
}

/** Every device below it, each before its own children. @kernel drivers/base/core.c device_for_each_child */
export function descendants(dev: DeviceImpl): DeviceImpl[] {
  return [...dev.children].flatMap((child) => [child, ...descendants(child)]);
}
