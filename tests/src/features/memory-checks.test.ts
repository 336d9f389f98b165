import {
  DMA_TO_DEVICE,
  type DmaDevice,
  dmaAllocCoherent,
  dmaFreeCoherent,
  dmaMapPage,
  dmaUnmapPage,
} from '@nvme-stack/kernel';
import type { Machine } from '@nvme-stack/machine';
import type { ModuleDefinition } from '@nvme-stack/modules/ports';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import { PCI_ANY_ID, type PciDev, type PciDriver } from '@nvme-stack/pci-bus/ports';
import { DMA_FAULT, DMA_OK, type PciHost } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { machineWith, NVME_BDF, pattern } from './bench.js';

/** Requester of the controller at 00:03.0. */
const REQUESTER = 0x18;

/** A machine whose controller's way to memory is also in our hands. */
async function rogue(): Promise<{ machine: Machine; host: () => PciHost }> {
  let host: PciHost | null = null;
  const machine = await machineWith(
    {},
    {},
    {
      parts: {
        controller: (description, deps) => {
          const inner = createNvmeController(description, deps);
          const { attach } = inner;
          inner.attach = (given) => {
            host = given;
            attach.call(inner, given);
          };
          return inner;
        },
      },
    },
  );
  return {
    machine,
    host: () => {
      if (host === null) throw new Error('no host');
      return host;
    },
  };
}

describe('device access', () => {
  it('to memory that is not mapped is refused, recorded and logged', async () => {
    const { machine, host } = await rogue();
    await machine.modprobe('nvme');
    const buffer = machine.allocBuffer(4096);
    buffer.write(0, pattern(4096, 1));
    const address = buffer.pages[0] as number;
    const bytes = new Uint8Array(64);
    expect(host().dmaRead(address, bytes, 0, 64)).toBe(DMA_FAULT);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    expect(host().dmaWrite(address, bytes, 0, 64)).toBe(DMA_FAULT);
    expect(buffer.read(0, 1)[0]).toBe(pattern(1, 1)[0]);
    expect(
      machine.subsystems.platform.dmaFaults.map(({ requesterId, busAddr, lengthBytes, isWrite }) => [
        requesterId,
        busAddr,
        lengthBytes,
        isWrite,
      ]),
    ).toEqual([
      [REQUESTER, address, 64, false],
      [REQUESTER, address, 64, true],
    ]);
    expect(machine.dmesg().at(-1)).toMatch(
      /DMAR: \[DMA Write NO_PASID\] Request device \[00:03\.0\] fault addr 0x[0-9a-f]+/,
    );
    buffer.free();
  });

  it('in the wrong direction is refused, and after the unmapping too', async () => {
    const { machine, host } = await rogue();
    await machine.modprobe('nvme');
    const dma = machine.device(NVME_BDF).pdev?.dev.dma as DmaDevice;
    const buffer = machine.allocBuffer(4096);
    const bytes = new Uint8Array(16);
    await machine.task('mapping', async () => {
      const busAddr = dmaMapPage(dma, buffer.pages[0] as number, 4096, DMA_TO_DEVICE);
      expect(host().dmaRead(busAddr, bytes, 0, 16)).toBe(DMA_OK);
      expect(host().dmaWrite(busAddr, bytes, 0, 16)).toBe(DMA_FAULT);
      dmaUnmapPage(dma, busAddr, 4096, DMA_TO_DEVICE);
      expect(host().dmaRead(busAddr, bytes, 0, 16)).toBe(DMA_FAULT);
    });
    expect(machine.subsystems.platform.dmaFaultCount).toBe(2);
    buffer.free();
  });

  it('by a whole life of the driver never faults', async () => {
    const { machine } = await rogue();
    await machine.modprobe('nvme');
    await machine.disk('nvme0n1').write(512, pattern(1 << 20));
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await machine.disk('nvme0n1').read(512, 1 << 20);
    await machine.rmmod('nvme');
    expect(machine.subsystems.platform.dmaFaultCount).toBe(0);
    expect(machine.subsystems.platform.dmaAborts).toBe(0);
    expect(machine.subsystems.platform.mappedPages(REQUESTER)).toBe(0);
  });
});

/** A driver that takes what it is told to and gives nothing back. */
function leakingModule(machine: Machine, take: (pdev: PciDev) => void): ModuleDefinition {
  const { pciBus } = machine.subsystems;
  const driver: PciDriver = {
    name: 'leaky',
    owner: 'leaky',
    idTable: [
      {
        vendor: 0x1b36,
        device: 0x0010,
        subvendor: PCI_ANY_ID,
        subdevice: PCI_ANY_ID,
        class: 0,
        classMask: 0,
        driverData: 0,
      },
    ],
    probeType: 'force-synchronous',
    probe: async (pdev) => {
      await pciBus.pciEnableDeviceMem(pdev);
      take(pdev);
    },
    remove: async (pdev) => pciBus.pciDisableDevice(pdev),
  };
  return {
    name: 'leaky',
    dependsOn: [],
    params: [],
    info: { author: 'a test', license: 'MIT' },
    initSymbol: 'leaky_init',
    init: () => pciBus.pciRegisterDriver(driver),
    exit: () => pciBus.pciUnregisterDriver(driver),
  };
}

describe('what a driver leaves behind', () => {
  it.each<[string, string, (machine: Machine, pdev: PciDev) => void]>([
    ['a coherent buffer', 'pages', (_machine, pdev) => void dmaAllocCoherent(pdev.dev.dma as DmaDevice, 8192)],
    [
      'a mapping',
      'mappings',
      (machine, pdev) =>
        void dmaMapPage(
          pdev.dev.dma as DmaDevice,
          machine.subsystems.kernel.memory.allocPages(1, 'leaky'),
          4096,
          DMA_TO_DEVICE,
        ),
    ],
    ['pages', 'pages', (machine) => void machine.subsystems.kernel.memory.allocPages(3, 'leaky')],
    ['a region', 'regions', (machine, pdev) => machine.subsystems.pciBus.pciRequestMemRegions(pdev, 'leaky')],
    ['a BAR mapping', 'mappings', (machine, pdev) => void machine.subsystems.pciBus.ioremap(pdev, 0, 4096)],
    [
      'interrupt vectors',
      'vectors',
      (machine, pdev) => void machine.subsystems.pciBus.pciAllocIrqVectors(pdev, 1, 2, 7),
    ],
  ])('is reported by kind: %s (%s)', async (_what, wanted, take) => {
    const machine = await machineWith();
    await machine.insmod(leakingModule(machine, (pdev) => take(machine, pdev)));
    await machine.rmmod('leaky');
    const leaks = machine.leaks();
    expect(
      leaks.map(({ kind }) => kind),
      JSON.stringify(leaks),
    ).toContain(wanted);
    for (const { count } of leaks) expect(count).toBeGreaterThan(0);
  });

  it('is nothing when it gives back what it took', async () => {
    const machine = await machineWith();
    await machine.insmod(
      leakingModule(machine, (pdev) => {
        const dma = pdev.dev.dma as DmaDevice;
        const memory = dmaAllocCoherent(dma, 8192);
        if (memory !== null) dmaFreeCoherent(dma, memory);
      }),
    );
    await machine.rmmod('leaky');
    expect(machine.leaks()).toEqual([]);
  });
});
