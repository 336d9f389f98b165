/** The adder's driver: a module of one's own, in the manner of any small PCI driver. */
import { IRQ_HANDLED } from '@nvme-stack/irq/ports';
import { Completion, complete, KernelError, waitForCompletion } from '@nvme-stack/kernel';
import type { ModuleDefinition } from '@nvme-stack/modules/ports';
import { PCI_ANY_ID, PCI_IRQ_MSIX, type PciBus, type PciDev, type PciDriver } from '@nvme-stack/pci-bus/ports';
import { ADDER_DEVICE, ADDER_OPERAND, ADDER_SUM, ADDER_VENDOR } from './adder.js';

const BAR_BYTES = 0x1000;

/** Starts from 40, adds the operands when it is bound, and leaves each sum in `sums`. */
export function adderModule(pciBus: PciBus, operands: readonly number[], sums: number[]): ModuleDefinition {
  let done: Completion | null = null;

  async function probe(pdev: PciDev): Promise<void> {
    await pciBus.pciEnableDeviceMem(pdev);
    pciBus.pciSetMaster(pdev);
    pciBus.pciRequestMemRegions(pdev, 'adder');
    const registers = pciBus.ioremap(pdev, 0, BAR_BYTES);
    if (registers === null) throw new KernelError('ENOMEM', 'BAR 0 cannot be mapped');
    done = new Completion(pdev.kernel, 'a sum');
    pciBus.pciAllocIrqVectors(pdev, 1, 1, PCI_IRQ_MSIX);
    pciBus.pciRequestIrq(pdev, 0, interrupt, null, done, 'adder');
    registers.writel(ADDER_SUM, 40);
    for (const operand of operands) {
      registers.writel(ADDER_OPERAND, operand);
      await waitForCompletion(done);
      sums.push(registers.readl(ADDER_SUM));
    }
    pciBus.iounmap(pdev, registers);
  }

  async function remove(pdev: PciDev): Promise<void> {
    await pciBus.pciFreeIrq(pdev, 0, done);
    pciBus.pciFreeIrqVectors(pdev);
    pciBus.pciReleaseMemRegions(pdev);
    pciBus.pciDisableDevice(pdev);
  }

  const driver: PciDriver = {
    name: 'adder',
    owner: 'adder',
    idTable: [
      {
        vendor: ADDER_VENDOR,
        device: ADDER_DEVICE,
        subvendor: PCI_ANY_ID,
        subdevice: PCI_ANY_ID,
        class: 0,
        classMask: 0,
        driverData: 0,
      },
    ],
    probeType: 'force-synchronous',
    probe,
    remove,
  };
  return {
    name: 'adder',
    dependsOn: [],
    params: [],
    info: { author: 'nvme-stack', license: 'MIT' },
    initSymbol: 'adder_init',
    init: () => pciBus.pciRegisterDriver(driver),
    exit: () => pciBus.pciUnregisterDriver(driver),
  };
}

function interrupt(_irq: number, done: Completion): typeof IRQ_HANDLED {
  complete(done);
  return IRQ_HANDLED;
}
