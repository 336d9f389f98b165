import type { BusType } from '@nvme-stack/device-core/ports';
import { KernelError } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { callTree, createTestBus, idOf, LoggingDriver, NVME_CLASS } from './fixtures/test-bus.js';
import { pciMatchId } from './match.js';
import { PCI_ANY_ID, type PciDev } from './ports.js';
import { TestFunction } from './testing/test-function.js';

const intel = { vendorId: 0x8086, deviceId: 0x0953 };

describe('pci_match_id', () => {
  const pdev = { vendor: 0x8086, device: 0x0953, subsystemVendor: 0x1af4, subsystemDevice: 0x1100, class: 0x010802 };
  const zero = { vendor: 0, device: 0, subvendor: 0, subdevice: 0, class: 0, classMask: 0, driverData: 0 };
  const table: [string, Parameters<typeof pciMatchId>[0], number | null][] = [
    ['takes the first entry that matches', [idOf(0x8086, 0x0953, 1), { ...NVME_CLASS, driverData: 2 }], 1],
    ['lets the class decide where ids are any', [idOf(0x8086, 0x1, 1), { ...NVME_CLASS, driverData: 2 }], 2],
    ['stops at the all-zero entry', [zero, idOf(0x8086, 0x0953, 1)], null],
    ['compares the class under its mask', [{ ...NVME_CLASS, class: 0x010800, classMask: 0xffff00 }], 7],
    ['refuses another class', [{ ...NVME_CLASS, class: 0x010601 }], null],
    ['compares the subsystem ids', [{ ...idOf(0x8086, 0x0953, 3), subvendor: 0x1af4, subdevice: 0x1101 }], null],
    ['takes PCI_ANY_ID for any', [idOf(PCI_ANY_ID, PCI_ANY_ID, 4)], 4],
  ];
  // @acceptance 25 33
  it.each(table)('%s', (_, ids, driverData) => {
    expect(pciMatchId(ids, pdev)?.driverData ?? null).toBe(driverData);
  });
});

