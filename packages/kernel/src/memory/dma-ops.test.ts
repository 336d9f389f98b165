import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CoherentMemory, DmaDirection, DmaMappingObserver } from '../ports.js';
import { DMA_BIDIRECTIONAL, DMA_MAPPING_ERROR, DMA_TO_DEVICE, PAGE_SIZE } from '../ports.js';
import { dmaOpsContract } from '../testing/memory-contracts.js';
import { createDirectFixture, createMirroredFixture, createTestTransport, TestDmaDevice } from '../testing/test-dma.js';
import { createDmaDirect } from './dma-direct.js';
import { createDmaMirrored } from './dma-mirrored.js';
import { createScatterList, sgAppend, sgInitTable } from './scatter-list.js';

dmaOpsContract({ describe, it, beforeEach, expect }, 'direct', createDirectFixture);
dmaOpsContract({ describe, it, beforeEach, expect }, 'mirrored', createMirroredFixture);

class RecordingObserver implements DmaMappingObserver {
  readonly calls: string[] = [];
  map(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): void {
    this.calls.push(`map ${requesterId} ${busAddr} ${lengthBytes} ${direction}`);
  }
  unmap(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): void {
    this.calls.push(`unmap ${requesterId} ${busAddr} ${lengthBytes} ${direction}`);
  }
}

for (const [name, make] of [
  ['direct', createDirectFixture],
  ['mirrored', createMirroredFixture],
] as const) {
  describe(`DMA operations, ${name}`, () => {
    it('tells the observer of every mapping and its end', () => {
      const observer = new RecordingObserver();
      const { ops, dev, memory } = make(observer);
      const coherent = ops.allocCoherent(dev, 64) as CoherentMemory;
      const bus = ops.mapPage(dev, memory.allocPages(1, 'b'), 512, DMA_TO_DEVICE);
      const sg = createScatterList(2);
      for (const page of memory.allocScattered(2, 'b') as number[]) sgAppend(sg, page, 256);
      ops.mapSg(dev, sg, DMA_BIDIRECTIONAL);
      const mapped = [coherent.busAddr, bus, sg.dmaAddr[0], sg.dmaAddr[1]];
      const expected = [`${mapped[0]} 64 0`, `${mapped[1]} 512 1`, `${mapped[2]} 256 0`, `${mapped[3]} 256 0`];
      expect(observer.calls).toEqual(expected.map((what) => `map 32 ${what}`));
      observer.calls.length = 0;
      ops.freeCoherent(dev, coherent);
      ops.unmapPage(dev, bus, 512, DMA_TO_DEVICE);
      ops.unmapSg(dev, sg, DMA_BIDIRECTIONAL);
      expect(observer.calls).toEqual(expected.map((what) => `unmap 32 ${what}`));
    });

    it('balances: whatever is mapped and unmapped, data arrive and nothing is left', () => {
      const { ops, dev, memory, live, deviceWrite } = make();
      const sg = createScatterList(8);
      const pages = memory.allocScattered(8, 'buffer') as number[];
      live.baseline();
      const piece = fc.record({ offset: fc.integer({ min: 0, max: 4000 }), length: fc.integer({ min: 1, max: 96 }) });
      fc.assert(
        fc.property(fc.array(piece, { minLength: 1, maxLength: 8 }), fc.nat({ max: 255 }), (pieces, value) => {
          sgInitTable(sg);
          pieces.forEach(({ offset, length }, i) => {
            memory.bytes.fill(0, pages[i], (pages[i] as number) + PAGE_SIZE);
            sgAppend(sg, (pages[i] as number) + offset, length);
          });
          expect(ops.mapSg(dev, sg, DMA_BIDIRECTIONAL)).toBe(pieces.length);
          expect(live.leaks()).toEqual([{ kind: 'mappings', name: dev.name, count: pieces.length }]);
          for (let i = 0; i < sg.mappedNents; i++) {
            const bytes = new Uint8Array(sg.dmaLengthBytes[i] as number).fill(value);
            deviceWrite(sg.dmaAddr[i] as number, bytes);
          }
          ops.unmapSg(dev, sg, DMA_BIDIRECTIONAL);
          expect(live.leaks()).toEqual([]);
          pieces.forEach(({ offset, length }, i) => {
            const page = memory.bytes.subarray(pages[i], (pages[i] as number) + PAGE_SIZE);
            const wrong = page.some((byte, at) => byte !== (at >= offset && at < offset + length ? value : 0));
            expect(wrong).toBe(false);
          });
        }),
      );
    });

    it('counts each device for itself, also a new device in the slot of an old one', () => {
      const { ops, dev, memory, live } = make();
      const page = memory.allocPages(1, 'b');
      live.baseline();
      const other = new TestDmaDevice(dev.kernel, ops, '0000:01:00.0', 0x100);
      const successor = new TestDmaDevice(dev.kernel, ops, 'successor', dev.requesterId);
      ops.mapPage(dev, page, 16, DMA_TO_DEVICE);
      ops.mapPage(other, page, 16, DMA_TO_DEVICE);
      ops.mapPage(successor, page, 16, DMA_TO_DEVICE);
      expect(live.leaks().map((leak) => leak.name)).toEqual(['0000:00:04.0', '0000:01:00.0', 'successor']);
    });
  });
}

