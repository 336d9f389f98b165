import { PCI_IRQ_INTX, PCI_IRQ_MSIX } from '@nvme-stack/pci-bus/ports';
import { TestFunction } from '@nvme-stack/pci-bus/testing';
import { describe, expect, it } from 'vitest';
import { createTestBoard, type TestBoard, type TestBoardOptions } from './fixtures/test-board.js';

interface Ready {
  readonly board: TestBoard;
  /** What the handlers saw: vector index and CPU. */
  readonly seen: [number, number][];
  settle(): Promise<void>;
  irq(nr: number): number;
}

async function withMsix(vectors: number, options: TestBoardOptions = {}): Promise<Ready> {
  const board = createTestBoard(options);
  await board.boot();
  const seen: [number, number][] = [];
  await board.run(async () => {
    board.bus.pciAllocIrqVectors(board.pdev(), vectors, vectors, PCI_IRQ_MSIX);
    for (let nr = 0; nr < vectors; nr++) {
      const handler = (): 1 => {
        seen.push([nr, board.kernel.ex.cpu]);
        return 1;
      };
      board.bus.pciRequestIrq(board.pdev(), nr, handler, null, `dev${nr}`, `nvme0q${nr}`);
    }
  });
  return { board, seen, settle: () => board.door.settle(1e9), irq: (nr) => board.bus.pciIrqVector(board.pdev(), nr) };
}

describe('a vector that moves', () => {
  it('again and again without an interrupt uses no vectors up, and is lost nowhere', async () => {
    const { board, seen, settle, irq } = await withMsix(1);
    await board.run(async () => {
      for (let i = 0; i < 1200; i++) board.irqs.irqSetAffinity(irq(0), [i % 4]);
      board.fn.endpoint.notify(0);
      for (let i = 0; i < 6; i++) board.irqs.irqSetAffinity(irq(0), [i % 4]);
    });
    await settle();
    expect(seen).toHaveLength(1);
    await board.run(async () => board.fn.endpoint.notify(0));
    await settle();
    expect(seen).toEqual([seen[0], [0, 1]]);
  });

  it('goes to a CPU that is on', async () => {
    const board = createTestBoard();
    await board.boot();
    const { kernel, bus } = board;
    await board.run(async () => {
      await kernel.cpus.cpuDown(1);
      await kernel.cpus.cpuDown(2);
      bus.pciAllocIrqVectors(board.pdev(), 4, 4, PCI_IRQ_MSIX);
      const at = [0, 1, 2, 3].map((nr) =>
        kernel.procfs.read(`/proc/irq/${bus.pciIrqVector(board.pdev(), nr)}/effective_affinity_list`),
      );
      expect(new Set(at)).toEqual(new Set(['0\n', '3\n']));
    });
  });
});

