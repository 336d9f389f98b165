/**
 * A bus for tests: devices match the driver whose name is their container, each probe and remove is noted, and a
 * probe may be told to refuse.
 */
import { type ErrnoCode, KernelError } from '@nvme-stack/kernel';
import type { BusType, Device, DeviceCore, DeviceDriver, DeviceInit, ProbeType } from '../ports.js';

/** What the bus saw, in order: `probe a`, `remove a` … */
export class TestBus implements BusType {
  readonly name: string;
  readonly log: string[] = [];
  /** Errors that probing a device of that name throws. */
  readonly refusals = new Map<string, ErrnoCode>();

  constructor(name = 'test') {
    this.name = name;
  }

  match(dev: Device, drv: DeviceDriver): boolean {
    this.log.push(`match ${dev.name} ${drv.name}`);
    return dev.container === drv.name;
  }

  async probe(dev: Device): Promise<void> {
    this.log.push(`probe ${dev.name}`);
    const code = this.refusals.get(dev.name);
    if (code !== undefined) throw new KernelError(code, `probe of ${dev.name}`);
  }

  async remove(dev: Device): Promise<void> {
    this.log.push(`remove ${dev.name}`);
  }

  /** The log without the matches. */
  get events(): string[] {
    return this.log.filter((line) => !line.startsWith('match'));
  }
}

/** A driver that leaves everything to its bus. */
export function testDriver(
  bus: BusType,
  name: string,
  probeType: ProbeType = 'default',
  more: Partial<DeviceDriver> = {},
): DeviceDriver {
  return { name, bus, owner: name, probeType, container: null, ...more };
}

/** Registers a device that matches the driver `driverName`. */
export async function addTestDevice(
  core: DeviceCore,
  bus: BusType,
  name: string,
  driverName: string,
  more: Partial<DeviceInit> = {},
): Promise<Device> {
  const dev = core.deviceInitialize({ name, parent: null, container: driverName, bus, ...more });
  await core.deviceAdd(dev);
  return dev;
}
