import { KernelError, sleepNs } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestCore } from './fixtures/test-core.js';
import type { Device, DeviceDriver } from './ports.js';
import { addTestDevice, TestBus, testDriver } from './testing.js';

async function world(options: Parameters<typeof createTestCore>[0] = {}) {
  const test = createTestCore(options);
  const bus = new TestBus();
  await test.run(async () => test.core.busRegister(bus));
  return { ...test, bus };
}

/** A bus whose probe and remove take time, so that others come in between. */
class SlowBus extends TestBus {
  inside = 0;
  most = 0;
  private readonly pause: () => Promise<void>;

  constructor(pause: () => Promise<void>) {
    super('slow');
    this.pause = pause;
  }

  override async probe(dev: Device): Promise<void> {
    await this.slowly(() => super.probe(dev));
  }

  override async remove(dev: Device): Promise<void> {
    await this.slowly(() => super.remove(dev));
  }

  private async slowly(step: () => Promise<void>): Promise<void> {
    this.most = Math.max(this.most, ++this.inside);
    await this.pause();
    await step();
    this.inside--;
  }
}

describe('a probe that refuses', () => {
  it.each([
    ['6.12', 'drv a: probe with driver drv failed with error -5'],
    ['6.1', 'drv: probe of a failed with error -5'],
    ['4.13', 'drv: probe of a failed with error -5'],
  ] as const)('is logged in the words of %s and undone in reverse', async (profile, line) => {
    const { core, run, bus, dmesg } = await world({ profile });
    const order: string[] = [];
    bus.probe = async (dev) => {
      dev.driverData = 'half built';
      core.devmAddAction(dev, 'first', () => void order.push('first'));
      core.devmAddAction(dev, 'second', async () => {
        await sleepNs(core.kernel, 1000);
        order.push('second');
      });
      throw new KernelError('EIO', 'no answer');
    };
    const dev = await run(async () => {
      await core.driverRegister(testDriver(bus, 'drv'));
      return addTestDevice(core, bus, 'a', 'drv');
    });
    expect(order).toEqual(['second', 'first']);
    expect(dmesg()).toEqual([line]);
    expect(dev).toMatchObject({ driver: null, driverData: null });
    expect(core.sysfs.list('/sys/bus/test/drivers/drv')).toEqual(['bind', 'uevent', 'unbind']);
  });

  it.each(['ENODEV', 'ENXIO'] as const)('with %s says nothing, and the next driver is tried', async (code) => {
    const { core, run, bus, dmesg } = await world();
    bus.match = () => true;
    bus.probe = async (dev) => {
      if (dev.driver?.name === 'one') throw new KernelError(code, 'not mine');
    };
    const dev = await run(async () => {
      await core.driverRegister(testDriver(bus, 'one'));
      await core.driverRegister(testDriver(bus, 'two'));
      return addTestDevice(core, bus, 'a', '');
    });
    expect(dev.driver?.name).toBe('two');
    expect(dmesg()).toEqual([]);
  });

  it('is undone when the links to the driver cannot be made', async () => {
    const { core, run, bus, faults, dmesg } = await world();
    faults.set('driver_sysfs_add:a', -12);
    const dev = await run(async () => {
      await core.driverRegister(testDriver(bus, 'drv'));
      return addTestDevice(core, bus, 'a', 'drv');
    });
    expect(dev.driver).toBeNull();
    expect(bus.events).toEqual([]);
    expect(dmesg()).toEqual(['really_probe: driver_sysfs_add(a) failed']);
  });

  it('does not start over resources somebody left behind', async () => {
    const { core, run, bus, dmesg } = await world();
    await run(async () => {
      const dev = core.deviceInitialize({ name: 'a', parent: null, container: 'drv', bus });
      core.devmAddAction(dev, 'left', () => {});
      await core.deviceAdd(dev);
      await core.driverRegister(testDriver(bus, 'drv'));
    });
    expect(bus.events).toEqual([]);
    expect(dmesg()).toEqual(['test a: Resources present before probing']);
  });
});

