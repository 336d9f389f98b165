/**
 * A BAR or bridge window as a resource: where it lies, how big it is, and how the log prints it.
 * Kernel counterpart: struct resource in include/linux/ioport.h; lib/vsprintf.c (%pR).
 */
import type { Resource } from '@nvme-stack/kernel';
import { PCI_BASE_ADDRESS_MEM_PREFETCH, PCI_BASE_ADDRESS_MEM_TYPE_64 } from '@nvme-stack/pci-function';
import { IORESOURCE_MEM, IORESOURCE_MEM_64, IORESOURCE_PREFETCH, IORESOURCE_SIZEALIGN } from './pci-constants.js';
import type { PciBarResource } from './ports.js';

/** One memory BAR of a function, or of all its virtual functions together. */
export class PciBar implements PciBarResource {
  readonly index: number;
  start = 0;
  readonly sizeBytes: number;
  readonly is64Bit: boolean;
  readonly prefetchable: boolean;
  claimed: Resource | null = null;
  /** Its place in /proc/iomem; null while it has none. */
  resource: Resource | null = null;
  /** A power of two its address is a multiple of. */
  readonly alignBytes: number;

  constructor(index: number, sizeBytes: number, is64Bit: boolean, prefetchable: boolean, alignBytes = sizeBytes) {
    this.index = index;
    this.sizeBytes = sizeBytes;
    this.is64Bit = is64Bit;
    this.prefetchable = prefetchable;
    this.alignBytes = alignBytes;
  }

  /** As the `resource` file shows them. */
  get flags(): number {
    return (
      IORESOURCE_MEM |
      IORESOURCE_SIZEALIGN |
      (this.is64Bit ? IORESOURCE_MEM_64 | PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
      (this.prefetchable ? IORESOURCE_PREFETCH | PCI_BASE_ADDRESS_MEM_PREFETCH : 0)
    );
  }

  /** `[mem 0xfebf0000-0xfebf3fff 64bit]`, or its size while it has no place. */
  text(): string {
    const range =
      this.start === 0 && this.resource === null
        ? `size ${hex(this.sizeBytes, 8)}`
        : `${hex(this.start, 8)}-${hex(this.start + this.sizeBytes - 1, 8)}`;
    return `[mem ${range}${this.is64Bit ? ' 64bit' : ''}${this.prefetchable ? ' pref' : ''}]`;
  }
}

/** `0x` and at least `digits` hexadecimal digits. */
export function hex(value: number, digits: number): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

/** Hexadecimal digits without `0x`, at least `digits` of them. */
export function digitsOf(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

/** The least multiple of `alignBytes` that is not below `value`. */
export function alignUp(value: number, alignBytes: number): number {
  return Math.floor((value + alignBytes - 1) / alignBytes) * alignBytes;
}
