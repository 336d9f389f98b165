/** The two controllers, configured alike, each behind its platform with the same host above. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createIrqs } from '@nvme-stack/irq';
import type { DmaDevice, KernelInstance } from '@nvme-stack/kernel';
import { createTestKernel, testHostLoop } from '@nvme-stack/kernel/testing';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import type { PciBus, PciDev, PciHostBridge } from '@nvme-stack/pci-bus/ports';
import { createPciStack } from '@nvme-stack/pci-bus/testing';
import { PCI_CAP_ID_MSIX, PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE } from '@nvme-stack/pci-function';
import { createPlatformQemu, createQemuClock, REAL_TIME_COSTS } from '@nvme-stack/platform-qemu';
import { MEDIUM, startQemu } from '@nvme-stack/platform-qemu/node';
import { createPlatformSim } from '@nvme-stack/platform-sim';
import { NAMESPACE_BYTES } from './medium.js';
import { emptyQcow2 } from './qcow2.js';
import { RawHost } from './raw-host.js';

const SERIAL = 'differential';
const SLOT = 4;
const NVME = '0000:00:04.0';
const BAR_BYTES = 0x2000;
/** Of the host's own; the stream makes and deletes others. */
export const IO_QUEUES = 2;

const UUID = '6b1f4f0a-5d0e-4c3b-9a53-7c1f6d2e8a90';
const EUI64 = '0123456789abcdef';
/** A device of its own: on the controller itself QEMU's namespace has no limits for Copy. */
const NAMESPACE = { ownDevice: true, properties: { uuid: UUID, eui64: `0x${EUI64}` } };
/** Blocks that were discarded or zeroed are deallocated, to the block. */
const QCOW2 = { driver: 'qcow2', discard: 'unmap', file: { driver: 'file', filename: MEDIUM, discard: 'unmap' } };

/** A controller with a host above it. */
export interface Corner {
  readonly name: 'ours' | 'QEMU';
  readonly host: RawHost;
  /** Runs a body where the host may act. */
  run<T>(body: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Our controller. */
export async function ourCorner(): Promise<Corner> {
  const instance = createTestKernel({ checks: 'off', trace: 'off', nrCpus: 1, memoryBytes: 16 << 20 });
  const { kernel } = instance;
  const irqs = createIrqs({ kernel });
  const controller = createNvmeController({
    preset: 'qemu-7.2',
    serial: SERIAL,
    namespaces: [{ sizeBytes: NAMESPACE_BYTES, uuid: UUID, eui64: EUI64 }],
  });
  const slots = [{ slot: SLOT, function: controller }];
  const { hostBridge } = createPlatformSim({ kernel, irqs, slots });
  return corner('ours', instance, createPciStack(kernel, irqs).bus, hostBridge, async () => {});
}

/** QEMU's. */
export async function qemuCorner(): Promise<Corner> {
  const folder = mkdtempSync(join(tmpdir(), 'nvme-differential-'));
  const file = join(folder, 'medium.qcow2');
  writeFileSync(file, emptyQcow2(NAMESPACE_BYTES));
  const namespaces = [{ ...NAMESPACE, file, node: QCOW2 }];
  const qemu = await startQemu({ ramMiB: 16, bells: 1, controllers: [{ slot: SLOT, serial: SERIAL, namespaces }] });
  const clock = createQemuClock(qemu);
  const instance = createTestKernel({
    checks: 'off',
    trace: 'off',
    nrCpus: 1,
    memoryBytes: 16 << 20,
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
  return corner('QEMU', instance, createPciStack(kernel, irqs).bus, hostBridge, async () => {
    await qemu.stop();
    rmSync(folder, { recursive: true });
  });
}

async function corner(
  name: Corner['name'],
  { door }: KernelInstance,
  bus: PciBus,
  hostBridge: PciHostBridge,
  stop: () => Promise<void>,
): Promise<Corner> {
  const run: Corner['run'] = (body) => door.call('host', body);
  const host = await run(async () => {
    await bus.pciHostProbe(hostBridge);
    const pdev = bus.pciGetDevice(NVME) as PciDev;
    await bus.pciEnableDeviceMem(pdev);
    bus.pciSetMaster(pdev);
    // On, so that every vector may be named; the entries of its table stay masked.
    const at = bus.pciFindCapability(pdev, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
    bus.pciWriteConfigWord(pdev, at, bus.pciReadConfigWord(pdev, at) | PCI_MSIX_FLAGS_ENABLE);
    const registers = bus.ioremap(pdev, 0, BAR_BYTES);
    if (registers === null) throw new Error(`${name}: BAR 0 cannot be mapped`);
    return new RawHost(registers, pdev.dev.dma as DmaDevice, IO_QUEUES);
  });
  return {
    name,
    host,
    run,
    close: async () => {
      door.close('the comparison is over');
      await stop();
    },
  };
}