describe('a deferred probe', () => {
  it('is tried again when another driver has bound', async () => {
    const { core, run, bus } = await world();
    let supplier = false;
    bus.probe = async (dev) => {
      bus.log.push(`probe ${dev.name}`);
      if (dev.name === 'supplier') supplier = true;
      else if (!supplier) throw new KernelError('EPROBE_DEFER', 'no supplier yet');
    };
    const [consumer] = await run(async () => {
      const devices = [
        await addTestDevice(core, bus, 'consumer', 'c'),
        await addTestDevice(core, bus, 'supplier', 's'),
      ];
      await core.driverRegister(testDriver(bus, 'c'));
      await core.driverRegister(testDriver(bus, 's'));
      await core.waitForDeviceProbe();
      return devices;
    });
    expect(bus.events).toEqual(['probe consumer', 'probe supplier', 'probe consumer']);
    expect(consumer?.driver?.name).toBe('c');
  });

  it('is forgotten when its device goes', async () => {
    const { core, run, bus, kernel } = await world();
    kernel.live.baseline();
    bus.refusals.set('consumer', 'EPROBE_DEFER');
    await run(async () => {
      const drivers = [testDriver(bus, 'c'), testDriver(bus, 's')];
      const consumer = await addTestDevice(core, bus, 'consumer', 'c');
      await core.driverRegister(drivers[0] as DeviceDriver);
      await core.deviceDel(consumer);
      core.putDevice(consumer);
      const supplier = await addTestDevice(core, bus, 'supplier', 's');
      await core.driverRegister(drivers[1] as DeviceDriver);
      await core.waitForDeviceProbe();
      await core.deviceDel(supplier);
      core.putDevice(supplier);
      for (const drv of drivers) await core.driverUnregister(drv);
    });
    expect(bus.events.filter((line) => line === 'probe consumer')).toHaveLength(1);
    expect(kernel.live.leaks()).toEqual([]);
  });
});

describe('binding by hand', () => {
  async function bound(profile: '6.12' | '4.13' = '6.12') {
    const w = await world({ profile });
    const drv = testDriver(w.bus, 'drv');
    const dev = await w.run(async () => {
      await w.core.driverRegister(drv);
      return addTestDevice(w.core, w.bus, 'a', 'drv');
    });
    const write = (file: string, text: string) => w.run(() => w.core.sysfs.write(`/sys/bus/test/${file}`, text));
    return { ...w, drv, dev, write };
  }

  it('unbinds and binds', async () => {
    const { core, dev, drv, bus, write } = await bound();
    await write('drivers/drv/unbind', 'a\n');
    expect(dev.driver).toBeNull();
    expect(core.sysfs.exists('/sys/devices/a/driver')).toBe(false);
    await write('drivers/drv/bind', 'a\n');
    expect(dev.driver).toBe(drv);
    expect(core.sysfs.readlink('/sys/devices/a/driver')).toBe('../../bus/test/drivers/drv');
    expect(bus.events).toEqual(['probe a', 'remove a', 'probe a']);
    expect(core.uevents.slice(-3).map((event) => event.action)).toEqual(['bind', 'unbind', 'bind']);
  });

  it.each([
    ['unbind', 'nobody', 'ENODEV'],
    ['bind', 'nobody', 'ENODEV'],
    ['bind', 'a', 'EBUSY'],
  ])('refuses to %s %s with %s', async (file, name, code) => {
    const { write } = await bound();
    await expect(write(`drivers/drv/${file}`, name)).rejects.toMatchObject({ code });
  });

  it.each([
    ['6.12', 'EIO', 'EIO'],
    ['6.12', 'EPROBE_DEFER', 'EAGAIN'],
    ['4.13', 'EIO', 'ENODEV'],
  ] as const)('returns what %s returns for a probe that refuses with %s: %s', async (profile, refusal, code) => {
    const { bus, write } = await bound(profile);
    await write('drivers/drv/unbind', 'a');
    bus.refusals.set('a', refusal);
    await expect(write('drivers/drv/bind', 'a')).rejects.toMatchObject({ code });
  });

  it('without autoprobe waits for drivers_probe', async () => {
    const { core, run, bus, write } = await bound();
    await write('drivers_autoprobe', '0');
    expect(core.sysfs.read('/sys/bus/test/drivers_autoprobe')).toBe('0\n');
    const late = await run(() => addTestDevice(core, bus, 'late', 'drv'));
    expect(late.driver).toBeNull();
    await write('drivers_probe', 'late');
    expect(late.driver?.name).toBe('drv');
    await expect(write('drivers_probe', 'nobody')).rejects.toMatchObject({ code: 'ENODEV' });
  });

  it('does not probe a device its bus is still adding', async () => {
    const { core, run, bus } = await bound();
    await run(async () => {
      const dev = core.deviceInitialize({ name: 'b', parent: null, container: 'drv', bus });
      dev.matchDriver = false;
      await core.deviceAdd(dev);
      expect(dev.driver).toBeNull();
      await core.driverRegister(testDriver(bus, 'late'));
      expect(bus.log).toContain('match b late');
      expect(dev.driver).toBeNull();
      dev.matchDriver = true;
      await core.deviceAttach(dev);
      expect(dev.driver?.name).toBe('drv');
    });
  });
});

