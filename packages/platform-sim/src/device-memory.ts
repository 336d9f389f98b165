/**
 * Memory as devices reach it: RAM itself, or in weak-memory mode a copy that only the DMA API moves.
 * Kernel counterpart: none; the memory controller behind the root complex.
 */
import { type DmaMirrorTransport, type Kernel, PAGE_SIZE } from '@nvme-stack/kernel';
import type { PlatformSimDeps } from './ports.js';

/** At most as many bytes are copied by loops; beyond, a bulk copy is faster. */
const LOOP_BYTES = 256;

/** Bus addresses from `baseAddr` on, `sizeBytes` of them, at `bytes[address - baseAddr]`. */
export class DeviceMemory {
  readonly bytes: Uint8Array;
  /** The same by words of 32 bits; copying by words keeps whatever byte order there is. */
  readonly words: Uint32Array;
  readonly baseAddr: number;
  readonly sizeBytes: number;
  /** Moves within `bytes`; null: `copyWithin` does. */
  readonly move: PlatformSimDeps['moveInRam'] | null;

  constructor(bytes: Uint8Array, baseAddr: number, sizeBytes: number, move: PlatformSimDeps['moveInRam'] = null) {
    this.bytes = bytes;
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / 4));
    this.baseAddr = baseAddr;
    this.sizeBytes = sizeBytes;
    this.move = move;
  }

  contains(busAddr: number, lengthBytes: number): boolean {
    const at = busAddr - this.baseAddr;
    return at >= 0 && at + lengthBytes <= this.sizeBytes;
  }

  /** Stores a dword, little-endian, as an interrupt message that is no interrupt does. */
  storeDword(busAddr: number, value: number): void {
    const at = busAddr - this.baseAddr;
    for (let i = 0; i < 4; i++) this.bytes[at + i] = (value >>> (8 * i)) & 0xff;
  }
}

/** One device's way to memory; it remembers the device's last buffer by words, since most use one for all small pieces. */
export class MemoryPort {
  private readonly memory: DeviceMemory;
  private lastBytes: Uint8Array;
  /** Empty for a buffer that does not begin at a word. */
  private lastWords: Uint32Array;

  constructor(memory: DeviceMemory) {
    this.memory = memory;
    this.lastBytes = memory.bytes;
    this.lastWords = memory.words;
  }

  /** Memory to device. */
  read(busAddr: number, bytes: Uint8Array, offset: number, length: number): void {
    const { memory } = this;
    const at = busAddr - memory.baseAddr;
    if (length > LOOP_BYTES) copyBulk(memory, memory.bytes, at, bytes, offset, length);
    else if (((at | offset | length) & 3) !== 0) copyBytes(memory.bytes, at, bytes, offset, length);
    else copyWords(memory.words, at >>> 2, this.wordsOf(bytes), offset >>> 2, length >>> 2, memory.bytes, bytes);
  }

  /** Device to memory. */
  write(busAddr: number, bytes: Uint8Array, offset: number, length: number): void {
    const { memory } = this;
    const at = busAddr - memory.baseAddr;
    if (length > LOOP_BYTES) copyBulk(memory, bytes, offset, memory.bytes, at, length);
    else if (((at | offset | length) & 3) !== 0) copyBytes(bytes, offset, memory.bytes, at, length);
    else copyWords(this.wordsOf(bytes), offset >>> 2, memory.words, at >>> 2, length >>> 2, bytes, memory.bytes);
  }

  private wordsOf(bytes: Uint8Array): Uint32Array {
    if (bytes === this.lastBytes) return this.lastWords;
    const aligned = bytes.byteOffset % 4 === 0;
    this.lastBytes = bytes;
    this.lastWords = new Uint32Array(
      bytes.buffer,
      aligned ? bytes.byteOffset : 0,
      aligned ? Math.floor(bytes.byteLength / 4) : 0,
    );
    return this.lastWords;
  }
}

function copyBytes(from: Uint8Array, fromOffset: number, to: Uint8Array, toOffset: number, length: number): void {
  for (let i = 0; i < length; i++) to[toOffset + i] = from[fromOffset + i] as number;
}

/** Falls back to bytes where one side has no words, or ends within one. */
function copyWords(
  from: Uint32Array,
  fromWord: number,
  to: Uint32Array,
  toWord: number,
  count: number,
  fromBytes: Uint8Array,
  toBytes: Uint8Array,
): void {
  if (fromWord + count > from.length || toWord + count > to.length) {
    copyBytes(fromBytes, fromWord * 4, toBytes, toWord * 4, count * 4);
    return;
  }
  for (let i = 0; i < count; i++) to[toWord + i] = from[fromWord + i] as number;
}

/** Pieces of one buffer in place, which needs no view; the rest through a view. */
function copyBulk(
  memory: DeviceMemory,
  from: Uint8Array,
  fromOffset: number,
  to: Uint8Array,
  toOffset: number,
  length: number,
): void {
  if (from === to) {
    if (memory.move) memory.move(toOffset, fromOffset, length);
    else to.copyWithin(toOffset, fromOffset, fromOffset + length);
  } else if (from.buffer === to.buffer) copyInBuffer(from, fromOffset, to, toOffset, length);
  else to.set(from.subarray(fromOffset, fromOffset + length), toOffset);
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
export function ramMemory(kernel: Kernel, move: PlatformSimDeps['moveInRam'] = null): DeviceMemory {
  return new DeviceMemory(kernel.memory.bytes, 0, kernel.memory.sizeBytes, move);
}

/** A copy as large as RAM, above it, and the way to move bytes there and back. */
export function mirroredMemory(kernel: Kernel): {
  readonly memory: DeviceMemory;
  readonly transport: DmaMirrorTransport;
} {
  const { sizeBytes } = kernel.memory;
  const baseAddr = Math.floor((sizeBytes + PAGE_SIZE - 1) / PAGE_SIZE) * PAGE_SIZE;
  const memory = new DeviceMemory(new Uint8Array(sizeBytes), baseAddr, sizeBytes);
  const port = new MemoryPort(memory);
  const transport: DmaMirrorTransport = {
    baseAddr,
    sizeBytes,
    read: (address, bytes, offset, length) => port.read(address, bytes, offset, length),
    write: (address, bytes, offset, length) => port.write(address, bytes, offset, length),
  };
  return { memory, transport };
}
