/** The PCI subsystem on the real driver core and workqueues, for tests of platforms and of this package. */
import { createDeviceCore } from '@nvme-stack/device-core';
import type { DeviceCore } from '@nvme-stack/device-core/ports';
import type { Irqs } from '@nvme-stack/irq/ports';
import type { Kernel } from '@nvme-stack/kernel';
import { createWorkqueues } from '@nvme-stack/workqueue';
import type { Workqueues } from '@nvme-stack/workqueue/ports';
import { createPciBus, type PciFaults } from '../index.js';
import type { PciBus } from '../ports.js';

/** What a platform's test needs above the platform. */
export interface PciStack {
  readonly workqueues: Workqueues;
  readonly core: DeviceCore;
  readonly bus: PciBus;
}

/** Builds it on a kernel and its interrupts. */
export function createPciStack(kernel: Kernel, irqs: Irqs, faults?: PciFaults): PciStack {
  const workqueues = createWorkqueues({ kernel });
  const core = createDeviceCore({ kernel, workqueues });
  const bus = createPciBus({ kernel, deviceCore: core, irqs, workqueues, ...(faults === undefined ? {} : { faults }) });
  return { workqueues, core, bus };
}