describe('several at once', () => {
  it.each(Array.from({ length: 12 }, (_, seed) => seed))(
    'binding, unbinding and hot-plug take turns (seed %i)',
    async (seed) => {
      const test = createTestCore({ seed, interleave: true });
      const { core, kernel, door } = test;
      const bus = new SlowBus(() => sleepNs(kernel, 500));
      const drv = testDriver(bus, 'drv', seed % 2 === 0 ? 'default' : 'prefer-asynchronous');
      const dev = await test.run(async () => {
        core.busRegister(bus);
        kernel.live.baseline();
        return addTestDevice(core, bus, 'a', 'drv');
      });
      const write = (file: string) =>
        door
          .call(file, () => core.sysfs.write(`/sys/bus/slow/drivers/drv/${file}`, 'a'))
          .catch((error: unknown) => {
            if (!KernelError.is(error)) throw error;
          });
      await door.call('insmod', () => core.driverRegister(drv));
      await Promise.all([write('unbind'), write('bind'), write('unbind'), write('bind'), write('unbind')]);
      await test.run(() => core.waitForDeviceProbe());
      expect(bus.most).toBe(1);
      const probes = bus.events.filter((line) => line === 'probe a').length;
      const removes = bus.events.length - probes;
      expect(probes - removes).toBe(dev.driver === null ? 0 : 1);
      await Promise.all([door.call('rmmod', () => core.driverUnregister(drv)), write('bind')]);
      expect(dev.driver).toBeNull();
      await test.run(async () => {
        await core.deviceDel(dev);
        core.putDevice(dev);
      });
      expect(kernel.live.leaks()).toEqual([]);
      expect(door.halted).toBeNull();
    },
  );

  it('a driver does not leave while a hot-plugged device is being probed with it', async () => {
    const { core, kernel, door, run } = createTestCore();
    const bus = new SlowBus(() => sleepNs(kernel, 5000));
    const drv = testDriver(bus, 'drv');
    await run(async () => {
      core.busRegister(bus);
      await core.driverRegister(drv);
    });
    const plugging = door.call('plug', () => addTestDevice(core, bus, 'a', 'drv'));
    const leaving = door.call('rmmod', async () => {
      await sleepNs(kernel, 2000);
      await core.driverUnregister(drv);
      expect(bus.events).toEqual(['probe a', 'remove a']);
    });
    const [dev] = await Promise.all([plugging, leaving]);
    expect(dev.driver).toBeNull();
  });

  it('a device that goes while a worker is on its way to it is not probed', async () => {
    const { core, run, bus, kernel, dmesg } = await world();
    kernel.live.baseline();
    await run(async () => {
      const dev = await addTestDevice(core, bus, 'a', 'drv');
      const drv = testDriver(bus, 'drv', 'prefer-asynchronous');
      await core.driverRegister(drv);
      await core.deviceDel(dev);
      core.putDevice(dev);
      await core.driverUnregister(drv);
    });
    expect(bus.events).toEqual([]);
    expect(dmesg()).toEqual([]);
    expect(kernel.live.leaks()).toEqual([]);
  });
});
