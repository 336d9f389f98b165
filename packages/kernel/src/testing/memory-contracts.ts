/** Contract suites any physical memory and any set of DMA operations must pass. */
import { createScatterList, sgAppend } from '../memory/scatter-list.js';
import type { CoherentMemory, DmaDevice, DmaOps, LiveObjects, PhysicalMemory } from '../ports.js';
import { DMA_BIDIRECTIONAL, DMA_FROM_DEVICE, DMA_MAPPING_ERROR, DMA_TO_DEVICE, NO_PAGE, PAGE_SIZE } from '../ports.js';
import type { ContractRunner } from './contract.js';

/** A memory under test and what it counts into. */
export interface PhysicalMemoryFixture {
  readonly memory: PhysicalMemory;
  readonly live: LiveObjects;
}

/** The contract of `PhysicalMemory`; `make` gives a fresh memory of `pages` pages in `nrNodes` nodes. A defect must throw. */
export function physicalMemoryContract(
  { describe, it, beforeEach, expect }: ContractRunner,
  name: string,
  make: (pages: number, nrNodes: number) => PhysicalMemoryFixture,
): void {
  describe(`PhysicalMemory contract: ${name}`, () => {
    let fixture: PhysicalMemoryFixture;
    let memory: PhysicalMemory;
    beforeEach(() => {
      fixture = make(16, 1);
      memory = fixture.memory;
    });

    it('never hands out page 0, and every other page exactly once', () => {
      const seen = new Set<number>();
      for (let address = memory.allocPages(1, 'a'); address !== NO_PAGE; address = memory.allocPages(1, 'a')) {
        expect(address % PAGE_SIZE).toBe(0);
        expect(seen.has(address)).toBe(false);
        seen.add(address);
      }
      expect(seen.has(0)).toBe(false);
      expect(seen.size).toBe(15);
      expect(memory.freePageCount).toBe(0);
    });

    it('hands out zeroed pages, also after a user wrote to them', () => {
      const first = memory.allocPages(15, 'a');
      memory.bytes.fill(0xff, first, first + 15 * PAGE_SIZE);
      memory.freePages(first, 15);
      const again = memory.allocPages(15, 'a');
      expect(memory.bytes.subarray(again, again + 15 * PAGE_SIZE).every((byte) => byte === 0)).toBe(true);
    });

    it('shows one memory as bytes and as words', () => {
      const address = memory.allocPages(1, 'a');
      memory.u32[(address >>> 2) + 1] = 0x04030201;
      expect([...memory.bytes.subarray(address + 4, address + 8)]).toEqual([1, 2, 3, 4]);
    });

    it('finds a run only where consecutive pages are free', () => {
      const pages: number[] = [];
      for (let i = 0; i < 15; i++) pages.push(memory.allocPages(1, 'a'));
      for (const page of pages) if ((page / PAGE_SIZE) % 2 === 0) memory.freePages(page, 1);
      expect(memory.allocPages(2, 'a')).toBe(NO_PAGE);
      memory.freePages(5 * PAGE_SIZE, 1);
      expect(memory.allocPages(3, 'a')).toBe(4 * PAGE_SIZE);
    });

    it('scatters pages so that no two are neighbours, the same way every time', () => {
      const pages = memory.allocScattered(7, 'buffer') as number[];
      for (const a of pages) for (const b of pages) expect(a - b === PAGE_SIZE).toBe(false);
      expect(new Set(pages).size).toBe(7);
      expect(make(16, 1).memory.allocScattered(7, 'buffer')).toEqual(pages);
    });

    it('says null, and takes nothing, when it cannot scatter that many', () => {
      expect(memory.allocScattered(9, 'buffer')).toBe(null);
      expect(memory.freePageCount).toBe(15);
    });

    it('counts pages by owner', () => {
      const address = memory.allocPages(2, 'a');
      memory.allocScattered(3, 'b');
      expect(fixture.live.leaks()).toEqual([
        { kind: 'pages', name: 'a', count: 2 },
        { kind: 'pages', name: 'b', count: 3 },
      ]);
      memory.freePages(address, 2);
      expect(fixture.live.leaks()).toEqual([{ kind: 'pages', name: 'b', count: 3 }]);
    });

    it('refuses to free what is not allocated', () => {
      const address = memory.allocPages(1, 'a');
      memory.freePages(address, 1);
      expect(() => memory.freePages(address, 1)).toThrow();
      expect(() => memory.freePages(0, 1)).toThrow();
      expect(() => memory.freePages(address + 8, 1)).toThrow();
      expect(() => memory.freePages(16 * PAGE_SIZE, 1)).toThrow();
    });

    it('splits RAM among nodes, prefers the node asked for and falls back to the others', () => {
      const { memory: numa } = make(16, 2);
      expect(numa.nodeOf(7 * PAGE_SIZE)).toBe(0);
      expect(numa.nodeOf(8 * PAGE_SIZE)).toBe(1);
      for (let i = 0; i < 8; i++) expect(numa.nodeOf(numa.allocPages(1, 'a', 1))).toBe(1);
      expect(numa.nodeOf(numa.allocPages(1, 'a', 1))).toBe(0);
      expect(numa.nodeOf(numa.allocPages(1, 'a'))).toBe(0);
    });
  });
}

