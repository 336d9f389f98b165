/**
 * Memory-mapped access to QEMU's functions. QEMU gives 0 where nothing answers; a PC gives all ones, so a zero is
 * believed only of a function that decodes memory.
 * Kernel counterpart: include/linux/io.h (readl, writel).
 */
import type { Kernel } from '@nvme-stack/kernel';
import type { MmioRegion } from '@nvme-stack/pci-bus/ports';
import type { Owner, OwnerTable } from './owners.js';
import type { QemuClock, QemuLink } from './ports.js';
import { MMIO_READ, MMIO_WRITE } from './trace-events.js';

const ALL_ONES = 0xffffffff;

export class BoardMmio implements MmioRegion {
  readonly sizeBytes: number;
  unmapped = false;
  private readonly kernel: Kernel;
  private readonly link: QemuLink;
  private readonly clock: QemuClock;
  private readonly owners: OwnerTable;
  private readonly start: number;
  private readonly owner: Owner | null;
  /** Offset of the region in its BAR. */
  private readonly base: number;
  private readonly bdf: number;

  constructor(
    parts: { readonly kernel: Kernel; readonly link: QemuLink; readonly clock: QemuClock; readonly owners: OwnerTable },
    physAddr: number,
    sizeBytes: number,
  ) {
    this.kernel = parts.kernel;
    this.link = parts.link;
    this.clock = parts.clock;
    this.owners = parts.owners;
    this.start = physAddr;
    this.sizeBytes = sizeBytes;
    this.owner = parts.owners.find(physAddr);
    this.base = this.owner === null ? physAddr : physAddr - this.owner.barStart;
    this.bdf = this.owner === null ? 0 : this.owner.bus * 256 + this.owner.devfn;
  }

  readl(offset: number): number {
    const { trace } = this.kernel;
    this.check(offset);
    const value = this.value(offset);
    if (trace.events) trace.event(MMIO_READ, this.base + offset, value, 4, this.bdf);
    return value;
  }

  private value(offset: number): number {
    const { owner, owners } = this;
    if (owner !== null && owners.isGone(owner)) return ALL_ONES;
    const value = this.link.read(this.start + offset, 4);
    return value === 0 && owner !== null && !owners.decodes(owner) ? ALL_ONES : value;
  }

  writel(offset: number, value: number): void {
    const { trace } = this.kernel;
    this.check(offset);
    if (trace.events) trace.event(MMIO_WRITE, this.base + offset, value, 4, this.bdf);
    if (this.owner !== null && this.owners.isGone(this.owner)) return;
    this.link.write(this.start + offset, value, 4);
    this.clock.expect();
  }

  private check(offset: number): void {
    const { ex } = this.kernel;
    ex.assertAwake('mmio');
    if (this.unmapped) ex.bug('MMIO access to a region that is unmapped');
    if (!(offset >= 0 && offset + 4 <= this.sizeBytes) || offset % 4 !== 0) {
      ex.bug(`MMIO access at 0x${offset.toString(16)}, mapped are 0x${this.sizeBytes.toString(16)} bytes`);
    }
  }
}
