/**
 * What every driver core must do, as cases any implementation can run: each throws when it does not hold. A case
 * runs as a task on a fresh machine.
 */
import { KernelError } from '@nvme-stack/kernel';
import type { DeviceCore } from '../ports.js';
import { addTestDevice, TestBus, testDriver } from './test-bus.js';

/** One law. */
export interface ContractCase {
  readonly name: string;
  run(core: DeviceCore): Promise<void>;
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`contract broken: ${what}`);
}

async function codeOf(step: () => Promise<unknown>): Promise<string> {
  try {
    await step();
    return 'none';
  } catch (error) {
    if (KernelError.is(error)) return error.code;
    throw error;
  }
}

/** The suite. */
export const DEVICE_CORE_CONTRACT: readonly ContractCase[] = [
  {
    name: 'a driver that arrives probes the devices that are there, in order',
    run: async (core) => {
      const bus = new TestBus();
      core.busRegister(bus);
      await addTestDevice(core, bus, 'a', 'drv');
      await addTestDevice(core, bus, 'b', 'drv');
      await core.driverRegister(testDriver(bus, 'drv'));
      check(bus.events.join() === 'probe a,probe b', bus.events.join());
    },
  },
  {
    name: 'a device that arrives is probed by the driver that is there',
    run: async (core) => {
      const bus = new TestBus();
      core.busRegister(bus);
      const drv = testDriver(bus, 'drv');
      await core.driverRegister(drv);
      const dev = await addTestDevice(core, bus, 'a', 'drv');
      check(dev.driver === drv, 'not bound');
    },
  },
  {
    name: 'a driver that leaves unbinds every device first, the last bound first',
    run: async (core) => {
      const bus = new TestBus();
      core.busRegister(bus);
      const drv = testDriver(bus, 'drv');
      const devices = [await addTestDevice(core, bus, 'a', 'drv'), await addTestDevice(core, bus, 'b', 'drv')];
      await core.driverRegister(drv);
      await core.driverUnregister(drv);
      check(bus.events.slice(2).join() === 'remove b,remove a', bus.events.join());
      check(
        devices.every((dev) => dev.driver === null),
        'still bound',
      );
    },
  },
  {
    name: 'a probe that refuses leaves nothing on the device',
    run: async (core) => {
      const bus = new TestBus();
      core.busRegister(bus);
      bus.refusals.set('a', 'EIO');
      const dev = await addTestDevice(core, bus, 'a', 'drv');
      await core.driverRegister(testDriver(bus, 'drv'));
      check(dev.driver === null && dev.driverData === null, 'driver left behind');
      check(!core.sysfs.exists(`${dev.kobj.path}/driver`), 'link left behind');
    },
  },
  {
    name: 'names on a bus are taken once',
    run: async (core) => {
      const bus = new TestBus();
      core.busRegister(bus);
      await core.driverRegister(testDriver(bus, 'drv'));
      check((await codeOf(() => core.driverRegister(testDriver(bus, 'drv')))) === 'EBUSY', 'driver name');
      await addTestDevice(core, bus, 'a', '');
      check((await codeOf(() => addTestDevice(core, bus, 'a', ''))) === 'EEXIST', 'device name');
    },
  },
  {
    name: 'the last reference releases a device, and not before it is deleted',
    run: async (core) => {
      const bus = new TestBus();
      core.busRegister(bus);
      let released = 0;
      const dev = await addTestDevice(core, bus, 'a', '', { release: () => released++ });
      core.getDevice(dev);
      await core.deviceDel(dev);
      core.putDevice(dev);
      check(released === 0, 'released early');
      core.putDevice(dev);
      check(released === 1, 'not released');
    },
  },
];
