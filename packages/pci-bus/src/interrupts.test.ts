import type { IrqAffinity } from '@nvme-stack/irq/ports';
import type { KernelProfile } from '@nvme-stack/kernel';
import {
  type EndpointCapability,
  PCI_COMMAND,
  PCI_COMMAND_INTX_DISABLE,
  PCI_EXP_TYPE_RC_END,
} from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { callTree, createTestBus, LoggingDriver, NVME_CLASS, type TestBus } from './fixtures/test-bus.js';
import { PCI_IRQ_AFFINITY, PCI_IRQ_ALL_TYPES, PCI_IRQ_INTX, PCI_IRQ_MSI, PCI_IRQ_MSIX, type PciDev } from './ports.js';
import { nvmeLikeCapabilities, TestFunction } from './testing/test-function.js';

const BOTH: EndpointCapability[] = [...nvmeLikeCapabilities(), { kind: 'msi', offset: 0xa0, vectors: 4 }];
const MSI_ONLY: EndpointCapability[] = [
  { kind: 'express', offset: 0x80, type: PCI_EXP_TYPE_RC_END },
  { kind: 'msi', offset: 0xa0, vectors: 4 },
];

interface Ready {
  test: TestBus;
  pdev: PciDev;
  fn: TestFunction;
  alloc(min: number, max: number, flags: number, affd?: IrqAffinity | null): Promise<number>;
  free(): Promise<void>;
}

async function ready(
  capabilities: readonly EndpointCapability[] = BOTH,
  options: { vectors?: number; profile?: KernelProfile; pin?: number } = {},
): Promise<Ready> {
  const fn = new TestFunction({ capabilities, identity: { interruptPin: options.pin ?? 1 } });
  const profile = options.profile ?? '6.12';
  const test = createTestBus({
    slots: [{ devfn: 32, function: fn }],
    vectors: options.vectors ?? 64,
    kernel: { profile },
  });
  await test.probe();
  const driver = new LoggingDriver('nvme', [NVME_CLASS], async (dev) => {
    await test.bus.pciEnableDeviceMem(dev);
    test.bus.pciSetMaster(dev);
  });
  await test.run(() => test.bus.pciRegisterDriver(driver));
  const pdev = test.bus.devices[0] as PciDev;
  return {
    test,
    pdev,
    fn,
    alloc: (min, max, flags, affd) =>
      test.run(async () =>
        affd === undefined
          ? test.bus.pciAllocIrqVectors(pdev, min, max, flags)
          : test.bus.pciAllocIrqVectorsAffinity(pdev, min, max, flags, affd),
      ),
    free: () => test.run(async () => test.bus.pciFreeIrqVectors(pdev)),
  };
}

const affinity = (preVectors: number): IrqAffinity => ({
  preVectors,
  postVectors: 0,
  nrSets: 0,
  setSize: [0, 0, 0, 0],
});