describe('messages', () => {
  it('reach the handler through __common_interrupt, never inside the device’s call', async () => {
    const { board, seen, settle } = await withMsix(2);
    await board.run(async () => {
      board.fn.endpoint.notify(1);
      expect(seen).toEqual([]);
    });
    await settle();
    expect(seen.map(([nr]) => nr)).toEqual([1]);
    const functions = board.kernel.trace.entries.filter(
      (entry) => entry.kind === 'function' && entry.context === 'hardirq',
    );
    expect(functions.map((entry) => '  '.repeat(entry.depth) + entry.symbol)).toEqual([
      '__common_interrupt',
      '  handle_edge_irq',
      '    irq_chip_ack_parent',
      '    handle_irq_event',
      '      __handle_irq_event_percpu',
    ]);
  });

  it('that come before the first is taken are one, and one that comes meanwhile is another', async () => {
    const { board, seen, settle } = await withMsix(1);
    await board.run(async () => {
      for (let i = 0; i < 5; i++) board.fn.endpoint.notify(0);
    });
    await settle();
    expect(seen).toHaveLength(1);
    let again = true;
    const { push } = seen;
    seen.push = (...items) => {
      if (again) board.fn.endpoint.notify(0);
      again = false;
      return push.apply(seen, items);
    };
    await board.run(async () => board.fn.endpoint.notify(0));
    await settle();
    expect(seen).toHaveLength(3);
  });

  it('show in /proc/interrupts under the chip and the name Linux 6.12 shows', async () => {
    const { board, settle } = await withMsix(2);
    await board.run(async () => board.fn.endpoint.notify(1));
    await settle();
    const text = board.kernel.procfs.read('/proc/interrupts');
    expect(text).toMatch(/ 25: +(\d+ +){4}PCI-MSIX-0000:00:04.0 +1-edge +nvme0q1\n/);
  });

  it('are not lost when their interrupt moves to another CPU, wherever they are', async () => {
    const { board, seen, settle, irq } = await withMsix(1);
    const [before] = [board.irqs.irqGetAffinity(irq(0))];
    expect(before.length).toBeGreaterThan(1);
    await board.run(async () => {
      board.fn.endpoint.notify(0);
      board.irqs.irqSetAffinity(irq(0), [3]);
      board.fn.endpoint.notify(0);
    });
    await settle();
    expect(seen.map(([, cpu]) => cpu).sort()).toEqual([0, 3]);
    await board.run(async () => board.fn.endpoint.notify(0));
    await settle();
    expect(seen.at(-1)).toEqual([0, 3]);
  });

  it('written to the old address after a move still reach their interrupt, until one has come to the new', async () => {
    const { board, seen, settle, irq } = await withMsix(1);
    const { bytes } = board.fn.endpoint.config;
    expect(bytes[0x43] as number & 0x80).toBe(0x80);
    const address = board.fn.barRead(0, 0x2000, 4);
    const data = board.fn.barRead(0, 0x2008, 4);
    await board.run(async () => {
      board.irqs.irqSetAffinity(irq(0), [2]);
      board.fn.host?.msi(address, data);
    });
    await settle();
    expect([seen.length, board.sim.spuriousMessages]).toEqual([1, 0]);
    await board.run(async () => board.fn.endpoint.notify(0));
    await settle();
    await board.run(async () => board.fn.host?.msi(address, data));
    await settle();
    expect([seen.length, board.sim.spuriousMessages]).toEqual([2, 1]);
  });

  it.each([
    ['6.12', 'No irq handler for 0.224'],
    ['6.1', '__common_interrupt: 0.224 No irq handler for vector'],
    ['4.13', 'do_IRQ: 0.224 No irq handler for vector'],
  ] as const)('that nobody stands behind are counted and logged, in the words of %s', async (profile, line) => {
    const { board } = await withMsix(1, { kernel: { profile } });
    await board.run(async () => board.fn.host?.msi(0xfee00000, 0xe0));
    expect(board.sim.spuriousMessages).toBe(1);
    expect(board.dmesg()).toContain(line);
  });

  it('give their vectors back', async () => {
    const { board } = await withMsix(3);
    for (let round = 0; round < 300; round++) {
      await board.run(async () => {
        for (let nr = 0; nr < 3; nr++) await board.bus.pciFreeIrq(board.pdev(), nr, `dev${nr}`);
        board.bus.pciFreeIrqVectors(board.pdev());
        board.bus.pciAllocIrqVectors(board.pdev(), 3, 3, PCI_IRQ_MSIX);
        for (let nr = 0; nr < 3; nr++) board.bus.pciRequestIrq(board.pdev(), nr, () => 1, null, `dev${nr}`, 'x');
      });
    }
    const mine = board.kernel.live.leaks().filter(({ kind, name }) => kind === 'vectors' && name === '0000:00:04.0');
    expect(mine.map(({ count }) => count)).toEqual([3]);
  });

  it('run out when every vector of every CPU is taken', async () => {
    const capabilities = [
      { kind: 'msix', offset: 0x40, vectors: 512, tableBar: 0, tableOffset: 0x2000, pbaBar: 0, pbaOffset: 0x3000 },
    ] as const;
    const fn = new TestFunction({ bars: [{ index: 0, sizeBytes: 0x8000, is64Bit: true }], capabilities });
    const board = createTestBoard({ kernel: { nrCpus: 1 }, slots: [{ slot: 4, function: fn }] });
    await board.boot();
    const got = await board.run(async () => board.bus.pciAllocIrqVectors(board.pdev(), 1, 512, PCI_IRQ_MSIX));
    // 0x21..0xeb without 0x80.
    expect(got).toBe(202);
  });
});