/** DMA operations under test, a device that uses them, and that device's own view of memory. */
export interface DmaOpsFixture {
  readonly ops: DmaOps;
  readonly dev: DmaDevice;
  readonly memory: PhysicalMemory;
  readonly live: LiveObjects;
  /** What the device finds at a bus address. */
  deviceRead(busAddr: number, lengthBytes: number): Uint8Array;
  /** The device writes. */
  deviceWrite(busAddr: number, bytes: Uint8Array): void;
}

/** The contract of `DmaOps`; `make` gives a fresh fixture with at least 32 free pages and 64-bit masks. A defect must throw. */
export function dmaOpsContract(runner: ContractRunner, name: string, make: () => DmaOpsFixture): void {
  runner.describe(`DmaOps contract: ${name}`, () => {
    coherentContract(runner, make);
    streamingContract(runner, make);
    scatterContract(runner, make);
  });
}

function coherentContract({ it, expect }: ContractRunner, make: () => DmaOpsFixture): void {
  it('gives coherent memory zeroed, page-aligned and of one piece', () => {
    const { ops, dev, deviceRead } = make();
    const memory = ops.allocCoherent(dev, 5000) as CoherentMemory;
    expect(memory.busAddr % PAGE_SIZE).toBe(0);
    expect(memory.sizeBytes).toBe(5000);
    expect(memory.bytes.length).toBe(5000);
    expect(memory.u32.length).toBe(1250);
    expect(memory.view.byteLength).toBe(5000);
    expect(memory.bytes.every((byte) => byte === 0)).toBe(true);
    expect(deviceRead(memory.busAddr, 5000).every((byte) => byte === 0)).toBe(true);
  });

  it('lets the device see what was published, and the CPU what it acquired', () => {
    const { ops, dev, deviceRead, deviceWrite } = make();
    const memory = ops.allocCoherent(dev, PAGE_SIZE) as CoherentMemory;
    memory.u32[3] = 0x04030201;
    memory.publish(12, 4);
    expect([...deviceRead(memory.busAddr + 12, 4)]).toEqual([1, 2, 3, 4]);
    deviceWrite(memory.busAddr + 16, Uint8Array.of(9, 8));
    memory.acquire(16, 2);
    expect([memory.bytes[16], memory.view.getUint8(17)]).toEqual([9, 8]);
    expect(memory.u32[3]).toBe(0x04030201);
  });

  it('zeroes coherent memory that was used before', () => {
    const { ops, dev, deviceRead } = make();
    const first = ops.allocCoherent(dev, PAGE_SIZE) as CoherentMemory;
    first.bytes.fill(0xaa);
    first.publish(0, PAGE_SIZE);
    ops.freeCoherent(dev, first);
    const second = ops.allocCoherent(dev, PAGE_SIZE) as CoherentMemory;
    expect(second.bytes.every((byte) => byte === 0)).toBe(true);
    expect(deviceRead(second.busAddr, PAGE_SIZE).every((byte) => byte === 0)).toBe(true);
  });

  it('counts coherent pages until they are freed, once', () => {
    const { ops, dev, live } = make();
    live.baseline();
    const memory = ops.allocCoherent(dev, PAGE_SIZE + 1) as CoherentMemory;
    expect(live.leaks()).toEqual([{ kind: 'pages', name: dev.name, count: 2 }]);
    ops.freeCoherent(dev, memory);
    expect(live.leaks()).toEqual([]);
    expect(() => ops.freeCoherent(dev, memory)).toThrow();
  });

  it('says null when memory is short or out of the device’s reach', () => {
    const { ops, dev, live } = make();
    live.baseline();
    expect(ops.allocCoherent(dev, 2 ** 31)).toBe(null);
    dev.coherentDmaMaskBits = 8;
    expect(ops.allocCoherent(dev, PAGE_SIZE)).toBe(null);
    expect(live.leaks()).toEqual([]);
  });
}