describe('interrupt vectors', () => {
  // @acceptance 86
  it('prefers MSI-X, then MSI, then the pin', async () => {
    for (const [capabilities, kind, flags] of [
      [BOTH, 'msix', PCI_IRQ_ALL_TYPES],
      [BOTH, 'msi', PCI_IRQ_MSI | PCI_IRQ_INTX],
      [MSI_ONLY, 'msi', PCI_IRQ_ALL_TYPES],
      [[], 'intx', PCI_IRQ_ALL_TYPES],
    ] as const) {
      const { alloc, pdev } = await ready(capabilities);
      expect(await alloc(1, 1, flags)).toBe(1);
      expect([pdev.msixEnabled, pdev.msiEnabled]).toEqual([kind === 'msix', kind === 'msi']);
    }
  });

  // @acceptance 88
  it('says ENOSPC when no kind was possible', async () => {
    const { alloc } = await ready([]);
    await expect(alloc(2, 4, PCI_IRQ_INTX)).rejects.toMatchObject({ code: 'ENOSPC' });
    await expect(alloc(1, 1, 0)).rejects.toMatchObject({ code: 'ENOSPC' });
  });

  it('says what MSI said when only MSI-X and MSI were asked for and there is neither', async () => {
    const { alloc } = await ready([]);
    await expect(alloc(1, 1, PCI_IRQ_MSIX | PCI_IRQ_MSI)).rejects.toMatchObject({ code: 'EINVAL' });
  });

  // @acceptance 87
  it.each(['4.10', '4.13', '6.1', '6.12'] as const)(
    'uses the pin only where one vector will do, and switches it on (%s)',
    async (profile) => {
      const { alloc, test, pdev, fn } = await ready([], { profile });
      await expect(alloc(2, 2, PCI_IRQ_ALL_TYPES)).rejects.toThrow();
      test.bus.pciWriteConfigWord(pdev, PCI_COMMAND, fn.configRead(PCI_COMMAND, 2) | PCI_COMMAND_INTX_DISABLE);
      expect(await alloc(1, 32, PCI_IRQ_ALL_TYPES)).toBe(1);
      expect(fn.configRead(PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE).toBe(0);
      expect(test.bus.pciIrqVector(pdev, 0)).toBe(pdev.irq);
    },
  );

  // @acceptance 87
  it('uses the pin only for exactly one vector, and since 4.14 only with an interrupt line', async () => {
    const none = await ready([], { pin: 0 });
    await expect(none.alloc(1, 1, PCI_IRQ_INTX)).rejects.toMatchObject({ code: 'ENOSPC' });
    const old = await ready([], { pin: 0, profile: '4.10' });
    expect(await old.alloc(1, 1, PCI_IRQ_INTX)).toBe(1);
  });

  // @acceptance 84
  it('switches the pin off with messages and on again without', async () => {
    const { alloc, free, fn } = await ready();
    const pinOff = (): boolean => (fn.configRead(PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE) !== 0;
    expect(pinOff()).toBe(false);
    await alloc(1, 5, PCI_IRQ_MSIX);
    expect([pinOff(), fn.endpoint.msix?.enabled]).toEqual([true, true]);
    await free();
    expect([pinOff(), fn.endpoint.msix?.enabled]).toEqual([false, false]);
  });

  // @acceptance 84
  it('refuses MSI-X while MSI is on, and MSI while MSI-X is on', async () => {
    const { alloc, test, free } = await ready();
    await alloc(1, 1, PCI_IRQ_MSI);
    await expect(alloc(1, 1, PCI_IRQ_MSIX)).rejects.toMatchObject({ code: 'EINVAL' });
    await free();
    await alloc(1, 1, PCI_IRQ_MSIX);
    await expect(alloc(1, 1, PCI_IRQ_MSI)).rejects.toMatchObject({ code: 'EINVAL' });
    expect(test.dmesg().filter((line) => line.includes("can't enable"))).toEqual([
      "nvme 0000:00:04.0: can't enable MSI-X (MSI IRQ already assigned)",
      "nvme 0000:00:04.0: can't enable MSI (MSI-X already enabled)",
    ]);
  });

  // @acceptance 91
  it('takes as many MSI-X vectors as the table, the request and the CPUs allow', async () => {
    const plenty = await ready();
    expect(await plenty.alloc(1, 64, PCI_IRQ_MSIX)).toBe(5);
    const scarce = await ready(BOTH, { vectors: 3 });
    expect(await scarce.alloc(1, 5, PCI_IRQ_MSIX)).toBe(3);
    expect(scarce.test.domain.free).toBe(0);
    await scarce.free();
    await expect(scarce.alloc(4, 5, PCI_IRQ_MSIX)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(scarce.test.domain.free).toBe(3);
    expect(scarce.fn.endpoint.msix?.enabled).toBe(false);
  });

  it('falls through from MSI-X to MSI when there are too few vectors', async () => {
    const { alloc, pdev } = await ready(BOTH, { vectors: 1 });
    await expect(alloc(2, 2, PCI_IRQ_ALL_TYPES)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await alloc(1, 2, PCI_IRQ_MSI)).toBe(1);
    expect(pdev.msiEnabled).toBe(true);
  });

  // @acceptance 89
  it('spreads vectors only when asked to', async () => {
    const { alloc, free, test, pdev } = await ready();
    await alloc(1, 5, PCI_IRQ_MSIX | PCI_IRQ_AFFINITY, affinity(1));
    expect(test.bus.pciIrqGetAffinity(pdev, 2)).toEqual([1]);
    await free();
    await alloc(1, 5, PCI_IRQ_MSIX, affinity(1));
    expect(test.bus.pciIrqGetAffinity(pdev, 2)).toBeNull();
    expect(test.dmesg().some((line) => line.includes('WARNING'))).toBe(true);
    await free();
    await alloc(1, 4, PCI_IRQ_MSIX | PCI_IRQ_AFFINITY);
    expect(test.bus.pciIrqGetAffinity(pdev, 0)).toEqual([0]);
  });

  // @acceptance 90
  it('checks pre and post vectors against min_vecs on 4.13 alone', async () => {
    for (const [profile, code] of [
      ['4.13', 'EINVAL'],
      ['6.12', null],
      ['4.10', null],
    ] as const) {
      const { alloc } = await ready(nvmeLikeCapabilities(), { profile });
      const tried = alloc(1, 5, PCI_IRQ_MSIX | PCI_IRQ_AFFINITY, affinity(2));
      if (code !== null) await expect(tried).rejects.toMatchObject({ code });
      else await expect(tried).rejects.toMatchObject({ code: 'ENOSPC' });
    }
    const exact = await ready(nvmeLikeCapabilities(), { profile: '4.13' });
    await exact.alloc(1, 5, PCI_IRQ_MSIX | PCI_IRQ_AFFINITY, affinity(1));
    expect(exact.test.bus.pciIrqGetAffinity(exact.pdev, 1)).toBeNull();
  });

  it('delivers to the message that was written, and only while the vector is not masked', async () => {
    const { alloc, test, pdev, fn } = await ready();
    await alloc(1, 3, PCI_IRQ_MSIX);
    const irq = test.bus.pciIrqVector(pdev, 1);
    fn.endpoint.notify(1);
    expect(test.bridge.signals).toEqual([]);
    await test.run(async () => test.bus.pciRequestIrq(pdev, 1, () => 1, null, 'dev', 'nvme0q1'));
    expect(test.bridge.signals).toEqual([{ devfn: 32, kind: 'msi', a: 0xfee00000, b: 0x30 + irq }]);
    await test.run(() => test.bus.pciFreeIrq(pdev, 1, 'dev'));
    fn.endpoint.notify(1);
    expect(test.bridge.signals).toHaveLength(1);
  });

  it('names chips and hardware numbers as the kernel of the profile does', async () => {
    const modern = await ready();
    await modern.alloc(1, 2, PCI_IRQ_MSIX);
    const describeIrq = ({ test, pdev }: Ready, nr: number): unknown[] => {
      const desc = test.irqs.desc(test.bus.pciIrqVector(pdev, nr));
      return [desc.chip.name, desc.data.hwirq];
    };
    expect(describeIrq(modern, 1)).toEqual(['PCI-MSIX-0000:00:04.0', 1]);
    const old = await ready(BOTH, { profile: '6.1' });
    await old.alloc(1, 2, PCI_IRQ_MSIX);
    expect(describeIrq(old, 1)).toEqual(['PCI-MSI', 65537]);
  });

  it('lists messages in msi_irqs while there are some', async () => {
    const { alloc, free, test, pdev } = await ready();
    const dir = '/sys/bus/pci/devices/0000:00:04.0/msi_irqs';
    await alloc(1, 2, PCI_IRQ_MSIX);
    const read = (path: string): Promise<string> => test.run(async () => test.core.sysfs.read(path));
    expect(await read(`${dir}/${test.bus.pciIrqVector(pdev, 1)}`)).toBe('msix\n');
    await free();
    expect(await test.run(async () => test.core.sysfs.exists(dir))).toBe(false);
    expect(test.bridge.mapped.size).toBe(0);
  });

  // @acceptance 85
  it('traces as Linux 6.12 was captured', async () => {
    const { alloc, test, pdev } = await ready();
    await alloc(1, 5, PCI_IRQ_ALL_TYPES | PCI_IRQ_AFFINITY);
    const tree = callTree(test.kernel.trace.entries, 'test', 'pci_alloc_irq_vectors');
    expect(tree.slice(0, 4)).toEqual([
      'pci_alloc_irq_vectors',
      '  pci_alloc_irq_vectors_affinity',
      '    __pci_enable_msix_range',
      '      ioremap',
    ]);
    await test.run(async () => test.bus.pciRequestIrq(pdev, 0, () => 1, null, 'dev', 'nvme0q0'));
    expect(callTree(test.kernel.trace.entries, 'test', 'pci_request_irq')).toEqual([
      'pci_request_irq',
      '  request_threaded_irq',
    ]);
  });

  it('uses no messages where the platform or msi_bus says no', async () => {
    const { alloc, test, pdev } = await ready();
    await test.run(() => test.core.sysfs.write('/sys/bus/pci/devices/0000:00:04.0/msi_bus', '0'));
    expect(await alloc(1, 5, PCI_IRQ_ALL_TYPES)).toBe(1);
    expect(test.bus.pciIrqVector(pdev, 0)).toBe(pdev.irq);
    expect(() => test.bus.pciIrqVector(pdev, 1)).toThrow('EINVAL');
  });

  it('turns a fault plan into a failure of that step', async () => {
    const { alloc, test, fn } = await ready();
    test.faults.set('ioremap', -12);
    await expect(alloc(1, 5, PCI_IRQ_MSIX)).rejects.toMatchObject({ code: 'ENOMEM' });
    expect(fn.endpoint.msix?.enabled).toBe(false);
    expect(await alloc(1, 5, PCI_IRQ_ALL_TYPES)).toBe(1);
  });
});