describe('pins', () => {
  async function withPins(behind: boolean): Promise<{ board: TestBoard; fns: TestFunction[]; seen: string[] }> {
    const fns = [new TestFunction({ capabilities: [] }), new TestFunction({ capabilities: [] })];
    const slots = behind
      ? [
          { slot: 4, function: fns[0] as TestFunction },
          { slot: 8, behindPort: true, function: fns[1] as TestFunction },
        ]
      : [
          { slot: 4, function: fns[0] as TestFunction },
          { slot: 8, function: fns[1] as TestFunction },
        ];
    const board = createTestBoard({ slots, rootPorts: behind ? [{ slot: 8 }] : [] });
    await board.boot();
    const seen: string[] = [];
    const names = behind ? ['0000:00:04.0', '0000:01:00.0'] : ['0000:00:04.0', '0000:00:08.0'];
    await board.run(async () => {
      for (const [at, name] of names.entries()) {
        board.bus.pciAllocIrqVectors(board.pdev(name), 1, 1, PCI_IRQ_INTX);
        const fn = fns[at] as TestFunction;
        let asserted = 0;
        const handler = (): 0 | 1 => {
          if (!fn.endpoint.config.bytes || (fn.configRead(6, 2) & 8) === 0) return 0;
          seen.push(`${at}`);
          // Two rounds of work: the level stands until the second.
          if (++asserted === 2) fn.endpoint.setIntx(false);
          return 1;
        };
        board.bus.pciRequestIrq(board.pdev(name), 0, handler, null, name, name);
      }
    });
    return { board, fns, seen };
  }

  it.each([false, true])('share a line, and call again while the level stands (behind a port: %s)', async (behind) => {
    const { board, fns, seen } = await withPins(behind);
    expect(board.pdev().irq).toBe(20);
    const sharers = board.bus.devices.filter(({ irq, class: code }) => irq === 20 && code >>> 8 !== 0x0604);
    expect(sharers).toHaveLength(2);
    await board.run(async () => fns[1]?.endpoint.setIntx(true));
    await board.door.settle(1e9);
    expect(seen).toEqual(['1', '1']);
    await board.run(async () => fns[0]?.endpoint.setIntx(true));
    await board.door.settle(1e9);
    expect(seen).toEqual(['1', '1', '0', '0']);
  });

  it('wait while the line is masked and come when it is not', async () => {
    const { board, fns, seen } = await withPins(false);
    await board.run(() => board.irqs.disableIrq(20));
    await board.run(async () => fns[0]?.endpoint.setIntx(true));
    await board.door.settle(1e9);
    expect(seen).toEqual([]);
    await board.run(async () => board.irqs.enableIrq(20));
    await board.door.settle(1e9);
    expect(seen).toEqual(['0', '0']);
  });

  it('fall when the card is pulled', async () => {
    const { board, fns, seen } = await withPins(false);
    await board.run(() => board.irqs.disableIrq(20));
    await board.run(async () => fns[1]?.endpoint.setIntx(true));
    await board.door.settle(1e9);
    await board.run(async () => {
      board.sim.unplug({ slot: 8 });
      board.irqs.enableIrq(20);
    });
    await board.door.settle(1e9);
    expect(seen).toEqual([]);
  });
});
