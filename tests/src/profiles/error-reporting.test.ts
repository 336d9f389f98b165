import type { MachineOptions } from '@nvme-stack/machine';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { ALL, callersOf, calls, during, machineOf } from './bench.js';

const AER_HEADER = 0x0001_0001;
const EXT_CAP_START = 0x100;
const DEVCTL_FLAGS = 0xf;

/** The usual controller, with an Advanced Error Reporting capability in its configuration space. */
const withAer: MachineOptions = {
  parts: {
    controller: (description, options) => {
      const real = createNvmeController(description, options);
      const configRead: typeof real.configRead = (offset, size) =>
        offset === EXT_CAP_START && size === 4 ? AER_HEADER : real.configRead(offset, size);
      return new Proxy(real, {
        get: (target, key) => {
          if (key === 'configRead') return configRead;
          const value = Reflect.get(target, key, target) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  },
};

/** Device Control of the controller's PCI Express capability. */
function deviceControl(machine: Awaited<ReturnType<typeof machineOf>>): number {
  const fn = machine.device('0000:00:03.0').function;
  let at = fn.configRead(0x34, 1);
  while (fn.configRead(at, 1) !== 0x10) at = fn.configRead(at + 1, 1);
  return fn.configRead(at + 8, 2) & DEVCTL_FLAGS;
}

describe('error reporting', () => {
  // @acceptance 80
  it.each(ALL)(
    'is turned on before the state is saved on %s, and off when the function is disabled',
    async (profile) => {
      const machine = await machineOf(profile, {}, withAer);
      const entries = await during(machine, async () => {
        await machine.modprobe('nvme');
        await machine.settle();
      });
      const reports = profile !== '6.12';
      expect(calls(entries, 'pci_enable_pcie_error_reporting').length).toBe(reports ? 1 : 0);
      expect(deviceControl(machine)).toBe(reports ? DEVCTL_FLAGS : 0);
      const saved = calls(entries, 'pci_save_state')[0];
      expect(callersOf(entries, saved).at(-1)).toBe('nvme_pci_enable');
      if (reports) expect(calls(entries, 'pci_enable_pcie_error_reporting')[0].seq).toBeLessThan(saved.seq);
      await machine.rmmod('nvme');
      expect(deviceControl(machine)).toBe(0);
    },
  );

  it.each(ALL)('is asked for in vain on %s where the function has none', async (profile) => {
    const machine = await machineOf(profile);
    await machine.modprobe('nvme');
    await machine.settle();
    expect(deviceControl(machine)).toBe(0);
    expect(machine.dmesg().join('\n')).not.toContain('error');
  });
});
