/**
 * Memory as devices reach it: RAM itself, or in weak-memory mode a copy that only the DMA API moves.
 * Kernel counterpart: none; the memory controller behind the root complex.
 */
import { type DmaMirrorTransport, type Kernel, PAGE_SIZE } from '@nvme-stack/kernel';

/** At most as many bytes are copied one by one; beyond, a bulk copy is faster. */
const LOOP_BYTES = 64;

/** Bus addresses from `baseAddr` on, `sizeBytes` of them, at `bytes[address - baseAddr]`. */
export class DeviceMemory {
  readonly bytes: Uint8Array;
  readonly baseAddr: number;
  readonly sizeBytes: number;

  constructor(bytes: Uint8Array, baseAddr: number, sizeBytes: number) {
    this.bytes = bytes;
    this.baseAddr = baseAddr;
    this.sizeBytes = sizeBytes;
  }

  contains(busAddr: number, lengthBytes: number): boolean {
    const at = busAddr - this.baseAddr;
    return at >= 0 && at + lengthBytes <= this.sizeBytes;
  }

  /** Memory to device. */
  read(busAddr: number, bytes: Uint8Array, offset: number, length: number): void {
    copy(this.bytes, busAddr - this.baseAddr, bytes, offset, length);
  }

  /** Device to memory. */
  write(busAddr: number, bytes: Uint8Array, offset: number, length: number): void {
    copy(bytes, offset, this.bytes, busAddr - this.baseAddr, length);
  }

  /** Stores a dword, little-endian, as an interrupt message that is no interrupt does. */
  storeDword(busAddr: number, value: number): void {
    const at = busAddr - this.baseAddr;
    for (let i = 0; i < 4; i++) this.bytes[at + i] = (value >>> (8 * i)) & 0xff;
  }
}

/** Small pieces by a loop, pieces of one array in place, the rest through a view. */
function copy(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number, length: number): void {
  if (length <= LOOP_BYTES) {
    for (let i = 0; i < length; i++) to[toOffset + i] = from[fromOffset + i] as number;
  } else if (from === to) {
    to.copyWithin(toOffset, fromOffset, fromOffset + length);
  } else if (from.buffer === to.buffer) {
    copyInBuffer(from, fromOffset, to, toOffset, length);
  } else {
    to.set(from.subarray(fromOffset, fromOffset + length), toOffset);
  }
}

/** Two views of one buffer: whichever begins first may reach the other's bytes too. */
function copyInBuffer(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number, length: number): void {
  const start = from.byteOffset - to.byteOffset + fromOffset;
  if (start >= 0 && start + length <= to.length) {
    to.copyWithin(toOffset, start, start + length);
    return;
  }
  const target = to.byteOffset - from.byteOffset + toOffset;
  if (target >= 0 && target + length <= from.length) from.copyWithin(target, fromOffset, fromOffset + length);
  else to.set(from.subarray(fromOffset, fromOffset + length), toOffset);
}

/** RAM itself. */
export function ramMemory(kernel: Kernel): DeviceMemory {
  return new DeviceMemory(kernel.memory.bytes, 0, kernel.memory.sizeBytes);
}

/** A copy as large as RAM, above it, and the way to move bytes there and back. */
export function mirroredMemory(kernel: Kernel): { readonly memory: DeviceMemory; readonly transport: DmaMirrorTransport } {
  const { sizeBytes } = kernel.memory;
  const baseAddr = Math.floor((sizeBytes + PAGE_SIZE - 1) / PAGE_SIZE) * PAGE_SIZE;
  const memory = new DeviceMemory(new Uint8Array(sizeBytes), baseAddr, sizeBytes);
  const transport: DmaMirrorTransport = {
    baseAddr,
    sizeBytes,
    read: (address, bytes, offset, length) => memory.read(address, bytes, offset, length),
    write: (address, bytes, offset, length) => memory.write(address, bytes, offset, length),
  };
  return { memory, transport };
}
