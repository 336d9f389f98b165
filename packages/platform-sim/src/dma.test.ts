import {
  createScatterList,
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaDirection,
  dmaAllocCoherent,
  dmaFreeCoherent,
  dmaMapPage,
  dmaUnmapPage,
  type Kernel,
} from '@nvme-stack/kernel';
import { DMA_FAULT, DMA_MASTER_ABORT, DMA_OK, type PciHost } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { createTestBoard, type TestBoard, type TestBoardOptions } from './fixtures/test-board.js';

async function booted(
  options: TestBoardOptions = {},
): Promise<{ board: TestBoard; host: PciHost; page: number; kernel: Kernel }> {
  const board = createTestBoard(options);
  await board.boot();
  const page = board.kernel.memory.allocPages(2, 'test');
  return { board, host: board.fn.host as PciHost, page, kernel: board.kernel };
}

const bytesOf = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('DMA checks', () => {
  it.each([
    ['to device', DMA_TO_DEVICE, DMA_OK, DMA_FAULT],
    ['from device', DMA_FROM_DEVICE, DMA_FAULT, DMA_OK],
    ['bidirectional', DMA_BIDIRECTIONAL, DMA_OK, DMA_OK],
  ] as const)('let a mapping %s be used that way and no other', async (_, direction, read, write) => {
    const { board, host, page } = await booted();
    await board.run(async () => {
      dmaMapPage(board.dma(), page, 64, direction);
      expect(host.dmaRead(page, new Uint8Array(64), 0, 64)).toBe(read);
      expect(host.dmaWrite(page, new Uint8Array(64), 0, 64)).toBe(write);
    });
  });

  it('refuse what is not mapped, was unmapped, or is mapped for another function, and leave memory alone', async () => {
    const { board, host, page, kernel } = await booted();
    await board.run(async () => {
      expect(host.dmaWrite(page, bytesOf(1), 0, 1)).toBe(DMA_FAULT);
      dmaMapPage(board.dma('0000:00:02.0'), page, 4096, DMA_BIDIRECTIONAL);
      expect(host.dmaWrite(page, bytesOf(1), 0, 1)).toBe(DMA_FAULT);
      dmaMapPage(board.dma(), page, 4096, DMA_FROM_DEVICE);
      expect(host.dmaWrite(page, bytesOf(7), 0, 1)).toBe(DMA_OK);
      dmaUnmapPage(board.dma(), page, 4096, DMA_FROM_DEVICE);
      expect(host.dmaWrite(page, bytesOf(9), 0, 1)).toBe(DMA_FAULT);
    });
    expect([kernel.memory.bytes[page], board.sim.dmaFaultCount]).toEqual([7, 3]);
    expect(board.sim.dmaFaults[0]).toMatchObject({ requesterId: 0x20, busAddr: page, lengthBytes: 1, isWrite: true });
  });

  it('count pages: two mappings of one page end one by one, and one reaching over a border needs both', async () => {
    const { board, host, page } = await booted();
    await board.run(async () => {
      dmaMapPage(board.dma(), page, 100, DMA_TO_DEVICE);
      dmaMapPage(board.dma(), page + 200, 100, DMA_TO_DEVICE);
      dmaUnmapPage(board.dma(), page, 100, DMA_TO_DEVICE);
      expect(host.dmaRead(page + 200, new Uint8Array(8), 0, 8)).toBe(DMA_OK);
      expect(host.dmaRead(page + 4090, new Uint8Array(8), 0, 8)).toBe(DMA_FAULT);
      dmaMapPage(board.dma(), page + 4096, 1, DMA_TO_DEVICE);
      expect(host.dmaRead(page + 4090, new Uint8Array(8), 0, 8)).toBe(DMA_OK);
      expect(board.sim.mappedPages(0x20)).toBe(2);
    });
  });

  it.each([
    [
      '6.12',
      'DMAR: [DMA Write NO_PASID] Request device [00:04.0] fault addr 0x5000 [fault reason 0x05] PTE Write access is not set',
    ],
    [
      '4.13',
      'DMAR: [DMA Write] Request device [00:04.0] fault addr 5000 [fault reason 05] PTE Write access is not set',
    ],
  ] as const)('print what Linux %s prints', async (profile, line) => {
    const { board, host } = await booted({ kernel: { profile } });
    await board.run(async () => host.dmaWrite(0x5678, bytesOf(1), 0, 1));
    expect(board.dmesg().slice(-2)).toEqual(['DMAR: DRHD: handling fault status reg 2', line]);
  });

  it('halt the machine on unmapping what is not mapped, or with another direction', async () => {
    for (const direction of [DMA_FROM_DEVICE, DMA_BIDIRECTIONAL] as DmaDirection[]) {
      const { board, page } = await booted();
      await expect(
        board.run(async () => {
          dmaMapPage(board.dma(), page, 4096, DMA_TO_DEVICE);
          dmaUnmapPage(board.dma(), page, 4096, direction);
        }),
      ).rejects.toThrow('unmap of what is not mapped');
    }
  });

  it('abort accesses outside RAM, and let everything inside through when checks are off', async () => {
    const { board, host, page, kernel } = await booted({ kernel: { checks: 'off' } });
    await board.run(async () => {
      expect(host.dmaRead(kernel.memory.sizeBytes - 4, new Uint8Array(8), 0, 8)).toBe(DMA_MASTER_ABORT);
      expect(host.dmaRead(2 ** 52, new Uint8Array(8), 0, 8)).toBe(DMA_MASTER_ABORT);
      expect(host.dmaWrite(page, bytesOf(3), 0, 1)).toBe(DMA_OK);
    });
    expect([board.sim.dmaAborts, kernel.memory.bytes[page]]).toEqual([2, 3]);
  });

  it('treat coherent memory as mapped both ways while it is allocated', async () => {
    const { board, host } = await booted();
    await board.run(async () => {
      const memory = dmaAllocCoherent(board.dma(), 4096);
      if (memory === null) throw new Error('no memory');
      expect(host.dmaRead(memory.busAddr, new Uint8Array(4), 0, 4)).toBe(DMA_OK);
      expect(host.dmaWrite(memory.busAddr, new Uint8Array(4), 0, 4)).toBe(DMA_OK);
      const { busAddr } = memory;
      dmaFreeCoherent(board.dma(), memory);
      expect(host.dmaRead(busAddr, new Uint8Array(4), 0, 4)).toBe(DMA_FAULT);
    });
  });
});

