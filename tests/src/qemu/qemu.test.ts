/** The ports carry a platform in another process: QEMU's q35 and its NVMe controller, driven through them unchanged. */
import { existsSync, readdirSync } from 'node:fs';
import { createIrqs } from '@nvme-stack/irq';
import type { DmaDevice, Kernel, KernelInstance } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import {
  NVME_ID_CNS_CTRL,
  NVME_ID_CNS_NS,
  NvmeIdCtrl,
  NvmeIdNs,
  PCI_CLASS_STORAGE_EXPRESS,
} from '@nvme-stack/nvme-protocol';
import type { PciBus, PciDev } from '@nvme-stack/pci-bus/ports';
import { createPciStack } from '@nvme-stack/pci-bus/testing';
import {
  PCI_CAP_ID_MSIX,
  PCI_MSIX_FLAGS,
  PCI_MSIX_FLAGS_QSIZE,
  PCI_MSIX_PBA,
  PCI_MSIX_TABLE,
} from '@nvme-stack/pci-function';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AdminHost } from './admin-host.js';
import { createQemuHostBridge } from './qemu-host-bridge.js';
import { type QemuProcess, qemuMissing, startQemu } from './qemu-process.js';

const missing = qemuMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const SERIAL = 'nvme-stack-smoke';
const DISK_BYTES = 16 << 20;
const NVME = '0000:00:01.0';

describe.skipIf(missing !== null)('QEMU behind the ports', () => {
  let qemu: QemuProcess;
  let instance: KernelInstance;
  let kernel: Kernel;
  let bus: PciBus;
  let pdev: PciDev;

  beforeAll(async () => {
    qemu = await startQemu(SERIAL, DISK_BYTES);
    instance = createTestKernel();
    kernel = instance.kernel;
    bus = createPciStack(kernel, createIrqs({ kernel })).bus;
    await instance.door.call('swapper', () => bus.pciHostProbe(createQemuHostBridge(kernel, qemu).hostBridge));
    pdev = bus.pciGetDevice(NVME) as PciDev;
  });

  afterAll(() => qemu?.stop());

  it('enumerates the q35 board', () => {
    const ids = bus.devices.map(
      ({ dev, vendor, device }) => `${dev.name} ${vendor.toString(16)}:${device.toString(16)}`,
    );
    expect(ids).toEqual([
      '0000:00:00.0 8086:29c0',
      '0000:00:01.0 1b36:10',
      '0000:00:1f.0 8086:2918',
      '0000:00:1f.2 8086:2922',
      '0000:00:1f.3 8086:2930',
    ]);
    expect(pdev.class).toBe(PCI_CLASS_STORAGE_EXPRESS);
  });

  it('places the controller’s 16 KiB BAR in a window and writes it to the device', () => {
    expect(pdev.bars[0]).toMatchObject({ sizeBytes: 0x4000, is64Bit: true });
    const start = pdev.bars[0]?.start as number;
    expect(start % 0x4000).toBe(0);
    expect(start).toBeGreaterThanOrEqual(0xc0000000);
    const low = bus.pciReadConfigDword(pdev, 0x10);
    expect(bus.pciReadConfigDword(pdev, 0x14) * 2 ** 32 + low - (low % 16)).toBe(start);
    expect(kernel.iomem.show()).toContain(`${start.toString(16)}-${(start + 0x3fff).toString(16)} : ${NVME}`);
  });

  it('finds 65 MSI-X vectors and where their table is', () => {
    const at = bus.pciFindCapability(pdev, PCI_CAP_ID_MSIX);
    expect(at).toBeGreaterThan(0);
    expect((bus.pciReadConfigWord(pdev, at + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1).toBe(65);
    expect(bus.pciReadConfigDword(pdev, at + PCI_MSIX_TABLE)).toBe(0x2000);
    expect(bus.pciReadConfigDword(pdev, at + PCI_MSIX_PBA)).toBe(0x3000);
  });

  it('sets up the admin queue and identifies controller and namespace', async () => {
    const found = await instance.door.call('identify', () => identify(bus, pdev));
    const controller = NvmeIdCtrl.cursor(found.controller.data);
    expect([found.controller.status, found.namespace.status, found.absent.status]).toEqual([0, 0, 0x4000 | 0x0b]);
    expect([controller.vid, controller.ssvid]).toEqual([0x1b36, 0x1af4]);
    expect(controller.sn.trim()).toBe(SERIAL);
    expect(controller.mn.trim()).toBe('QEMU NVMe Ctrl');
    expect([controller.mdts, controller.nn, controller.oacs]).toEqual([7, 256, 0x10a]);
    expect(NvmeIdNs.cursor(found.namespace.data).nsze * 512).toBe(DISK_BYTES);
    expect(kernel.live.leaks().filter(({ kind }) => kind === 'pages' || kind === 'mappings')).toEqual([]);
  });

  it('left nothing in /dev/shm', () => {
    const left = existsSync('/dev/shm') ? readdirSync('/dev/shm') : [];
    expect(left.filter((name) => name.startsWith('nvme-stack-qemu-'))).toEqual([]);
  });
});

/** Enables the function, identifies, and leaves it as it was. Task context. */
async function identify(bus: PciBus, pdev: PciDev) {
  await bus.pciEnableDeviceMem(pdev);
  bus.pciSetMaster(pdev);
  const registers = bus.ioremap(pdev, 0, 0x2000);
  if (registers === null) throw new Error('BAR 0 cannot be mapped');
  const host = new AdminHost(registers, pdev.dev.dma as DmaDevice);
  await host.enable();
  const controller = await host.identify(NVME_ID_CNS_CTRL, 0);
  const namespace = await host.identify(NVME_ID_CNS_NS, 1);
  const absent = await host.identify(NVME_ID_CNS_NS, 0);
  await host.disable();
  host.free();
  bus.iounmap(pdev, registers);
  bus.pciDisableDevice(pdev);
  return { controller, namespace, absent };
}
