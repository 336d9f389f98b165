// Memory base address registers: the size is what reads back after all ones were written.
// Kernel counterpart: what drivers/pci/probe.c __pci_read_base finds. Spec: [PCI] 3.0 §6.2.5.1.
import type { ConfigSpace } from './config-space.js';
import * as regs from './pci-regs.js';

/** One memory BAR; a 64-bit BAR also takes the register after it. */
export interface PciBar {
  /** 0..5. */
  readonly index: number;
  /** A power of two, 16 at least. */
  readonly sizeBytes: number;
  readonly is64Bit?: boolean;
  readonly prefetchable?: boolean;
}

/** Declares a memory BAR in a header, or where else `firstOffset` says BAR 0 lies; throws a RangeError on a size or index no BAR can have. */
export function addMemoryBar(config: ConfigSpace, bar: PciBar, firstOffset: number = regs.PCI_BASE_ADDRESS_0): void {
  const last = bar.is64Bit ? 4 : 5;
  if (bar.index < 0 || bar.index > last || bar.index % 1 !== 0) {
    throw new RangeError(`BAR index ${bar.index} is not allowed: it must be 0..${last}`);
  }
  if (!isPowerOfTwo(bar.sizeBytes) || bar.sizeBytes < 16 || (!bar.is64Bit && bar.sizeBytes > 0x80000000)) {
    throw new RangeError(
      `BAR ${bar.index} sizeBytes ${bar.sizeBytes} is not allowed: it must be a power of two, 16 or more`,
    );
  }
  const offset = firstOffset + 4 * bar.index;
  const type = bar.is64Bit ? regs.PCI_BASE_ADDRESS_MEM_TYPE_64 : regs.PCI_BASE_ADDRESS_MEM_TYPE_32;
  config.set(offset, type | (bar.prefetchable ? regs.PCI_BASE_ADDRESS_MEM_PREFETCH : 0), 4);
  config.allowWrite(offset, bar.sizeBytes > 0xffffffff ? 0 : (0x100000000 - bar.sizeBytes) >>> 0, 4);
  if (!bar.is64Bit) return;
  const upperSize = Math.max(1, bar.sizeBytes / 0x100000000);
  config.allowWrite(offset + 4, (0x100000000 - upperSize) >>> 0, 4);
}

/** The bus address a memory BAR holds at present. */
export function barAddress(config: ConfigSpace, index: number): number {
  const offset = regs.PCI_BASE_ADDRESS_0 + 4 * index;
  const low = config.read(offset, 4);
  const address = (low & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0;
  const is64Bit = (low & regs.PCI_BASE_ADDRESS_MEM_TYPE_MASK) === regs.PCI_BASE_ADDRESS_MEM_TYPE_64;
  return is64Bit ? address + config.read(offset + 4, 4) * 0x100000000 : address;
}

function isPowerOfTwo(value: number): boolean {
  let power = 1;
  while (power < value) power *= 2;
  return power === value;
}
