/**
 * QEMU's q35 as the PCI subsystem sees a platform: configuration space through ECAM, MMIO through the test protocol,
 * DMA through the file that is guest RAM. It implements the ports as they are.
 */
import { readSync, writeSync } from 'node:fs';
import { createDmaMirrored, type DmaMirrorTransport, type DmaOps, type Kernel } from '@nvme-stack/kernel';
import type { MmioRegion, PciConfigAccess, PciHostBridge } from '@nvme-stack/pci-bus/ports';
import type { QemuProcess } from './qemu-process.js';
import type { QtestLink } from './qtest-link.js';

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
/** PCIEXBAR of the q35 host bridge: base of ECAM, 256 MiB, enabled. */
const PCIEXBAR_LOW = 0x80000060;
const PCIEXBAR_HIGH = 0x80000064;
const ECAM_BASE = 0xb0000000;
const ECAM_ENABLE = 1;
/** Guest-physical range that is handed out for DMA. */
const DMA_BASE = 1 << 20;

const hex = (value: number): string => `0x${value.toString(16)}`;
const SUFFIX = { 1: 'b', 2: 'w', 4: 'l' } as const;

class QemuConfig implements PciConfigAccess {
  private readonly link: QtestLink;

  constructor(link: QtestLink) {
    this.link = link;
    this.viaPorts(PCIEXBAR_HIGH, 0);
    this.viaPorts(PCIEXBAR_LOW, ECAM_BASE + ECAM_ENABLE);
  }

  private viaPorts(address: number, value: number): void {
    this.link.ask(`outl ${hex(CONFIG_ADDRESS)} ${hex(address)}`);
    this.link.ask(`outl ${hex(CONFIG_DATA)} ${hex(value)}`);
  }

  read(bus: number, devfn: number, offset: number, size: 1 | 2 | 4): number {
    return Number(this.link.ask(`read${SUFFIX[size]} ${hex(ecam(bus, devfn, offset))}`));
  }

  write(bus: number, devfn: number, offset: number, value: number, size: 1 | 2 | 4): void {
    this.link.ask(`write${SUFFIX[size]} ${hex(ecam(bus, devfn, offset))} ${hex(value)}`);
  }
}

function ecam(bus: number, devfn: number, offset: number): number {
  return ECAM_BASE + bus * 0x100000 + devfn * 0x1000 + offset;
}

class QemuMmio implements MmioRegion {
  readonly sizeBytes: number;
  private readonly link: QtestLink;
  private readonly start: number;
  private readonly written: () => void;

  constructor(link: QtestLink, start: number, sizeBytes: number, written: () => void) {
    this.link = link;
    this.start = start;
    this.sizeBytes = sizeBytes;
    this.written = written;
  }

  readl(offset: number): number {
    return Number(this.link.ask(`readl ${hex(this.start + offset)}`));
  }

  writel(offset: number, value: number): void {
    this.link.post(`writel ${hex(this.start + offset)} ${hex(value >>> 0)}`);
    this.written();
  }
}

/** Guest RAM behind its file. What was posted takes effect before a read of memory. */
export class QemuMemory implements DmaMirrorTransport {
  readonly baseAddr = DMA_BASE;
  readonly sizeBytes: number;
  private readonly qemu: QemuProcess;

  constructor(qemu: QemuProcess) {
    this.qemu = qemu;
    this.sizeBytes = qemu.ramBytes - DMA_BASE;
  }

  /** Waits until QEMU has answered once more; its devices work between two answers. */
  roundTrip(): void {
    this.qemu.link.ask(`readl ${hex(DMA_BASE)}`);
  }

  read(addr: number, bytes: Uint8Array, offset: number, length: number): void {
    this.qemu.link.collect();
    readSync(this.qemu.ram, bytes, offset, length, addr);
  }

  write(addr: number, bytes: Uint8Array, offset: number, length: number): void {
    writeSync(this.qemu.ram, bytes, offset, length, addr);
  }
}

/** The host bridge of a running QEMU, and its memory; interrupts are not connected. `written` hears of each MMIO write. */
export function createQemuHostBridge(
  kernel: Kernel,
  qemu: QemuProcess,
  written: () => void = () => {},
): { readonly hostBridge: PciHostBridge; readonly memory: QemuMemory } {
  const memory = new QemuMemory(qemu);
  const ops: DmaOps = createDmaMirrored(memory, kernel.memory, null, kernel.live);
  const hostBridge: PciHostBridge = {
    name: 'pci0000:00',
    domain: 0,
    busStart: 0,
    busEnd: 0xff,
    config: new QemuConfig(qemu.link),
    memoryWindows: [
      { start: 0xc0000000, end: 0xfebfffff, prefetchable: false },
      { start: 0x8000000000, end: 0x80ffffffff, prefetchable: true },
    ],
    ioremap: (physAddr, sizeBytes) => new QemuMmio(qemu.link, physAddr, sizeBytes, written),
    iounmap: () => {},
    dmaOps: () => ops,
    msiDomain: null,
    intxRoute: () => null,
    numaNode: -1,
    onHotplug: null,
  };
  return { hostBridge, memory };
}
