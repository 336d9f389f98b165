/** A motherboard with the real kernel above it, for this package's tests. */
import { createIrqs } from '@nvme-stack/irq';
import type { Irqs } from '@nvme-stack/irq/ports';
import type { DmaDevice, KernelInstance, KernelOptions } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import type { MmioRegion, PciBus, PciDev } from '@nvme-stack/pci-bus/ports';
import { createPciStack, LoggingDriver, NVME_CLASS, type PciStack, TestFunction } from '@nvme-stack/pci-bus/testing';
import { createPlatformSim } from '../platform-sim.js';
import type { PlatformSim, PlatformSimDeps } from '../ports.js';

/** One machine below the NVMe driver, with one NVMe-like function at 00:04.0 unless told otherwise. */
export interface TestBoard extends KernelInstance {
  readonly irqs: Irqs;
  readonly sim: PlatformSim;
  readonly stack: PciStack;
  readonly bus: PciBus;
  readonly fn: TestFunction;
  readonly driver: LoggingDriver;
  run<T>(body: () => Promise<T>): Promise<T>;
  /** Enumerates and binds the driver, which enables the function and maps its BAR. */
  boot(): Promise<void>;
  /** The function's device and its mapped BAR, after `boot`. */
  pdev(name?: string): PciDev;
  bar(name?: string): MmioRegion;
  dma(name?: string): DmaDevice;
  dmesg(): string[];
}

export interface TestBoardOptions extends Partial<Omit<PlatformSimDeps, 'kernel' | 'irqs'>> {
  readonly kernel?: Partial<KernelOptions>;
}

/** Makes one. */
export function createTestBoard(options: TestBoardOptions = {}): TestBoard {
  const { kernel: kernelOptions, ...board } = options;
  const instance = createTestKernel(kernelOptions ?? {});
  const { kernel, door } = instance;
  const irqs = createIrqs({ kernel });
  const fn = new TestFunction();
  const sim = createPlatformSim({ kernel, irqs, slots: [{ slot: 4, function: fn }], ...board });
  const stack = createPciStack(kernel, irqs);
  const { bus } = stack;
  const regions = new Map<string, MmioRegion>();
  const driver = new LoggingDriver('nvme', [NVME_CLASS], async (pdev) => {
    await bus.pciEnableDeviceMem(pdev);
    bus.pciSetMaster(pdev);
    bus.pciRequestMemRegions(pdev, 'nvme');
    regions.set(pdev.dev.name, bus.ioremap(pdev, 0, 0x4000) as MmioRegion);
  });
  const run = <T>(body: () => Promise<T>): Promise<T> => door.call('test', body);
  const pdev = (name = '0000:00:04.0'): PciDev => bus.pciGetDevice(name) as PciDev;
  return {
    ...instance,
    irqs,
    sim,
    stack,
    bus,
    fn,
    driver,
    run,
    boot: () =>
      run(async () => {
        await bus.pciHostProbe(sim.hostBridge);
        await bus.pciRegisterDriver(driver);
      }),
    pdev,
    bar: (name = '0000:00:04.0') => regions.get(name) as MmioRegion,
    dma: (name) => pdev(name).dev.dma as DmaDevice,
    dmesg: () => kernel.printk.lines.map((line) => line.text),
  };
}