describe('binding', () => {
  // @acceptance 13
  it.each(['4.10', '4.13', '6.1', '6.12'] as const)(
    'registers a driver of this bus under its name, with its module and groups, and without dynamic ids (%s)',
    async (profile) => {
      const test = createTestBus({
        kernel: { profile },
        slots: [{ devfn: 8, function: new TestFunction({ identity: { classCode: 0x060000 } }) }],
      });
      await test.probe();
      const groups = [{ attributes: [{ name: 'extra', mode: 0o444, show: () => 'x\n' }] }];
      const pm = { suspend: async () => {} };
      const driver = Object.assign(new LoggingDriver('nvme', [NVME_CLASS]), { groups, pm });
      const { sysfs } = test.core;
      await test.run(async () => {
        test.core.kobjectCreate('test', test.core.kobjectCreate('module', null));
        await test.bus.pciRegisterDriver(driver);
      });
      expect(sysfs.list('/sys/bus/pci/drivers/nvme')).toEqual([
        'bind',
        'extra',
        'module',
        'new_id',
        'remove_id',
        'uevent',
        'unbind',
      ]);
      expect(sysfs.readlink('/sys/bus/pci/drivers/nvme/module')).toMatch(/module\/test$/);
      expect(sysfs.list('/sys/module/test/drivers')).toEqual(['pci:nvme']);
      const { bus } = (test.bus.devices[0] as PciDev).dev;
      const found = await test.run(async () => test.core.driverFind('nvme', bus as BusType));
      expect(found).toMatchObject({ name: 'nvme', owner: 'test', bus: { name: 'pci' }, pm, groups });
      expect(found?.container).toMatchObject({ driver, dynids: [] });
      const tree = callTree(test.kernel.trace.entries, 'test', '__pci_register_driver');
      expect(tree.slice(0, 2)).toEqual(['__pci_register_driver', '  driver_register']);
    },
  );

  // @acceptance 32
  it('offers every device to a driver that arrives, and probes what matches, as Linux 6.12 was captured', async () => {
    const test = createTestBus({
      slots: [
        { devfn: 0, function: new TestFunction({ identity: { classCode: 0x060000 } }) },
        { devfn: 32, function: new TestFunction() },
        { devfn: 0xf8, function: new TestFunction({ identity: { classCode: 0x060100 } }) },
      ],
    });
    await test.probe();
    const driver = new LoggingDriver('nvme', [NVME_CLASS]);
    await test.run(() => test.bus.pciRegisterDriver(driver));
    expect(driver.log).toEqual(['probe 0000:00:04.0 7']);
    const tree = callTree(test.kernel.trace.entries, 'test', '__pci_register_driver');
    expect(tree[1]).toBe('  driver_register');
    expect(tree.filter((line) => line.trim() === 'pci_bus_match')).toHaveLength(3);
    const match = tree.findIndex((line) => line.trim() === 'pci_bus_match');
    expect(tree[match + 1]).toBe(tree[match]?.replace('pci_bus_match', '  pci_match_device'));
    const wanted = [
      'pci_dma_configure',
      'driver_sysfs_add',
      'pci_device_probe',
      '  pci_match_device',
      '  local_pci_probe',
    ];
    const at = tree.findIndex((line) => line.trim() === 'pci_dma_configure');
    const indent = (tree[at] as string).length - 'pci_dma_configure'.length;
    expect(tree.slice(at, at + 5)).toEqual(wanted.map((symbol) => ' '.repeat(indent) + symbol));
  });

  it('finds the driver for a device that comes later', async () => {
    const test = createTestBus();
    await test.probe();
    const driver = new LoggingDriver('nvme', [NVME_CLASS]);
    await test.run(() => test.bus.pciRegisterDriver(driver));
    test.bridge.add({ devfn: 8, function: new TestFunction() });
    await test.run(() => test.bus.pciRescanBus());
    expect(driver.log).toEqual(['probe 0000:00:01.0 7']);
  });

  it('looks for new devices when /sys/bus/pci/rescan is written, and takes 0 and 1 alone', async () => {
    const test = createTestBus();
    await test.probe();
    const driver = new LoggingDriver('nvme', [NVME_CLASS]);
    await test.run(() => test.bus.pciRegisterDriver(driver));
    test.bridge.add({ devfn: 8, function: new TestFunction() });
    const rescan = (text: string): Promise<void> => test.run(() => test.core.sysfs.write('/sys/bus/pci/rescan', text));
    await rescan('0');
    expect(test.bus.devices).toHaveLength(0);
    await rescan('1\n');
    await rescan('1');
    expect(driver.log).toEqual(['probe 0000:00:01.0 7']);
    await expect(rescan('x')).rejects.toMatchObject({ code: 'EINVAL' });
    expect(test.core.sysfs.stat('/sys/bus/pci/rescan').mode).toBe(0o200);
  });

  it('leaves a device alone while drivers_autoprobe is 0, until drivers_probe names it', async () => {
    const test = createTestBus({ slots: [{ devfn: 8, function: new TestFunction() }] });
    await test.probe();
    const write = (name: string, text: string): Promise<void> =>
      test.run(() => test.core.sysfs.write(`/sys/bus/pci/${name}`, text));
    await write('drivers_autoprobe', '0');
    const driver = new LoggingDriver('nvme', [NVME_CLASS]);
    await test.run(() => test.bus.pciRegisterDriver(driver));
    expect([driver.log, test.core.sysfs.read('/sys/bus/pci/drivers_autoprobe')]).toEqual([[], '0\n']);
    await expect(write('drivers_probe', '0000:00:1f.0')).rejects.toMatchObject({ code: 'ENODEV' });
    await write('drivers_probe', '0000:00:01.0');
    expect(driver.log).toEqual(['probe 0000:00:01.0 7']);
  });

  it('leaves the device without a driver when probe fails, and logs as Linux does', async () => {
    const test = createTestBus({ slots: [{ devfn: 8, function: new TestFunction() }] });
    await test.probe();
    const driver = new LoggingDriver('nvme', [NVME_CLASS], async () => {
      throw new KernelError('ENOMEM', 'probe');
    });
    await test.run(() => test.bus.pciRegisterDriver(driver));
    expect(test.bus.devices[0]?.dev.driver).toBeNull();
    expect(test.bus.devices[0]?.irq).toBe(0);
    expect(test.dmesg()).toContain('nvme 0000:00:01.0: probe with driver nvme failed with error -12');
  });

  it('unbinds every device when the driver goes, and the device when it goes', async () => {
    const test = createTestBus({
      slots: [
        { devfn: 8, function: new TestFunction() },
        { devfn: 16, function: new TestFunction() },
      ],
    });
    await test.probe();
    const driver = new LoggingDriver('nvme', [NVME_CLASS]);
    await test.run(() => test.bus.pciRegisterDriver(driver));
    await test.run(() => test.core.sysfs.write('/sys/bus/pci/devices/0000:00:01.0/remove', '1'));
    expect(test.bus.pciGetDevice('0000:00:01.0')).toBeNull();
    expect(test.kernel.iomem.show()).not.toContain('0000:00:01.0');
    await test.run(() => test.bus.pciUnregisterDriver(driver));
    expect(driver.log.slice(2)).toEqual(['remove 0000:00:01.0', 'remove 0000:00:02.0']);
    expect(test.irqs.descs.size).toBe(0);
  });

  it('refuses a second driver of the same name', async () => {
    const test = createTestBus();
    await test.probe();
    await test.run(() => test.bus.pciRegisterDriver(new LoggingDriver('nvme', [])));
    await expect(test.run(() => test.bus.pciRegisterDriver(new LoggingDriver('nvme', [])))).rejects.toMatchObject({
      code: 'EBUSY',
    });
  });

  it('probes on a CPU of the device’s node', async () => {
    const test = createTestBus({
      kernel: { nrNodes: 2, nrCpus: 4 },
      numaNode: 1,
      slots: [{ devfn: 8, function: new TestFunction() }],
    });
    await test.probe();
    const cpus: number[] = [];
    const driver = new LoggingDriver('nvme', [NVME_CLASS], async (pdev) => {
      cpus.push(pdev.kernel.ex.cpu);
    });
    await test.run(() => test.bus.pciRegisterDriver(driver));
    expect(cpus.map((cpu) => test.kernel.cpuToNode(cpu))).toEqual([1]);
  });

  it('gives the driver’s groups to the device while it is bound', async () => {
    const test = createTestBus({ slots: [{ devfn: 8, function: new TestFunction() }] });
    await test.probe();
    const driver = Object.assign(new LoggingDriver('nvme', [NVME_CLASS]), {
      devGroups: [{ attributes: [{ name: 'pools', mode: 0o444, show: () => 'x\n' }] }],
    });
    await test.run(() => test.bus.pciRegisterDriver(driver));
    const path = '/sys/bus/pci/devices/0000:00:01.0/pools';
    expect(await test.run(async () => test.core.sysfs.exists(path))).toBe(true);
    await test.run(() => test.bus.pciUnregisterDriver(driver));
    expect(await test.run(async () => test.core.sysfs.exists(path))).toBe(false);
  });
});

