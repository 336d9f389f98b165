/**
 * Configuration access through ECAM. What the platform keeps for itself (the bells) is not there for the kernel, and
 * a function that was taken out reads all ones at once, whatever QEMU still does with it.
 * Kernel counterpart: arch/x86/pci/mmconfig_64.c. Spec: [PCIe] 5.0 §7.2.2.
 */
import type { Kernel } from '@nvme-stack/kernel';
import type { PciConfigAccess } from '@nvme-stack/pci-bus/ports';
import { type AccessSize, allOnes } from '@nvme-stack/pci-function';
import { BELL_SLOT, type QemuLink } from './ports.js';
import { CONFIG_READ, CONFIG_WRITE } from './trace-events.js';

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
/** PCIEXBAR of the q35 host bridge: base of ECAM, 256 MiB, enabled. */
const PCIEXBAR_LOW = 0x80000060;
const PCIEXBAR_HIGH = 0x80000064;
const ECAM_BASE = 0xb0000000;
const ECAM_ENABLE = 1;

const ecam = (bus: number, devfn: number, offset: number): number =>
  ECAM_BASE + bus * 0x100000 + devfn * 0x1000 + offset;

/** Requester id of a function: bus and devfn. */
export const bdfOf = (bus: number, devfn: number): number => bus * 256 + devfn;

export class BoardConfig implements PciConfigAccess {
  private readonly kernel: Kernel;
  private readonly link: QemuLink;
  private readonly isGone: (bdf: number) => boolean;

  constructor(kernel: Kernel, link: QemuLink, isGone: (bdf: number) => boolean) {
    this.kernel = kernel;
    this.link = link;
    this.isGone = isGone;
    this.viaPorts(PCIEXBAR_HIGH, 0);
    this.viaPorts(PCIEXBAR_LOW, ECAM_BASE + ECAM_ENABLE);
  }

  private viaPorts(address: number, value: number): void {
    this.link.portWrite(CONFIG_ADDRESS, address);
    this.link.portWrite(CONFIG_DATA, value);
  }

  /** An access of the platform's own: hidden functions answer, nothing is traced. */
  peek(bus: number, devfn: number, offset: number, size: AccessSize): number {
    return this.link.read(ecam(bus, devfn, offset), size);
  }

  poke(bus: number, devfn: number, offset: number, value: number, size: AccessSize): void {
    this.link.write(ecam(bus, devfn, offset), value, size);
  }

  private hidden(bus: number, devfn: number): boolean {
    return (bus === 0 && devfn >>> 3 === BELL_SLOT) || this.isGone(bdfOf(bus, devfn));
  }

  read(bus: number, devfn: number, offset: number, size: AccessSize): number {
    const { ex, trace } = this.kernel;
    ex.assertAwake('pci_cfg_read');
    if (this.hidden(bus, devfn)) return allOnes(size);
    const value = this.peek(bus, devfn, offset, size);
    if (trace.events) trace.event(CONFIG_READ, bdfOf(bus, devfn), offset, value, size);
    return value;
  }

  write(bus: number, devfn: number, offset: number, value: number, size: AccessSize): void {
    const { ex, trace } = this.kernel;
    ex.assertAwake('pci_cfg_write');
    if (this.hidden(bus, devfn)) return;
    if (trace.events) trace.event(CONFIG_WRITE, bdfOf(bus, devfn), offset, value, size);
    this.poke(bus, devfn, offset, value, size);
  }
}
