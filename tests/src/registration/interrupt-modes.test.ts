/** The three kinds of interrupts, each from the device to the end of an I/O, on every kernel. */
import { createMachine, type Machine, PROFILES } from '@nvme-stack/machine';
import { PCI_COMMAND, PCI_COMMAND_INTX_DISABLE } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { pattern } from '../determinism/scenario.js';

const BDF = '0000:00:03.0';

/** The kind of each row of /proc/interrupts that belongs to the controller, and how often it came. */
function rows(machine: Machine): { kind: string; count: number }[] {
  const lines = machine.procfs.read('/proc/interrupts').split('\n');
  return lines.flatMap((line) => {
    if (!/nvme0q/.test(line)) return [];
    const words = line.trim().split(/\s+/).slice(1);
    const counts = words.filter((word) => /^\d+$/.test(word)).slice(0, machine.description.cpus);
    const kind = words[machine.description.cpus] as string;
    return [{ kind, count: counts.reduce((sum, count) => sum + Number(count), 0) }];
  });
}

describe.each(PROFILES)('interrupts on %s', (profile) => {
  const KINDS: readonly ['msix' | 'msi' | 'intx', RegExp, number][] = [
    // Two queues; before 4.15 the admin queue shares the first one's vector.
    ['msix', /^PCI-MSI/, profile.startsWith('4') ? 2 : 3],
    ['msi', /^PCI-MSI/, 1],
    ['intx', /^IO-APIC/, 1],
  ];
  // @acceptance 83
  it.each(KINDS)('%s carry I/O from end to end', async (interrupts, chip, vectors) => {
    const machine = await createMachine({
      profile,
      cpus: 2,
      nvme: [{ interrupts, namespaces: [{ sizeMiB: 4 }] }],
    });
    await machine.modprobe('nvme');
    await machine.settle();
    const { pdev } = machine.device(BDF);
    expect([pdev?.msixEnabled, pdev?.msiEnabled]).toEqual([interrupts === 'msix', interrupts === 'msi']);
    const command = await machine.task('config', async ({ pciBus }) =>
      pdev === null ? 0 : pciBus.pciReadConfigWord(pdev, PCI_COMMAND),
    );
    expect((command & PCI_COMMAND_INTX_DISABLE) === 0).toBe(interrupts === 'intx');
    const before = rows(machine);
    expect(before).toHaveLength(vectors);
    expect(new Set(before.map(({ kind }) => chip.test(kind)))).toEqual(new Set([true]));
    expect(machine.trace.entries.some(({ symbol }) => symbol === 'pci_set_irq')).toBe(interrupts === 'intx');
    const disk = machine.disk('nvme0n1');
    await disk.write(4096, pattern(4096, 32768, 1));
    expect(await disk.read(4096, 32768)).toEqual(pattern(4096, 32768, 1));
    const total = (list: { count: number }[]): number => list.reduce((sum, { count }) => sum + count, 0);
    expect(total(rows(machine))).toBeGreaterThan(total(before));
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });
});
