import { traced } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { callTree, createTestCore } from './fixtures/test-core.js';
import type { BusType, Device, DeviceDriver } from './ports.js';
import { addTestDevice, TestBus, testDriver } from './testing.js';

/** A bus whose callbacks show in the trace under the PCI bus's symbols. */
function tracedBus(bus: TestBus): BusType {
  const match = traced('pci_bus_match', (dev: Device, drv: DeviceDriver) => bus.match(dev, drv));
  const probe = traced('pci_device_probe', (dev: Device) => bus.probe(dev));
  const dmaConfigure = traced('pci_dma_configure', (_: Device): void => {});
  return { name: bus.name, match, probe, dmaConfigure };
}

const REGISTER_HEAD = [
  'driver_register',
  '  driver_find',
  '  bus_add_driver',
  '    driver_attach',
  '      bus_for_each_dev',
];
const REGISTER_TAIL = [
  '    module_add_driver',
  '    driver_create_file',
  '    driver_add_groups',
  '    driver_create_file',
  '    driver_create_file',
  '  kobject_uevent_env',
];

function registrationTree(test: ReturnType<typeof createTestCore>): string[] {
  return callTree(test.kernel.trace.entries, 'driver_register');
}

describe('driver_register', () => {
  it('hands matching devices to a worker when the driver prefers it (Linux 6.12 captured)', async () => {
    const test = createTestCore();
    const bus = tracedBus(new TestBus('pci'));
    await test.run(async () => {
      test.core.busRegister(bus);
      await addTestDevice(test.core, bus, '00.0', 'bridge');
      await addTestDevice(test.core, bus, '04.0', 'nvme');
      await addTestDevice(test.core, bus, '1f.0', 'isa');
      await test.core.driverRegister(testDriver(bus, 'nvme', 'prefer-asynchronous'));
    });
    await test.run(() => test.core.waitForDeviceProbe());
    expect(registrationTree(test)).toEqual([
      ...REGISTER_HEAD,
      '        __driver_attach',
      '          pci_bus_match',
      '        __driver_attach',
      '          pci_bus_match',
      '          driver_allows_async_probing',
      '          async_schedule_node',
      '            async_schedule_node_domain',
      '              __async_schedule_node_domain',
      '        __driver_attach',
      '          pci_bus_match',
      ...REGISTER_TAIL,
    ]);
    expect(callTree(test.kernel.trace.entries, '__driver_attach_async_helper')).toEqual([
      '__driver_attach_async_helper',
      '  driver_probe_device',
      '    __driver_probe_device',
      '      really_probe',
      '        pci_dma_configure',
      '        driver_sysfs_add',
      '        pci_device_probe',
      '        driver_bound',
      '          driver_deferred_probe_trigger',
      '            queue_work_on',
      '          kobject_uevent_env',
    ]);
  });

  // @acceptance 18
  it('probes in the registering thread otherwise (Linux 6.1 captured)', async () => {
    const test = createTestCore({ profile: '6.1' });
    const bus = tracedBus(new TestBus('pci'));
    await test.run(async () => {
      test.core.busRegister(bus);
      await addTestDevice(test.core, bus, '04.0', 'nvme');
      await test.core.driverRegister(testDriver(bus, 'nvme'));
    });
    expect(registrationTree(test)).toEqual([
      ...REGISTER_HEAD.filter((symbol) => symbol !== '  driver_find'),
      '        __driver_attach',
      '          pci_bus_match',
      '          driver_allows_async_probing',
      '          driver_probe_device',
      '            __driver_probe_device',
      '              really_probe',
      '                pci_dma_configure',
      '                driver_sysfs_add',
      '                pci_device_probe',
      '                driver_bound',
      '                  driver_deferred_probe_trigger',
      '                    queue_work_on',
      '                  kobject_uevent_env',
      ...REGISTER_TAIL,
    ]);
  });

  it('in 4.13 asks once for the whole driver whether a worker may probe, and knows no bind uevent', async () => {
    const test = createTestCore({ profile: '4.13' });
    const bus = tracedBus(new TestBus('pci'));
    await test.run(async () => {
      test.core.busRegister(bus);
      await addTestDevice(test.core, bus, '04.0', 'nvme');
      await test.core.driverRegister(testDriver(bus, 'nvme'));
    });
    const tree = registrationTree(test).map((symbol) => symbol.trim());
    expect(tree.slice(0, 8)).toEqual([
      'driver_register',
      'driver_find',
      'bus_add_driver',
      'driver_allows_async_probing',
      'driver_attach',
      'bus_for_each_dev',
      '__driver_attach',
      'pci_bus_match',
    ]);
    expect(tree).not.toContain('__driver_probe_device');
    expect(tree).toContain('dma_configure');
    expect(test.core.uevents.map((event) => event.action)).not.toContain('bind');
  });

  // @acceptance 20
  it('tells user space after the probes, when the driver has all its files', async () => {
    const test = createTestCore();
    const bus = new TestBus('pci');
    let filesAtEvent: string[] = [];
    await test.run(async () => {
      test.core.busRegister(bus);
      await addTestDevice(test.core, bus, '04.0', 'nvme');
      test.core.subscribeUevents((event) => {
        if (event.devpath === '/bus/pci/drivers/nvme') filesAtEvent = test.core.sysfs.list(`/sys${event.devpath}`);
      });
      const groups = [{ attributes: [{ name: 'extra', mode: 0o444, show: () => 'x\n' }] }];
      await test.core.driverRegister(testDriver(bus, 'nvme', 'default', { groups }));
    });
    expect(filesAtEvent).toEqual(['04.0', 'bind', 'extra', 'uevent', 'unbind']);
    expect(test.core.uevents.map(({ action, devpath }) => `${action}@${devpath}`)).toEqual([
      'add@/bus/pci',
      'add@/devices/04.0',
      'bind@/devices/04.0',
      'add@/bus/pci/drivers/nvme',
    ]);
  });

  // @acceptance 15
  it.each(['6.12', '6.1'] as const)(
    'on a bus nobody registered returns -EINVAL with a message (%s)',
    async (profile) => {
      const test = createTestCore({ profile });
      const call = test.run(() => test.core.driverRegister(testDriver(new TestBus('pci'), 'nvme')));
      await expect(call).rejects.toMatchObject({ code: 'EINVAL' });
      expect(test.dmesg()).toEqual([
        "Driver 'nvme' was unable to register with bus_type 'pci' because the bus was not initialized.",
      ]);
    },
  );

  // @acceptance 15
  it.each(['4.13', '4.10'] as const)(
    'on a bus nobody registered is a BUG that halts the machine (%s)',
    async (profile) => {
      const test = createTestCore({ profile });
      const call = test.run(() => test.core.driverRegister(testDriver(new TestBus('pci'), 'nvme')));
      await expect(call).rejects.toThrow(/BUG: .*which is not registered/);
      expect(test.door.halted).not.toBeNull();
    },
  );

  // @acceptance 16
  it('warns when bus and driver both have a method, and goes on', async () => {
    const test = createTestCore();
    const bus = new TestBus();
    const drv = testDriver(bus, 'old', 'default', { probe: async () => {} });
    await test.run(async () => {
      test.core.busRegister(bus);
      await test.core.driverRegister(drv);
    });
    expect(test.dmesg()).toEqual(["Driver 'old' needs updating - please use bus_type methods"]);
    expect(test.core.sysfs.exists('/sys/bus/test/drivers/old')).toBe(true);
  });

  // @acceptance 17
  it('refuses a name that is taken, with -EBUSY and a line in the log', async () => {
    const test = createTestCore();
    const bus = new TestBus();
    await test.run(async () => {
      test.core.busRegister(bus);
      await test.core.driverRegister(testDriver(bus, 'nvme'));
    });
    const again = test.run(() => test.core.driverRegister(testDriver(bus, 'nvme')));
    await expect(again).rejects.toMatchObject({ code: 'EBUSY' });
    expect(test.dmesg()).toEqual(["Error: Driver 'nvme' is already registered, aborting..."]);
  });

  // @acceptance 19
  it('unwinds everything when the driver groups cannot be added', async () => {
    const test = createTestCore();
    const bus = new TestBus();
    const drv = testDriver(bus, 'nvme');
    const dev = await test.run(async () => {
      test.core.busRegister(bus);
      test.kernel.live.baseline();
      return addTestDevice(test.core, bus, 'a', 'nvme');
    });
    test.faults.set('driver_register/driver_add_groups:nvme', -12);
    await expect(test.run(() => test.core.driverRegister(drv))).rejects.toMatchObject({ code: 'ENOMEM' });
    expect(bus.events).toEqual(['probe a', 'remove a']);
    expect(dev.driver).toBeNull();
    expect(test.core.sysfs.list('/sys/bus/test/drivers')).toEqual([]);
    expect(test.core.uevents.some((event) => event.devpath.includes('/drivers/'))).toBe(false);
    await test.run(async () => {
      await test.core.deviceDel(dev);
      test.core.putDevice(dev);
    });
    expect(test.kernel.live.leaks()).toEqual([]);
    test.faults.clear();
    await test.run(() => test.core.driverRegister(drv));
  });

  // @acceptance 14
  it.each(['6.12', '4.13', '4.10'] as const)(
    'checks the bus, warns of a clash, looks for the name, adds the driver, its groups, and tells user space (%s)',
    async (profile) => {
      const symbols = (test: ReturnType<typeof createTestCore>): string[] =>
        registrationTree(test).map((symbol) => symbol.trim());
      const clashing = (bus: TestBus, more: Partial<DeviceDriver> = {}): DeviceDriver =>
        testDriver(bus, 'nvme', 'default', { probe: async () => {}, ...more });

      // Nothing is looked at, or warned of, before the bus is known to be there.
      const unregistered = createTestCore({ profile });
      await expect(unregistered.run(() => unregistered.core.driverRegister(clashing(new TestBus())))).rejects.toThrow();
      expect(unregistered.dmesg().join()).not.toContain('needs updating');
      expect(symbols(unregistered)).toEqual(['driver_register']);

      // The warning comes before the name is looked for; a name that is taken ends it before anything is added.
      const taken = createTestCore({ profile });
      const bus = new TestBus();
      await taken.run(async () => {
        taken.core.busRegister(bus);
        await taken.core.driverRegister(testDriver(bus, 'nvme'));
      });
      const before = taken.kernel.trace.entries.length;
      await expect(taken.run(() => taken.core.driverRegister(clashing(bus)))).rejects.toMatchObject({ code: 'EBUSY' });
      expect(taken.dmesg()).toEqual([
        "Driver 'nvme' needs updating - please use bus_type methods",
        "Error: Driver 'nvme' is already registered, aborting...",
      ]);
      expect(callTree(taken.kernel.trace.entries.slice(before), 'driver_register')).toEqual([
        'driver_register',
        '  driver_find',
      ]);

      // The rest in its order: when the groups are made, the devices have been probed; when the event is sent, all is there.
      const good = createTestCore({ profile });
      const order: string[] = [];
      const own = new TestBus();
      await good.run(async () => {
        good.core.busRegister(own);
        await addTestDevice(good.core, own, 'a', 'nvme');
        good.core.subscribeUevents(({ action, devpath }) => order.push(`${action} ${devpath}`));
        const groups = [
          {
            attributes: [{ name: 'extra', mode: 0o444, show: () => 'x\n' }],
            isVisible: () => {
              order.push(`groups after ${own.events.join(', ')}`);
              return true;
            },
          },
        ];
        await good.core.driverRegister(testDriver(own, 'nvme', 'default', { groups }));
      });
      expect(order.filter((step) => !step.startsWith('bind'))).toEqual([
        'groups after probe a',
        'add /bus/test/drivers/nvme',
      ]);
      expect(symbols(good).slice(0, 3)).toEqual(['driver_register', 'driver_find', 'bus_add_driver']);
      expect(symbols(good).at(-1)).toBe('kobject_uevent_env');
    },
  );

  it('goes on without bus groups that cannot be added, and says so', async () => {
    const test = createTestCore();
    const bus = new TestBus();
    test.faults.set('bus_add_driver/driver_add_groups:nvme', -12);
    await test.run(async () => {
      test.core.busRegister(bus);
      await test.core.driverRegister(testDriver(bus, 'nvme'));
    });
    expect(test.dmesg()).toEqual(['bus_add_driver: driver_add_groups(nvme) failed']);
  });

  it('leaves nothing when its kobject cannot be made', async () => {
    const test = createTestCore();
    const bus = new TestBus();
    await test.run(async () => test.core.busRegister(bus));
    test.kernel.live.baseline();
    test.faults.set('kobject_add:nvme', -12);
    await expect(test.run(() => test.core.driverRegister(testDriver(bus, 'nvme')))).rejects.toMatchObject({
      code: 'ENOMEM',
    });
    expect(test.kernel.live.leaks()).toEqual([]);
    await test.run(async () => expect(test.core.driverFind('nvme', bus)).toBeNull());
  });
});
