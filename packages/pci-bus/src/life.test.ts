import type { DevPmOps } from '@nvme-stack/device-core/ports';
import {
  PCI_BASE_ADDRESS_0,
  PCI_COMMAND,
  PCI_COMMAND_MASTER,
  PCI_COMMAND_MEMORY,
  PCI_PM_CTRL,
} from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { createTestBus, LoggingDriver, NVME_CLASS, type TestBus } from './fixtures/test-bus.js';
import { PCI_IRQ_MSIX, type PciDev, type PciErrorHandlers, type PciErsResult } from './ports.js';
import { mmioRegionContract } from './testing/contracts.js';
import { nvmeLikeCapabilities, TestFunction } from './testing/test-function.js';

async function bound(more: Partial<{ errHandler: PciErrorHandlers; pm: DevPmOps }> = {}, fn = new TestFunction()) {
  const test = createTestBus({ slots: [{ devfn: 32, function: fn }] });
  await test.probe();
  const driver = Object.assign(new LoggingDriver('nvme', [NVME_CLASS]), more);
  await test.run(() => test.bus.pciRegisterDriver(driver));
  return { test, fn, driver, pdev: test.bus.devices[0] as PciDev };
}

const command = (fn: TestFunction, bit: number): boolean => (fn.configRead(PCI_COMMAND, 2) & bit) !== 0;
const enable = (test: TestBus, pdev: PciDev): Promise<void> => test.run(() => test.bus.pciEnableDeviceMem(pdev));

describe('enabling', () => {
  it('is counted, sets memory decoding, and leaves it on when bus mastering goes', async () => {
    const { test, fn, pdev } = await bound();
    await enable(test, pdev);
    await enable(test, pdev);
    await test.run(async () => test.bus.pciSetMaster(pdev));
    expect([command(fn, PCI_COMMAND_MEMORY), command(fn, PCI_COMMAND_MASTER)]).toEqual([true, true]);
    await test.run(async () => test.bus.pciDisableDevice(pdev));
    expect([test.bus.pciIsEnabled(pdev), command(fn, PCI_COMMAND_MASTER)]).toEqual([true, true]);
    await test.run(async () => test.bus.pciDisableDevice(pdev));
    expect(test.bus.pciIsEnabled(pdev)).toBe(false);
    expect([command(fn, PCI_COMMAND_MEMORY), command(fn, PCI_COMMAND_MASTER)]).toEqual([true, false]);
    expect(test.dmesg()).toContain('nvme 0000:00:04.0: enabling device (0000 -> 0002)');
    await test.run(async () => test.bus.pciDisableDevice(pdev));
    expect(test.dmesg().at(-1)).toBe('nvme 0000:00:04.0: disabling already-disabled device');
  });

  it('does not count a failure', async () => {
    const { test, pdev } = await bound();
    test.faults.set('pci_enable_device', -5);
    await expect(enable(test, pdev)).rejects.toMatchObject({ code: 'EIO' });
    expect(test.bus.pciIsEnabled(pdev)).toBe(false);
  });

  it('claims the BARs for one driver, shows it in /proc/iomem, and refuses a second claim', async () => {
    const { test, pdev } = await bound();
    await test.run(async () => test.bus.pciRequestMemRegions(pdev, 'nvme'));
    expect(test.kernel.iomem.show()).toContain('  c0000000-c0003fff : 0000:00:04.0\n    c0000000-c0003fff : nvme\n');
    await expect(test.run(async () => test.bus.pciRequestMemRegions(pdev, 'other'))).rejects.toMatchObject({
      code: 'EBUSY',
    });
    await test.run(async () => test.bus.pciReleaseMemRegions(pdev));
    expect(test.kernel.iomem.show()).not.toContain('nvme');
  });

  it('maps no more than the BAR has', async () => {
    const { test, pdev } = await bound();
    await test.run(async () => {
      expect(test.bus.ioremap(pdev, 0, 0x4001)).toBeNull();
      expect(test.bus.ioremap(pdev, 1, 16)).toBeNull();
      expect(test.bus.ioremap(pdev, 0, 0x4000)?.sizeBytes).toBe(0x4000);
    });
  });
});

