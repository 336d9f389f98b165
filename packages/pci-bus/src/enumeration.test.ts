import {
  addExpress,
  ConfigSpace,
  PCI_COMMAND,
  PCI_EXP_TYPE_ENDPOINT,
  PCI_EXP_TYPE_ROOT_PORT,
  PCI_MEMORY_BASE,
  PCI_MEMORY_LIMIT,
  type PciFunction,
  writeBridgeHeader,
} from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { callTree, createTestBus } from './fixtures/test-bus.js';
import { pciConfigAccessContract } from './testing/contracts.js';
import { TestFunction } from './testing/test-function.js';

function bridgeFunction(slotNumber?: number): PciFunction {
  const config = new ConfigSpace();
  writeBridgeHeader(config, { vendorId: 0x1b36, deviceId: 0xc, revisionId: 0, classCode: 0x060400 });
  addExpress(config, {
    offset: 0x54,
    type: PCI_EXP_TYPE_ROOT_PORT,
    ...(slotNumber === undefined ? {} : { slotNumber }),
  });
  return {
    attach: () => {},
    configRead: (offset, size) => config.read(offset, size),
    configWrite: (offset, value, size) => config.write(offset, value, size),
    barRead: () => 0,
    barWrite: () => {},
    deferred: () => {},
    alarm: () => {},
    reset: () => {},
  };
}

const endpointBehindPort = () =>
  new TestFunction({ capabilities: [{ kind: 'express', offset: 0x80, type: PCI_EXP_TYPE_ENDPOINT }] });