describe('coherent memory that is elsewhere', () => {
  it('carries exactly the published bytes there, and exactly the acquired ones back', () => {
    const { ops, dev, deviceRead, deviceWrite } = createMirroredFixture();
    const memory = ops.allocCoherent(dev, 256) as CoherentMemory;
    const range = fc.record({ offset: fc.nat({ max: 200 }), length: fc.nat({ max: 56 }), value: fc.nat({ max: 255 }) });
    const cpu = new Uint8Array(256);
    const remote = new Uint8Array(256);
    fc.assert(
      fc.property(range, fc.boolean(), ({ offset, length, value }, publish) => {
        if (publish) {
          memory.bytes.fill(value);
          cpu.fill(value);
          memory.publish(offset, length);
          remote.fill(value, offset, offset + length);
        } else {
          deviceWrite(memory.busAddr, new Uint8Array(256).fill(value));
          remote.fill(value);
          memory.acquire(offset, length);
          cpu.fill(value, offset, offset + length);
        }
        expect(memory.bytes).toEqual(cpu);
        expect(deviceRead(memory.busAddr, 256)).toEqual(remote);
      }),
    );
  });

  it('hides what was not published: the missing barrier shows', () => {
    const { ops, dev, deviceRead } = createMirroredFixture();
    const memory = ops.allocCoherent(dev, 64) as CoherentMemory;
    memory.u32[0] = 1;
    expect(deviceRead(memory.busAddr, 1)[0]).toBe(0);
  });

  it('runs out of bounce pages, fails the mapping and leaves nothing behind', () => {
    const { ops, dev, memory, live } = createMirroredFixture(null, 3);
    const sg = createScatterList(4);
    for (const page of memory.allocScattered(4, 'b') as number[]) sgAppend(sg, page, PAGE_SIZE);
    live.baseline();
    expect(ops.mapSg(dev, sg, DMA_TO_DEVICE)).toBe(0);
    expect(live.leaks()).toEqual([]);
    sg.nents = 3;
    expect(ops.mapSg(dev, sg, DMA_TO_DEVICE)).toBe(3);
    expect(ops.mapPage(dev, 0x1000, 1, DMA_TO_DEVICE)).toBe(DMA_MAPPING_ERROR);
  });

  it('takes an unmap with another length or direction for a defect', () => {
    const { ops, dev, memory } = createMirroredFixture();
    const bus = ops.mapPage(dev, memory.allocPages(1, 'b'), 64, DMA_TO_DEVICE);
    expect(() => ops.unmapPage(dev, bus, 32, DMA_TO_DEVICE)).toThrow('dma_unmap of what is not mapped so');
    const again = createMirroredFixture();
    const bus2 = again.ops.mapPage(again.dev, again.memory.allocPages(1, 'b'), 64, DMA_TO_DEVICE);
    expect(() => again.ops.unmapPage(again.dev, bus2, 64, DMA_BIDIRECTIONAL)).toThrow('direction 0');
  });

  it('takes whole pages only', () => {
    const { memory, live } = createMirroredFixture();
    const transport = { ...createTestTransport(0, 1), baseAddr: 100 };
    expect(() => createDmaMirrored(transport, memory, null, live)).toThrow(RangeError);
  });
});

describe('direct DMA', () => {
  it('uses the physical address and RAM itself', () => {
    const { ops, dev, memory } = createDirectFixture();
    const coherent = ops.allocCoherent(dev, 64) as CoherentMemory;
    coherent.u32[0] = 0xabcdef01;
    expect(memory.u32[coherent.busAddr >>> 2]).toBe(0xabcdef01);
    expect(ops.mapPage(dev, 0x5008, 8, DMA_TO_DEVICE)).toBe(0x5008);
  });

  it('can be limited to a narrower bus', () => {
    const { dev, memory, live } = createDirectFixture();
    const ops = createDmaDirect(memory, null, live, { maxMaskBits: 32 });
    expect(ops.supported(dev, 64)).toBe(false);
    expect(ops.supported(dev, 32)).toBe(true);
  });
});