describe('dynamic ids and overrides', () => {
  async function bound() {
    const test = createTestBus({ slots: [{ devfn: 8, function: new TestFunction({ identity: intel }) }] });
    await test.probe();
    const driver = new LoggingDriver('nvme', [idOf(0x1234, 0x5678, 9)]);
    await test.run(() => test.bus.pciRegisterDriver(driver));
    const write = (path: string, text: string): Promise<void> =>
      test.run(() => test.core.sysfs.write(`/sys/bus/pci/${path}`, text));
    return { test, driver, write };
  }

  // @acceptance 25
  it('binds what new_id names, and forgets it on remove_id', async () => {
    const { driver, write } = await bound();
    expect(driver.log).toEqual([]);
    await write('drivers/nvme/new_id', '8086 0953');
    expect(driver.log).toEqual(['probe 0000:00:01.0 0']);
    await write('drivers/nvme/remove_id', '8086 0953');
    await expect(write('drivers/nvme/remove_id', '8086 0953')).rejects.toMatchObject({ code: 'ENODEV' });
  });

  it('refuses an id without a device, one that is there, and driver data no entry has', async () => {
    const { write } = await bound();
    await expect(write('drivers/nvme/new_id', '8086')).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(write('drivers/nvme/new_id', '1234 5678')).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(write('drivers/nvme/new_id', '8086 1 ffffffff ffffffff 0 0 5')).rejects.toMatchObject({
      code: 'EINVAL',
    });
    await write('drivers/nvme/new_id', '8086 1 ffffffff ffffffff 0 0 9');
  });

  // @acceptance 25
  it('lets an override bind what no id names, and shut out what one does', async () => {
    const { test, driver, write } = await bound();
    await write('devices/0000:00:01.0/driver_override', 'nvme\n');
    await write('drivers_probe', '0000:00:01.0');
    expect(driver.log).toEqual(['probe 0000:00:01.0 0']);
    await write('drivers/nvme/unbind', '0000:00:01.0');
    await write('drivers/nvme/new_id', '8086 0953');
    await write('drivers/nvme/unbind', '0000:00:01.0');
    await write('devices/0000:00:01.0/driver_override', 'vfio-pci');
    await write('drivers_probe', '0000:00:01.0');
    expect(test.bus.devices[0]?.dev.driver).toBeNull();
    await write('devices/0000:00:01.0/driver_override', '\n');
    expect(await test.run(async () => test.core.sysfs.read('/sys/bus/pci/devices/0000:00:01.0/driver_override'))).toBe(
      '(null)\n',
    );
  });
});
