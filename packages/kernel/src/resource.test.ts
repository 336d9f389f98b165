import { describe, expect, it } from 'vitest';
import type { Resource } from './ports.js';
import { createResourceTree, IORESOURCE_BUSY, IORESOURCE_MEM } from './resource.js';

const MEM = IORESOURCE_MEM;
const BUSY = IORESOURCE_MEM + IORESOURCE_BUSY;

describe('a resource tree', () => {
  it('prints /proc/iomem: sorted, nested by two blanks, eight digits or more', () => {
    const tree = createResourceTree('PCI mem', 2 ** 46);
    const bus = tree.request('PCI Bus 0000:00', 0xc0000000, 0x3c000000, MEM) as Resource;
    tree.request('System RAM', 0x1000, 0x9f000 - 0x1000, MEM);
    const bar = tree.request('0000:00:04.0', 0xfe000000 - 0x10000000, 0x4000, MEM, bus) as Resource;
    tree.request('nvme', bar.start, 0x4000, BUSY);
    tree.request('high', 0x380000000000, 0x1000, MEM);
    expect(tree.show()).toBe(
      [
        '00001000-0009efff : System RAM',
        'c0000000-fbffffff : PCI Bus 0000:00',
        '  ee000000-ee003fff : 0000:00:04.0',
        '    ee000000-ee003fff : nvme',
        '380000000000-380000000fff : high',
        '',
      ].join('\n'),
    );
  });

  it('prints I/O ports in four digits', () => {
    const tree = createResourceTree('PCI IO', 0x10000);
    tree.request('dma1', 0, 0x20, BUSY);
    expect(tree.show()).toBe('0000-001f : dma1\n');
  });

  it('refuses what is taken, out of range or empty', () => {
    const tree = createResourceTree('PCI mem', 0x100000);
    tree.request('a', 0x1000, 0x1000, MEM);
    for (const [start, size] of [
      [0x1000, 0x1000],
      [0x1fff, 1],
      [0x800, 0x801],
      [0, 0x3000],
      [0xff000, 0x2000],
      [0x5000, 0],
    ] as const) {
      expect(tree.request('b', start, size, MEM)).toBe(null);
    }
    expect(tree.request('b', 0x2000, 0x1000, MEM)).not.toBe(null);
    expect(tree.request('c', 0, 0x1000, MEM)).not.toBe(null);
  });

  it('lets a driver claim inside a range, and nobody inside or across a driver’s claim', () => {
    const tree = createResourceTree('PCI mem', 0x100000);
    const bar = tree.request('bar', 0x1000, 0x2000, MEM) as Resource;
    const claim = tree.request('nvme', 0x1000, 0x1000, BUSY) as Resource;
    expect(bar.children).toEqual([claim]);
    expect(tree.request('other', 0x1000, 0x1000, BUSY)).toBe(null);
    expect(tree.request('across', 0x2000, 0x2000, BUSY)).toBe(null);
    tree.release(claim);
    expect(bar.children).toEqual([]);
    expect(tree.request('other', 0x1000, 0x1000, BUSY)).not.toBe(null);
    expect(() => tree.release(claim)).toThrow('which is not claimed');
  });
});