describe('DMA moves', () => {
  it.each([1, 3, 16, 63, 64, 65, 511, 4096, 6000])('%i bytes there and back, and no byte beside', async (length) => {
    const { board, host, page, kernel } = await booted({ kernel: { checks: 'off' } });
    const out = Uint8Array.from({ length: length + 8 }, (_, i) => (i * 7 + length) & 0xff);
    const back = new Uint8Array(length + 8);
    await board.run(async () => {
      kernel.memory.bytes.fill(0xee, page, page + 8192);
      expect(host.dmaWrite(page + 5, out, 3, length)).toBe(DMA_OK);
      expect(host.dmaRead(page + 5, back, 2, length)).toBe(DMA_OK);
    });
    expect(back.subarray(2, 2 + length)).toEqual(out.subarray(3, 3 + length));
    expect([kernel.memory.bytes[page + 4], kernel.memory.bytes[page + 5 + length]]).toEqual([0xee, 0xee]);
    expect([back[1], back[2 + length]]).toEqual([0, 0]);
  });

  it('within one buffer give what a separate buffer gives', async () => {
    const { board, host, page, kernel } = await booted({ kernel: { checks: 'off' } });
    const { memory } = kernel;
    const store = new Uint8Array(memory.bytes.buffer, memory.bytes.byteOffset + page + 4096, 4096);
    await board.run(async () => {
      for (let i = 0; i < 600; i++) memory.bytes[page + i] = i & 0xff;
      host.dmaRead(page, store, 10, 600);
      host.dmaRead(page, memory.bytes, page + 1000, 600);
    });
    const wanted = Array.from({ length: 600 }, (_, i) => i & 0xff);
    expect([...store.subarray(10, 610)]).toEqual(wanted);
    expect([...memory.bytes.subarray(page + 1000, page + 1600)]).toEqual(wanted);
  });
});

describe('weak memory', () => {
  it('shows a device what was published and nothing else, and the CPU what was acquired', async () => {
    const { board, host } = await booted({ weakMemory: true });
    await board.run(async () => {
      const ring = dmaAllocCoherent(board.dma(), 4096);
      if (ring === null) throw new Error('no memory');
      const seen = new Uint8Array(4);
      ring.u32[0] = 0x11223344;
      host.dmaRead(ring.busAddr, seen, 0, 4);
      expect([...seen]).toEqual([0, 0, 0, 0]);
      ring.publish(0, 4);
      host.dmaRead(ring.busAddr, seen, 0, 4);
      expect([...seen]).toEqual([0x44, 0x33, 0x22, 0x11]);
      host.dmaWrite(ring.busAddr + 16, bytesOf(5, 0, 0, 0), 0, 4);
      expect(ring.u32[4]).toBe(0);
      ring.acquire(16, 4);
      expect(ring.u32[4]).toBe(5);
    });
  });

  it('checks the addresses it hands out', async () => {
    const { board, host, page } = await booted({ weakMemory: true });
    await board.run(async () => {
      const sg = createScatterList(1);
      sg.nents = 1;
      sg.physAddr[0] = page;
      sg.lengthBytes[0] = 512;
      const dma = board.dma();
      dma.dmaMaskBits = 64;
      expect(dma.ops.mapSg(dma, sg, DMA_FROM_DEVICE)).toBe(1);
      const busAddr = sg.dmaAddr[0] as number;
      expect(host.dmaWrite(page, bytesOf(1), 0, 1)).not.toBe(DMA_OK);
      expect(host.dmaWrite(busAddr, bytesOf(0x5a), 0, 1)).toBe(DMA_OK);
      expect(host.dmaRead(busAddr, new Uint8Array(1), 0, 1)).toBe(DMA_FAULT);
      dma.ops.unmapSg(dma, sg, DMA_FROM_DEVICE);
      expect(board.kernel.memory.bytes[page]).toBe(0x5a);
    });
  });
});