describe('enumeration', () => {
  // @acceptance 22
  it('walks configuration space with the kernel’s functions in the kernel’s order', async () => {
    const test = createTestBus({ slots: [{ devfn: 4 << 3, function: new TestFunction() }] });
    await test.probe();
    const tree = callTree(test.kernel.trace.entries, 'test', 'pci_host_probe');
    const order = [
      'pci_scan_single_device',
      'pci_scan_device',
      'pci_bus_read_dev_vendor_id',
      'pci_setup_device',
      'pci_device_add',
      'device_add',
      'pci_bus_add_device',
      'device_attach',
    ];
    const trimmed = tree.map((line) => line.trim());
    let from = trimmed.lastIndexOf('pci_scan_single_device', trimmed.indexOf('pci_setup_device'));
    for (const symbol of order) {
      const found = trimmed.indexOf(symbol, from);
      expect(found, symbol).toBeGreaterThanOrEqual(from);
      from = found;
    }
  });

  it('finds functions 1..7 only where function 0 says there are some', async () => {
    const multi = new TestFunction({ identity: { multiFunction: true } });
    const test = createTestBus({
      slots: [
        { devfn: 8, function: multi },
        { devfn: 10, function: new TestFunction() },
        { devfn: 16, function: new TestFunction() },
        { devfn: 17, function: new TestFunction() },
      ],
    });
    await test.probe();
    expect(test.bus.devices.map((pdev) => pdev.dev.name)).toEqual(['0000:00:01.0', '0000:00:01.2', '0000:00:02.0']);
  });

  it('places BARs at multiples of their size inside a window, without overlap', async () => {
    const sizes = [0x1000, 0x4000, 0x100000, 0x10];
    const test = createTestBus({
      slots: sizes.map((sizeBytes, at) => ({
        devfn: at << 3,
        function: new TestFunction({ bars: [{ index: 0, sizeBytes, is64Bit: at % 2 === 0 }], capabilities: [] }),
      })),
    });
    await test.probe();
    const placed = test.bus.devices.map((pdev) => pdev.bars[0] as { start: number; sizeBytes: number });
    for (const bar of placed) {
      expect(bar.start % bar.sizeBytes).toBe(0);
      expect(bar.start).toBeGreaterThanOrEqual(0xc0000000);
      for (const other of placed) {
        if (other !== bar)
          expect(bar.start + bar.sizeBytes <= other.start || other.start + other.sizeBytes <= bar.start).toBe(true);
      }
    }
    expect(placed.map(({ sizeBytes }) => sizeBytes)).toEqual(sizes);
    expect(test.kernel.iomem.show()).toContain('c0000000-c00fffff : 0000:00:02.0');
  });

  it('aligns BARs in a window that begins anywhere', async () => {
    const memoryWindows = [{ start: 0xc0001000, end: 0xc000ffff, prefetchable: false }];
    const test = createTestBus({ slots: [{ devfn: 0, function: new TestFunction() }], memoryWindows });
    await test.probe();
    expect(test.bus.devices[0]?.bars[0]?.start).toBe(0xc0004000);
  });

  it('puts 64-bit prefetchable memory above 4 GiB and all other memory below', async () => {
    const bars = [
      { index: 0, sizeBytes: 0x1000, is64Bit: true, prefetchable: true },
      { index: 2, sizeBytes: 0x1000, prefetchable: true },
      { index: 4, sizeBytes: 0x1000, is64Bit: true },
    ];
    const test = createTestBus({ slots: [{ devfn: 0, function: new TestFunction({ bars, capabilities: [] }) }] });
    await test.probe();
    const [pdev] = test.bus.devices;
    expect(pdev?.bars[0]?.start).toBe(0x800000000);
    expect(pdev?.bars[2]?.start).toBeLessThan(0x100000000);
    expect(pdev?.bars[4]?.start).toBeLessThan(0x100000000);
  });

  it('keeps a place that firmware chose, and moves one that is in another’s way', async () => {
    const placed = [new TestFunction(), new TestFunction()];
    for (const fn of placed) fn.configWrite(0x10, 0xc0100000, 4);
    const test = createTestBus({ slots: placed.map((fn, at) => ({ devfn: at << 3, function: fn })) });
    await test.probe();
    expect(test.bus.devices[0]?.bars[0]?.start).toBe(0xc0100000);
    expect(test.bus.devices[1]?.bars[0]?.start).not.toBe(0xc0100000);
    expect(test.bus.devices[1]?.bars[0]?.start).toBeGreaterThanOrEqual(0xc0000000);
  });

  it('says so and leaves a BAR unplaced that does not fit', async () => {
    const fn = new TestFunction({ bars: [{ index: 0, sizeBytes: 0x10000 }], capabilities: [] });
    const memoryWindows = [{ start: 0xc0000000, end: 0xc0000fff, prefetchable: false }];
    const test = createTestBus({ slots: [{ devfn: 0, function: fn }], memoryWindows });
    await test.probe();
    expect(test.dmesg()).toContain("pci 0000:00:00.0: BAR 0 [mem size 0x00010000]: can't assign; no space");
    await expect(test.run(() => test.bus.pciEnableDeviceMem(test.bus.devices[0]!))).rejects.toMatchObject({
      code: 'EINVAL',
    });
  });

  it('numbers the bus behind a bridge and opens a window as large as what is behind it', async () => {
    const port = bridgeFunction();
    const test = createTestBus({
      slots: [
        { devfn: 16, function: port },
        { devfn: 0, behind: 16, function: endpointBehindPort() },
        { devfn: 8, behind: 16, function: endpointBehindPort() },
      ],
    });
    await test.probe();
    // A link has one device: slot 1 behind the port is not looked at.
    expect(test.bus.devices.map((pdev) => pdev.dev.name)).toEqual(['0000:00:02.0', '0000:01:00.0']);
    const bar = test.bus.devices[1]?.bars[0] as { start: number; sizeBytes: number };
    const base = port.configRead(PCI_MEMORY_BASE, 2) * 0x10000;
    const limit = port.configRead(PCI_MEMORY_LIMIT, 2) * 0x10000 + 0xfffff;
    expect([base <= bar.start, bar.start + bar.sizeBytes - 1 <= limit, limit - base]).toEqual([true, true, 0xfffff]);
    expect(test.core.sysfs.exists('/sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0/vendor')).toBe(true);
    expect(test.kernel.iomem.show()).toMatch(/PCI Bus 0000:01\n\s+[0-9a-f-]+ : 0000:01:00.0/);
  });

  it('switches the bridges above on before a device behind them', async () => {
    const port = bridgeFunction();
    const test = createTestBus({
      slots: [
        { devfn: 16, function: port },
        { devfn: 0, behind: 16, function: endpointBehindPort() },
      ],
    });
    await test.probe();
    expect(port.configRead(PCI_COMMAND, 2)).toBe(0);
    await test.run(() => test.bus.pciEnableDeviceMem(test.bus.devices[1]!));
    expect(port.configRead(PCI_COMMAND, 2) & 6).toBe(6);
  });

  it('sees on rescan what came since, and nothing twice', async () => {
    const test = createTestBus({ slots: [{ devfn: 0, function: new TestFunction() }] });
    await test.probe();
    test.bridge.add({ devfn: 40, function: new TestFunction() });
    await test.run(() => test.bus.pciRescanBus());
    await test.run(() => test.core.sysfs.write('/sys/devices/pci0000:00/0000:00:00.0/rescan', '1'));
    expect(test.bus.devices.map((pdev) => pdev.dev.name)).toEqual(['0000:00:00.0', '0000:00:05.0']);
    expect(test.bus.devices[1]?.bars[0]?.start).toBeGreaterThan(0);
  });
});

pciConfigAccessContract({ describe, it, expect }, 'the fake', () => {
  const test = createTestBus({ slots: [{ devfn: 0, function: new TestFunction() }] });
  return {
    config: test.bridge.config,
    present: { bus: 0, devfn: 0 },
    absent: { bus: 0, devfn: 8 },
    run: (body) => test.run(async () => body()),
  };
});
