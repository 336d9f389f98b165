// Configuration space as bytes with a write mask and a write-1-to-clear mask per bit.
// Kernel counterpart: none (the device's side of drivers/pci/access.c). Spec: [PCI] 3.0 §6.1, [PCIe] 5.0 §7.5.1.
import { PCI_CFG_SPACE_EXP_SIZE } from './pci-regs.js';
import type { AccessSize } from './ports.js';

/** All ones at an access size: what a read answers where nothing is. */
export function allOnes(size: AccessSize): number {
  return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
}

/** The bytes of one function's configuration space; bits are read-only unless a mask says otherwise. */
export class ConfigSpace {
  /** Current contents. */
  readonly bytes: Uint8Array;
  readonly #writable: Uint8Array;
  readonly #writeOneToClear: Uint8Array;

  /** sizeBytes is 256 or 4096. */
  constructor(sizeBytes: number = PCI_CFG_SPACE_EXP_SIZE) {
    this.bytes = new Uint8Array(sizeBytes);
    this.#writable = new Uint8Array(sizeBytes);
    this.#writeOneToClear = new Uint8Array(sizeBytes);
  }

  /** Reads size bytes little-endian; bytes beyond the space read as all ones. */
  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) {
      const at = offset + i;
      value = value * 256 + (at >= 0 && at < this.bytes.length ? (this.bytes[at] as number) : 0xff);
    }
    return value;
  }

  /** Writes as the bus does: only writable bits change, and ones clear write-1-to-clear bits. */
  write(offset: number, value: number, size: AccessSize): void {
    for (let i = 0; i < size; i++) {
      const at = offset + i;
      if (at < 0 || at >= this.bytes.length) continue;
      const byte = (value >>> (8 * i)) & 0xff;
      const writable = this.#writable[at] as number;
      const old = this.bytes[at] as number;
      this.bytes[at] = ((old & ~writable) | (byte & writable)) & ~(byte & (this.#writeOneToClear[at] as number));
    }
  }

  /** Sets contents from the device's side, read-only bits included. */
  set(offset: number, value: number, size: AccessSize): void {
    fill(this.bytes, offset, value, size);
  }

  /** Declares which bits a configuration write may change. */
  allowWrite(offset: number, mask: number, size: AccessSize): void {
    fill(this.#writable, offset, mask, size);
  }

  /** Declares which bits a written one clears. */
  clearOnOne(offset: number, mask: number, size: AccessSize): void {
    fill(this.#writeOneToClear, offset, mask, size);
  }

  /** True if an access of size bytes at offset touches the length bytes at start. */
  static touches(offset: number, size: number, start: number, length: number): boolean {
    return offset < start + length && offset + size > start;
  }
}

function fill(target: Uint8Array, offset: number, value: number, size: AccessSize): void {
  for (let i = 0; i < size; i++) target[offset + i] = (value >>> (8 * i)) & 0xff;
}