function streamingContract({ it, expect }: ContractRunner, make: () => DmaOpsFixture): void {
  it('carries a buffer to the device and keeps its offset within the page', () => {
    const { ops, dev, memory, deviceRead } = make();
    const address = memory.allocPages(2, 'buffer') + 4000;
    memory.bytes.set([1, 2, 3, 4], address + 95);
    const busAddr = ops.mapPage(dev, address, 200, DMA_TO_DEVICE);
    expect(busAddr % PAGE_SIZE).toBe(4000);
    expect([...deviceRead(busAddr + 95, 4)]).toEqual([1, 2, 3, 4]);
    ops.unmapPage(dev, busAddr, 200, DMA_TO_DEVICE);
  });

  it('keeps buffers that cross pages apart', () => {
    const { ops, dev, memory, deviceRead, deviceWrite } = make();
    const first = memory.allocPages(4, 'buffer') + 2048;
    const second = first + 6000;
    memory.bytes.fill(1, first, second);
    memory.bytes.fill(2, second, second + 6000);
    const a = ops.mapPage(dev, first, 6000, DMA_BIDIRECTIONAL);
    const b = ops.mapPage(dev, second, 6000, DMA_BIDIRECTIONAL);
    expect(deviceRead(a, 6000).every((byte) => byte === 1)).toBe(true);
    expect(deviceRead(b, 6000).every((byte) => byte === 2)).toBe(true);
    deviceWrite(a + 5999, Uint8Array.of(3));
    ops.unmapPage(dev, a, 6000, DMA_BIDIRECTIONAL);
    ops.unmapPage(dev, b, 6000, DMA_BIDIRECTIONAL);
    expect([...memory.bytes.subarray(second - 2, second + 1)]).toEqual([1, 3, 2]);
  });

  it('carries what the device wrote back, and leaves what it did not write', () => {
    const { ops, dev, memory, deviceWrite } = make();
    const address = memory.allocPages(1, 'buffer');
    for (const direction of [DMA_FROM_DEVICE, DMA_BIDIRECTIONAL] as const) {
      memory.bytes.fill(0x55, address, address + 64);
      const busAddr = ops.mapPage(dev, address, 64, direction);
      deviceWrite(busAddr + 1, Uint8Array.of(7, 8));
      ops.unmapPage(dev, busAddr, 64, direction);
      expect([...memory.bytes.subarray(address, address + 4)]).toEqual([0x55, 7, 8, 0x55]);
    }
  });

  it('counts a mapping under the device until it is unmapped', () => {
    const { ops, dev, memory, live } = make();
    const address = memory.allocPages(1, 'buffer');
    live.baseline();
    const a = ops.mapPage(dev, address, 16, DMA_TO_DEVICE);
    const b = ops.mapPage(dev, address, 32, DMA_FROM_DEVICE);
    expect(live.leaks()).toEqual([{ kind: 'mappings', name: dev.name, count: 2 }]);
    ops.unmapPage(dev, a, 16, DMA_TO_DEVICE);
    ops.unmapPage(dev, b, 32, DMA_FROM_DEVICE);
    expect(live.leaks()).toEqual([]);
    expect(() => ops.unmapPage(dev, b, 32, DMA_FROM_DEVICE)).toThrow();
  });

  it('fails a mapping out of the device’s reach, and answers for masks', () => {
    const { ops, dev, memory } = make();
    expect(ops.supported(dev, 64)).toBe(true);
    expect(ops.supported(dev, 8)).toBe(false);
    dev.dmaMaskBits = 8;
    expect(ops.mapPage(dev, memory.allocPages(1, 'buffer'), 16, DMA_TO_DEVICE)).toBe(DMA_MAPPING_ERROR);
  });
}

function scatterContract({ it, expect }: ContractRunner, make: () => DmaOpsFixture): void {
  it('maps a list whose entries, end to end, are the buffer', () => {
    const { ops, dev, memory, deviceRead, deviceWrite } = make();
    const sg = createScatterList(4);
    const pages = memory.allocScattered(3, 'buffer') as number[];
    pages.forEach((page, i) => {
      memory.bytes.fill(i + 1, page, page + PAGE_SIZE);
      sgAppend(sg, page + (i === 0 ? 512 : 0), i === 0 ? PAGE_SIZE - 512 : PAGE_SIZE);
    });
    expect(ops.mapSg(dev, sg, DMA_BIDIRECTIONAL)).toBe(sg.mappedNents);
    const seen: number[] = [];
    let total = 0;
    for (let i = 0; i < sg.mappedNents; i++) {
      const length = sg.dmaLengthBytes[i] as number;
      seen.push(...new Set(deviceRead(sg.dmaAddr[i] as number, length)));
      total += length;
    }
    expect(seen).toEqual([1, 2, 3]);
    expect(total).toBe(3 * PAGE_SIZE - 512);
    deviceWrite(sg.dmaAddr[0] as number, Uint8Array.of(0x77));
    ops.unmapSg(dev, sg, DMA_BIDIRECTIONAL);
    expect(sg.mappedNents).toBe(0);
    expect(memory.bytes[(pages[0] as number) + 512]).toBe(0x77);
  });

  it('leaves nothing mapped when one entry fails, and refuses to unmap twice', () => {
    const { ops, dev, memory, live } = make();
    const sg = createScatterList(2);
    sgAppend(sg, memory.allocPages(1, 'buffer'), PAGE_SIZE);
    live.baseline();
    dev.dmaMaskBits = 8;
    expect(ops.mapSg(dev, sg, DMA_TO_DEVICE)).toBe(0);
    expect(live.leaks()).toEqual([]);
    dev.dmaMaskBits = 64;
    expect(ops.mapSg(dev, sg, DMA_TO_DEVICE)).toBeGreaterThan(0);
    expect(() => ops.mapSg(dev, sg, DMA_TO_DEVICE)).toThrow();
    ops.unmapSg(dev, sg, DMA_TO_DEVICE);
    expect(live.leaks()).toEqual([]);
    expect(() => ops.unmapSg(dev, sg, DMA_TO_DEVICE)).toThrow();
  });
}
