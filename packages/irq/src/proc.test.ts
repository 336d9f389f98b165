import { sleepNs } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import { describe, expect, it } from 'vitest';
import { createIrqs, IRQ_HANDLED, IRQF_SHARED, type IrqChip } from './index.js';
import { FakeIrqDomain, FakeMsiDevice } from './testing.js';

function setUp(nrCpus = 4) {
  const { kernel, door } = createTestKernel({ nrCpus });
  const irqs = createIrqs({ kernel });
  const domain = new FakeIrqDomain(irqs);
  return { kernel, door, irqs, domain, device: new FakeMsiDevice(domain) };
}

const handled = () => IRQ_HANDLED;

describe('/proc', () => {
  const chip = (name: string): IrqChip => ({ name, irqMask: () => {}, irqUnmask: () => {}, irqEoi: () => {} });

  it('shows interrupts as Linux 6.1 does', async () => {
    const { kernel, irqs, domain, door } = setUp(2);
    const device = new FakeMsiDevice(domain);
    Object.assign(device.chip, { name: 'PCI-MSI' });
    device.hwirq = (index) => 65536 + index;
    device.chip.irqMask = () => {};
    device.chip.irqUnmask = () => {};
    await door.call('test', async () => {
      irqs.requestIrq(irqs.createMapping(2, 'edge', chip('IO-APIC')), handled, 0, 'timer', 1);
      irqs.requestIrq(irqs.createMapping(9, 'level', chip('IO-APIC')), handled, IRQF_SHARED, 'acpi', 1);
      irqs.requestIrq(9, handled, IRQF_SHARED, 'other', 2);
      const affinity = [0, 1].map((cpu) => ({ cpus: [cpu], isManaged: true }));
      for (const [n, irq] of irqs.msiAllocIrqs(domain, device, 2, affinity).entries()) {
        irqs.requestIrq(irq, handled, 0, `nvme0q${n}`, 1);
      }
      kernel.ex.post(kernel.ex.item('hardirq', 1, () => irqs.genericHandleIrq(25), null));
      for (let n = 0; n < 129; n++) kernel.ex.post(kernel.ex.item('hardirq', 0, () => irqs.genericHandleIrq(2), null));
      await sleepNs(kernel, 1_000_000);
    });
    expect(kernel.procfs.read('/proc/interrupts')).toBe(
      [
        '           CPU0       CPU1       ',
        '  2:        129          0   IO-APIC   2-edge      timer',
        '  9:          0          0   IO-APIC   9-fasteoi   acpi, other',
        ' 24:          0          0   PCI-MSI 65536-edge      nvme0q0',
        ' 25:          0          1   PCI-MSI 65537-edge      nvme0q1',
        'ERR:          0',
        'MIS:          0',
        '',
      ].join('\n'),
    );
  });

  it('shows a device of its own domain as Linux 6.12 does, and where it may run', async () => {
    const { kernel, irqs, domain, device, door } = setUp();
    await door.call('test', async () => {
      const affinity = [{ cpus: [0, 1, 3], isManaged: false }];
      const [irq] = irqs.msiAllocIrqs(domain, device, 1, affinity);
      irqs.requestIrq(irq, handled, 0, 'nvme0q0', device);
      expect(irqs.showInterrupts().split('\n')[1]).toBe(
        ' 24:          0          0          0          0  PCI-MSIX-0000:00:04.0   0-edge      nvme0q0',
      );
      expect(kernel.procfs.read('/proc/irq/24/smp_affinity_list')).toBe('0-1,3\n');
      expect(kernel.procfs.read('/proc/irq/24/effective_affinity_list')).toBe('0\n');
      irqs.irqSetAffinity(irq, [2, 3]);
      expect(kernel.procfs.read('/proc/irq/24/smp_affinity_list')).toBe('2-3\n');
      expect(kernel.procfs.read('/proc/irq/24/effective_affinity_list')).toBe('2\n');
    });
  });
});
