import type { Machine, MachineDescription } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { firstDifference, KIB, leftBehind, machineWith, pattern, SECOND_NS } from './bench.js';
import { events } from './device-events.js';

type Nvme = NonNullable<MachineDescription['nvme']>[number];

async function started(
  nvme: Nvme,
  params: Record<string, unknown> = {},
  more: MachineDescription = {},
): Promise<Machine> {
  const machine = await machineWith(nvme, { cpus: 4, ...more });
  await machine.modprobe('nvme', params);
  return machine;
}

/** Names of handlers in /proc/interrupts, with the chip that raises them. */
function handlers(machine: Machine): [chip: string, name: string][] {
  return machine.procfs
    .read('/proc/interrupts')
    .split('\n')
    .filter((line) => line.includes('nvme0q'))
    .map((line) => [/(PCI-MSIX|PCI-MSI|IO-APIC)/.exec(line)?.[1] ?? '?', line.slice(line.indexOf('nvme0q'))]);
}

async function usesEveryCpu(machine: Machine): Promise<void> {
  const disk = machine.disk('nvme0n1');
  await Promise.all(Array.from({ length: 16 }, (_, at) => disk.write(at * 64 * KIB, pattern(64 * KIB, at))));
  for (let at = 0; at < 16; at++)
    expect(firstDifference(await disk.read(at * 64 * KIB, 64 * KIB), pattern(64 * KIB, at))).toBe(-1);
}

/** How many interrupts the handlers of nvme0 have had. */
function taken(machine: Machine): number {
  return machine.procfs
    .read('/proc/interrupts')
    .split('\n')
    .filter((line) => line.includes('nvme0q'))
    .reduce(
      (sum, line) =>
        sum +
        line
          .trim()
          .split(/\s+/)
          .slice(1, 5)
          .reduce((all, count) => all + Number(count), 0),
      0,
    );
}

describe('interrupts', () => {
  // @acceptance 83 93 94
  it('by MSI-X: a vector for the admin queue and one for each I/O queue', async () => {
    const machine = await started({});
    expect(handlers(machine)).toEqual([0, 1, 2, 3, 4].map((qid) => ['PCI-MSIX', `nvme0q${qid}`]));
    await usesEveryCpu(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 83 95
  it('by MSI: one message, which the admin queue and the only I/O queue share', async () => {
    const machine = await started({ interrupts: 'msi', msiVectors: 4 });
    expect(handlers(machine)).toEqual([['PCI-MSI', 'nvme0q0, nvme0q1']]);
    const before = taken(machine);
    await usesEveryCpu(machine);
    expect(taken(machine)).toBeGreaterThan(before);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 83 95
  it('by the pin: a level that the driver lowers by consuming entries', async () => {
    const machine = await started({ interrupts: 'intx' }, {}, { trace: 'full' });
    expect(handlers(machine)).toEqual([['IO-APIC', 'nvme0q0, nvme0q1']]);
    await usesEveryCpu(machine);
    const levels = events(machine, 'pci_set_irq').map(([, , level]) => level);
    expect(levels.length).toBeGreaterThan(20);
    // It rises and falls in turn, and ends low.
    expect(levels.every((level, i) => level === (i % 2 === 0 ? 1 : 0))).toBe(true);
    expect(levels.at(-1)).toBe(0);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 86
  it('by MSI-X where the function has both kinds', async () => {
    const machine = await started({ interrupts: 'msi-and-msix' });
    expect(handlers(machine)[0]).toEqual(['PCI-MSIX', 'nvme0q0']);
  });

  it.each([1, 2, 3])('by %i vectors serve as many queues as there are left for', async (msixVectors) => {
    const machine = await started({ msixVectors });
    expect(machine.queues('nvme0').length).toBe(1 + Math.max(1, msixVectors - 1));
    await usesEveryCpu(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 95
  it.each(['4.10', '4.13'] as const)('are shared by the admin queue and the first I/O queue on %s', async (profile) => {
    const machine = await started({}, {}, { profile });
    await machine.run(SECOND_NS);
    expect(handlers(machine).map(([, name]) => name)).toEqual(['nvme0q0, nvme0q1', 'nvme0q2', 'nvme0q3', 'nvme0q4']);
    await usesEveryCpu(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('use_threaded_interrupts', () => {
  it.each([
    ['msix', {}],
    ['msi', { interrupts: 'msi' as const }],
    ['intx', { interrupts: 'intx' as const }],
  ])('has completions handled in a task of the interrupt (%s)', async (_, nvme) => {
    const machine = await started(nvme, { use_threaded_interrupts: 1 }, { trace: 'full' });
    await usesEveryCpu(machine);
    const calls = machine.trace.entries.filter(({ symbol }) => symbol === 'nvme_irq' || symbol === 'nvme_irq_check');
    const contexts = (symbol: string): Set<string> =>
      new Set(calls.filter((entry) => entry.symbol === symbol).map((entry) => entry.context));
    expect(contexts('nvme_irq_check')).toEqual(new Set(['hardirq']));
    expect(contexts('nvme_irq')).toEqual(new Set(['task']));
    const tasks = new Set(calls.filter(({ symbol }) => symbol === 'nvme_irq').map(({ task }) => task));
    expect([...tasks].every((task) => /^irq\/\d+-nvme0q\d$/.test(task))).toBe(true);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is off unless it is asked for', async () => {
    const machine = await started({}, {}, { trace: 'full' });
    await usesEveryCpu(machine);
    expect(machine.trace.entries.some(({ symbol }) => symbol === 'nvme_irq_check')).toBe(false);
    expect(new Set(machine.trace.entries.filter(({ symbol }) => symbol === 'nvme_irq').map((e) => e.context))).toEqual(
      new Set(['hardirq']),
    );
  });
});
