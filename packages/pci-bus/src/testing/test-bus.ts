/** A PCI subsystem on a test kernel with a fake host bridge, for this package's tests. */
import type { DeviceCore } from '@nvme-stack/device-core/ports';
import type { KernelInstance, KernelOptions, TraceEntry } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import type { PciFaultPoint } from '../index.js';
import type { PciBus } from '../ports.js';
import { FakeHostBridge, type FakeHostBridgeOptions } from './fake-host-bridge.js';
import { createPciStack } from './pci-stack.js';

export { idOf, LoggingDriver, NVME_CLASS } from './logging-driver.js';

import { FakeIrqs, FakeVectorDomain } from './fake-irqs.js';

/** One machine's PCI subsystem. */
export interface TestBus extends KernelInstance {
  readonly core: DeviceCore;
  readonly irqs: FakeIrqs;
  readonly domain: FakeVectorDomain;
  readonly bridge: FakeHostBridge;
  readonly bus: PciBus;
  /** Points that fail, with their negative errno. */
  readonly faults: Map<PciFaultPoint, number>;
  run<T>(body: () => Promise<T>): Promise<T>;
  /** Enumerates. */
  probe(): Promise<void>;
  dmesg(): string[];
}

export interface TestBusOptions extends Partial<Omit<FakeHostBridgeOptions, 'kernel'>> {
  readonly kernel?: Partial<KernelOptions>;
  readonly vectors?: number;
}

/** Makes one. */
export function createTestBus(options: TestBusOptions = {}): TestBus {
  const instance = createTestKernel(options.kernel ?? {});
  const { kernel, door } = instance;
  const irqs = new FakeIrqs(kernel);
  const domain = new FakeVectorDomain(options.vectors ?? 64);
  const chip = { name: 'IO-APIC', irqMask: () => {}, irqUnmask: () => {} };
  const { kernel: _, vectors: __, ...board } = options;
  const bridge = new FakeHostBridge({ slots: [], msiDomain: domain, intxChip: chip, ...board, kernel });
  const faults = new Map<PciFaultPoint, number>();
  const { core, bus } = createPciStack(kernel, irqs.asIrqs(), { fail: (point) => faults.get(point) ?? 0 });
  const run = <T>(body: () => Promise<T>): Promise<T> => door.call('test', body);
  return {
    ...instance,
    core,
    irqs,
    domain,
    bridge,
    bus,
    faults,
    run,
    probe: () => run(() => bus.pciHostProbe(bridge)),
    dmesg: () => kernel.printk.lines.map((line) => line.text),
  };
}

/** Symbols of function entries of one task, indented by depth, from the first `root` on. */
export function callTree(entries: readonly TraceEntry[], task: string, root: string): string[] {
  const mine = entries.filter((entry) => entry.kind === 'function' && entry.task === task);
  const from = mine.findIndex((entry) => entry.symbol === root);
  const least = mine[from]?.depth ?? 0;
  const rest = mine.slice(from);
  const next = rest.findIndex((entry, at) => at > 0 && entry.depth <= least);
  return rest.slice(0, next < 0 ? undefined : next).map((entry) => '  '.repeat(entry.depth - least) + entry.symbol);
}