describe('power and reset', () => {
  it('takes 10 ms into D3hot and back, and shows the state', async () => {
    const { test, pdev, fn } = await bound();
    const before = test.kernel.ex.now();
    await test.run(() => test.bus.pciSetPowerState(pdev, 3));
    expect(test.kernel.ex.now() - before).toBeGreaterThanOrEqual(10e6);
    expect(fn.configRead(0x60 + PCI_PM_CTRL, 2) & 3).toBe(3);
    const read = (): Promise<string> =>
      test.run(async () => test.core.sysfs.read('/sys/bus/pci/devices/0000:00:04.0/power_state'));
    expect(await read()).toBe('D3hot\n');
    await test.run(() => test.bus.pciSetPowerState(pdev, 0));
    expect(await read()).toBe('D0\n');
  });

  it('resets by FLR between the driver’s two handlers, and brings registers, BARs and messages back', async () => {
    const log: string[] = [];
    const errHandler = {
      resetPrepare: async () => void log.push('prepare'),
      resetDone: async () => void log.push('done'),
    };
    const { test, pdev, fn } = await bound({ errHandler });
    fn.endpoint.config.allowWrite(0x3c, 0xff, 1);
    await enable(test, pdev);
    await test.run(async () => test.bus.pciSetMaster(pdev));
    await test.run(async () => test.bus.pciAllocIrqVectors(pdev, 3, 3, PCI_IRQ_MSIX));
    await test.run(async () => test.bus.pciRequestIrq(pdev, 1, () => 1, null, 'dev', 'q1'));
    const address = fn.configRead(PCI_BASE_ADDRESS_0, 4);
    await test.run(() => test.core.sysfs.write('/sys/bus/pci/devices/0000:00:04.0/reset', '1'));
    expect([log, fn.resets]).toEqual([['prepare', 'done'], ['flr']]);
    expect(fn.configRead(PCI_BASE_ADDRESS_0, 4)).toBe(address);
    expect([command(fn, PCI_COMMAND_MEMORY), command(fn, PCI_COMMAND_MASTER)]).toEqual([true, true]);
    fn.endpoint.notify(1);
    expect(test.bridge.signals).toHaveLength(1);
    fn.endpoint.notify(2);
    expect(test.bridge.signals).toHaveLength(1);
  });

  it('has no reset where the function has no way', async () => {
    const { test, pdev } = await bound({}, new TestFunction({ capabilities: [] }));
    await expect(test.run(() => test.bus.pciResetFunction(pdev))).rejects.toMatchObject({ code: 'ENOTTY' });
    await expect(test.run(() => test.bus.pcieFlr(pdev))).rejects.toMatchObject({ code: 'ENOTTY' });
  });

  it('sleeps with the state saved and wakes with it restored, the driver first and last', async () => {
    const log: string[] = [];
    const pm: DevPmOps = {
      suspend: async () => void log.push('suspend'),
      resume: async () => void log.push('resume'),
    };
    const { test, pdev, fn } = await bound({ pm });
    await enable(test, pdev);
    await test.run(() => test.core.dpmSuspend());
    expect(fn.configRead(0x60 + PCI_PM_CTRL, 2) & 3).toBe(3);
    fn.reset('conventional');
    await test.run(() => test.core.dpmResume());
    expect([log, command(fn, PCI_COMMAND_MEMORY)]).toEqual([['suspend', 'resume'], true]);
    expect(fn.configRead(0x60 + PCI_PM_CTRL, 2) & 3).toBe(0);
  });

  it('leaves the power state to a driver that saved the state itself', async () => {
    const { test, fn } = await bound({
      pm: { suspend: async (dev) => test.bus.pciSaveState(dev.container as PciDev) },
    });
    await test.run(() => test.core.dpmSuspend());
    expect(fn.configRead(0x60 + PCI_PM_CTRL, 2) & 3).toBe(0);
  });
});

describe('error recovery', () => {
  const handlers = (log: string[], answer: PciErsResult): PciErrorHandlers => ({
    errorDetected: async (_, state) => {
      log.push(`detected ${state}`);
      return answer;
    },
    slotReset: async () => {
      log.push('slot_reset');
      return 'recovered';
    },
    resume: async () => void log.push('resume'),
  });

  it.each([
    ['normal', 'can-recover', 'recovered', ['detected normal', 'resume'], 0],
    ['normal', 'need-reset', 'recovered', ['detected normal', 'slot_reset', 'resume'], 0],
    ['frozen', 'need-reset', 'recovered', ['detected frozen', 'slot_reset', 'resume'], 1],
    ['perm-failure', 'disconnect', 'disconnect', ['detected perm-failure'], 0],
  ] as const)('%s, driver says %s: %s', async (state, answer, result, expected, resets) => {
    const log: string[] = [];
    const { test, pdev, fn } = await bound({ errHandler: handlers(log, answer) });
    expect(await test.run(() => test.bus.pcieDoRecovery(pdev, state))).toBe(result);
    expect([log, fn.resets.length]).toEqual([expected, resets]);
    expect(pdev.errorState).toBe(result === 'recovered' ? 'normal' : 'perm-failure');
  });

  it('fails without a driver that takes errors', async () => {
    const { test, pdev } = await bound();
    expect(await test.run(() => test.bus.pcieDoRecovery(pdev, 'normal'))).toBe('none');
    expect(test.dmesg().at(-1)).toBe('nvme 0000:00:04.0: AER: device recovery failed');
  });
});

describe('hot-plug', () => {
  it('marks a card that is gone at once and removes it from a worker', async () => {
    const { test, driver, pdev } = await bound();
    test.bridge.take(32);
    await test.run(async () => {
      test.bridge.onHotplug?.({ bus: 0, devfn: 32, present: false });
      expect([pdev.disconnected, pdev.errorState]).toEqual([true, 'perm-failure']);
      expect(driver.log).toHaveLength(1);
      expect(test.bus.pciReadConfigDword(pdev, 0)).toBe(0xffffffff);
      expect(test.bus.pciDeviceIsPresent(pdev)).toBe(false);
    });
    await test.door.settle(1e9);
    expect([driver.log, test.bus.devices]).toEqual([['probe 0000:00:04.0 7', 'remove 0000:00:04.0'], []]);
  });

  it('adds, places and binds a card that comes', async () => {
    const { test, driver } = await bound();
    test.bridge.add({ devfn: 40, function: new TestFunction() });
    await test.run(async () => test.bridge.onHotplug?.({ bus: 0, devfn: 40, present: true }));
    await test.door.settle(1e9);
    expect(driver.log).toEqual(['probe 0000:00:04.0 7', 'probe 0000:00:05.0 7']);
  });
});

mmioRegionContract({ describe, it, expect }, 'the fake', async () => {
  const { test, fn, pdev } = await bound({}, new TestFunction({ capabilities: nvmeLikeCapabilities() }));
  await enable(test, pdev);
  const region = await test.run(async () => test.bus.ioremap(pdev, 0, 0x2000));
  if (region === null) throw new Error('not mapped');
  return {
    region,
    scratchOffset: 0x10,
    decode: (on) => fn.configWrite(PCI_COMMAND, on ? PCI_COMMAND_MEMORY : 0, 2),
    unplug: () => test.bridge.take(32),
    run: (body) => test.run(async () => body()),
  };
});
