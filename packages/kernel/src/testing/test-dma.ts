/** DMA fixtures for tests: a device on direct operations, and one whose memory is elsewhere. */
import { createDmaDirect } from '../memory/dma-direct.js';
import { createDmaMirrored, type DmaMirrorTransport } from '../memory/dma-mirrored.js';
import type { DmaMappingObserver, DmaOps, Kernel } from '../ports.js';
import { PAGE_SIZE } from '../ports.js';
import type { DmaOpsFixture } from './memory-contracts.js';
import { createTestKernel } from './test-kernel.js';

/** A device with 64-bit masks at requester id 0x20. */
export class TestDmaDevice {
  readonly kernel: Kernel;
  readonly ops: DmaOps;
  readonly name: string;
  readonly requesterId: number;
  readonly numaNode = 0;
  dmaMaskBits = 64;
  coherentDmaMaskBits = 64;

  constructor(kernel: Kernel, ops: DmaOps, name = '0000:00:04.0', requesterId = 0x20) {
    this.kernel = kernel;
    this.ops = ops;
    this.name = name;
    this.requesterId = requesterId;
  }
}

/** A transport to memory of its own, as another process's would be. */
export function createTestTransport(
  baseAddr: number,
  pages: number,
): DmaMirrorTransport & { readonly remote: Uint8Array } {
  const sizeBytes = pages * PAGE_SIZE;
  const remote = new Uint8Array(sizeBytes);
  const check = (addr: number, length: number): number => {
    const from = addr - baseAddr;
    if (from < 0 || from + length > sizeBytes) throw new RangeError(`no remote memory at ${addr}`);
    return from;
  };
  return {
    baseAddr,
    sizeBytes,
    remote,
    read(addr, bytes, offset, length) {
      const from = check(addr, length);
      bytes.set(remote.subarray(from, from + length), offset);
    },
    write(addr, bytes, offset, length) {
      remote.set(bytes.subarray(offset, offset + length), check(addr, length));
    },
  };
}

/** A device that sees RAM as it is. */
export function createDirectFixture(observer: DmaMappingObserver | null = null): DmaOpsFixture {
  const { kernel } = createTestKernel();
  const { memory, live } = kernel;
  const ops = createDmaDirect(memory, observer, live);
  const dev = new TestDmaDevice(kernel, ops);
  return {
    ops,
    dev,
    memory,
    live,
    deviceRead: (busAddr, lengthBytes) => memory.bytes.slice(busAddr, busAddr + lengthBytes),
    deviceWrite: (busAddr, bytes) => memory.bytes.set(bytes, busAddr),
  };
}

/** A device that sees only what is moved to it. */
export function createMirroredFixture(observer: DmaMappingObserver | null = null, pages = 64): DmaOpsFixture {
  const { kernel } = createTestKernel();
  const { memory, live } = kernel;
  const transport = createTestTransport(0x100000, pages);
  const ops = createDmaMirrored(transport, memory, observer, live);
  const dev = new TestDmaDevice(kernel, ops);
  const { remote, baseAddr } = transport;
  return {
    ops,
    dev,
    memory,
    live,
    deviceRead: (busAddr, lengthBytes) => remote.slice(busAddr - baseAddr, busAddr - baseAddr + lengthBytes),
    deviceWrite: (busAddr, bytes) => remote.set(bytes, busAddr - baseAddr),
  };
}
