/** A physical function and whom it belongs to: our controller, and QEMU's, with the same virtual functions to give. */
import { createIrqs } from '@nvme-stack/irq';
import type { KernelInstance } from '@nvme-stack/kernel';
import { createTestKernel, testHostLoop } from '@nvme-stack/kernel/testing';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import type { PciBus, PciHostBridge } from '@nvme-stack/pci-bus/ports';
import { createPciStack } from '@nvme-stack/pci-bus/testing';
import { createPlatformQemu, createQemuClock, REAL_TIME_COSTS } from '@nvme-stack/platform-qemu';
import { startQemu } from '@nvme-stack/platform-qemu/node';
import { createPlatformSim } from '@nvme-stack/platform-sim';

const SLOT = 4;
const MEDIUM_BYTES = 1 << 20;
const SERIAL = 'sriov';
const SUBSYSTEM = 'sub';
const KERNEL = { checks: 'off', trace: 'off', nrCpus: 1, memoryBytes: 16 << 20 } as const;

/** Runs a body on a bus that has been enumerated, where the host may act. */
export type Corner = <T>(body: (bus: PciBus) => Promise<T>) => Promise<T>;

/** What there is to give, in our words. */
export const SHARES = { maxVfs: 3, vqFlexible: 8, viFlexible: 4, maxIoQueuePairs: 12, msixVectors: 9 } as const;

/** Our controller, whose virtual functions wait for Virtualization Management as QEMU's do. */
export const ours: Corner = (body) => {
  const instance = createTestKernel(KERNEL);
  const { kernel } = instance;
  const irqs = createIrqs({ kernel });
  const controller = createNvmeController({
    serial: SERIAL,
    subsystemNqn: `nqn.2019-08.org.qemu:${SUBSYSTEM}`,
    maxIoQueuePairs: SHARES.maxIoQueuePairs,
    msixVectors: SHARES.msixVectors,
    sriovMaxVfs: SHARES.maxVfs,
    sriovVqFlexible: SHARES.vqFlexible,
    sriovViFlexible: SHARES.viFlexible,
    sriovVfsOnline: false,
    namespaces: [{ sizeBytes: MEDIUM_BYTES }],
  });
  const { hostBridge } = createPlatformSim({ kernel, irqs, slots: [{ slot: SLOT, function: controller }] });
  return onBus(instance, createPciStack(kernel, irqs).bus, hostBridge, body);
};

/** QEMU's. */
export const qemus: Corner = async (body) => {
  const properties = {
    sriov_max_vfs: SHARES.maxVfs,
    sriov_vq_flexible: SHARES.vqFlexible,
    sriov_vi_flexible: SHARES.viFlexible,
    max_ioqpairs: SHARES.maxIoQueuePairs,
    msix_qsize: SHARES.msixVectors,
  };
  const namespaces = [{ sizeBytes: MEDIUM_BYTES, ownDevice: true }];
  const controllers = [{ slot: SLOT, serial: SERIAL, subsystem: SUBSYSTEM, properties, namespaces }];
  await using qemu = await startQemu({ ramMiB: 16, bells: 1, controllers });
  const clock = createQemuClock(qemu);
  const instance = createTestKernel({
    ...KERNEL,
    clock,
    costs: REAL_TIME_COSTS,
    host: { macrotask: testHostLoop.macrotask, after: (delayNs, fn) => qemu.waitForEvent(delayNs, fn) },
  });
  const { kernel } = instance;
  qemu.onFailure((reason) => instance.door.close(reason));
  const irqs = createIrqs({ kernel });
  const { hostBridge } = createPlatformQemu({ kernel, irqs, qemu, clock });
  // The host polls: nobody waits for an interrupt.
  clock.look = null;
  return await onBus(instance, createPciStack(kernel, irqs).bus, hostBridge, body);
};

async function onBus<T>(
  { door }: KernelInstance,
  bus: PciBus,
  hostBridge: PciHostBridge,
  body: (bus: PciBus) => Promise<T>,
): Promise<T> {
  try {
    return await door.call('host', async () => {
      await bus.pciHostProbe(hostBridge);
      return await body(bus);
    });
  } finally {
    door.close('the host is done');
  }
}
