import { mmioRegionContract, pciConfigAccessContract, TestFunction } from '@nvme-stack/pci-bus/testing';
import { PCI_BASE_ADDRESS_0, PCI_COMMAND, PCI_COMMAND_MEMORY, PCI_EXP_TYPE_ENDPOINT } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { createTestBoard } from './fixtures/test-board.js';

const card = (): TestFunction =>
  new TestFunction({ capabilities: [{ kind: 'express', offset: 0x80, type: PCI_EXP_TYPE_ENDPOINT }] });

describe('the board', () => {
  it('looks like the q35 Linux was captured on: seven functions, the fourth is the controller', async () => {
    const board = createTestBoard();
    await board.boot();
    const ids = board.bus.devices.map(
      (pdev) => `${pdev.dev.name} ${pdev.vendor.toString(16)}:${pdev.device.toString(16)}`,
    );
    expect(ids).toEqual([
      '0000:00:00.0 8086:29c0',
      '0000:00:01.0 1234:1111',
      '0000:00:02.0 8086:10d3',
      '0000:00:04.0 1b36:10',
      '0000:00:1f.0 8086:2918',
      '0000:00:1f.2 8086:2922',
      '0000:00:1f.3 8086:2930',
    ]);
    const matches = board.kernel.trace.entries.filter((entry) => entry.symbol === 'pci_match_device');
    expect(matches).toHaveLength(8);
    expect(board.driver.log).toEqual(['probe 0000:00:04.0 7']);
  });

  it('refuses a place twice, a place that does not exist, and RAM in the devices’ range', () => {
    const slots = [
      { slot: 4, function: card() },
      { slot: 4, function: card() },
    ];
    expect(() => createTestBoard({ slots })).toThrow('slot 4 function 0 is taken');
    expect(() => createTestBoard({ slots: [{ slot: 32, function: card() }] })).toThrow('slot is 32; allowed: 0..31');
    expect(() => createTestBoard({ slots: [{ slot: 5, behindPort: true, function: card() }] })).toThrow(
      'not a root port',
    );
  });

  it('charges the CPU for every access', async () => {
    const board = createTestBoard({ kernel: { costs: { mmioReadNs: 700, mmioWriteNs: 90 } } });
    await board.boot();
    const bar = board.bar();
    await board.run(async () => {
      const before = board.kernel.ex.now();
      bar.readl(0);
      bar.writel(0, 1);
      expect(board.kernel.ex.now() - before).toBe(790);
    });
  });

  it('follows a BAR that moves', async () => {
    const board = createTestBoard();
    await board.boot();
    const bar = board.bar();
    await board.run(async () => {
      bar.writel(8, 5);
      const at = board.fn.configRead(PCI_BASE_ADDRESS_0, 4);
      board.bus.pciWriteConfigDword(board.pdev(), PCI_BASE_ADDRESS_0, 0xfe000000);
      expect(bar.readl(8)).toBe(0xffffffff);
      const moved = board.sim.hostBridge.ioremap(0xfe000000, 0x1000);
      expect(moved.readl(8)).toBe(5);
      board.bus.pciWriteConfigDword(board.pdev(), PCI_BASE_ADDRESS_0, at);
      expect([bar.readl(8), moved.readl(8)]).toEqual([5, 0xffffffff]);
    });
  });

  it('answers nothing from D3hot', async () => {
    const board = createTestBoard();
    await board.boot();
    await board.run(async () => {
      board.bar().writel(0, 9);
      await board.bus.pciSetPowerState(board.pdev(), 3);
      expect(board.bar().readl(0)).toBe(0xffffffff);
      await board.bus.pciSetPowerState(board.pdev(), 0);
      expect(board.bar().readl(0)).toBe(9);
    });
  });

  it('halts on an access beyond a mapping, and on one after iounmap', async () => {
    const beyond = createTestBoard();
    await beyond.boot();
    await expect(beyond.run(async () => beyond.bar().readl(0x4000))).rejects.toThrow(
      'MMIO access at 0x4000 of 16384 bytes',
    );
    const late = createTestBoard();
    await late.boot();
    await late.run(async () => late.bus.iounmap(late.pdev(), late.bar()));
    await expect(late.run(async () => late.bar().readl(0))).rejects.toThrow('unmapped');
  });

  it('records MMIO with offset, value, size and function', async () => {
    const board = createTestBoard();
    await board.boot();
    await board.run(async () => board.bar().writel(0x1c, 42));
    const last = board.kernel.trace.entries.filter((entry) => entry.kind === 'mmio').at(-1);
    expect([last?.symbol, last?.fields, last?.args]).toEqual([
      'mmio_write',
      ['addr', 'data', 'size', 'bdf'],
      [0x1c, 42, 4, 0x20],
    ]);
  });
});

describe('hot-plug', () => {
  it('reaches a card behind a root port, and loses it at once when it is pulled', async () => {
    const pulled = card();
    const board = createTestBoard({
      rootPorts: [{ slot: 6, physicalSlot: 3 }],
      slots: [{ slot: 6, behindPort: true, function: pulled }],
    });
    await board.boot();
    const bar = board.bar('0000:01:00.0');
    await board.run(async () => {
      bar.writel(0, 77);
      expect(bar.readl(0)).toBe(77);
      board.sim.unplug({ slot: 6, behindPort: true });
      expect(bar.readl(0)).toBe(0xffffffff);
      expect(pulled.host?.dmaRead(4096, new Uint8Array(4), 0, 4)).not.toBe(0);
    });
    await board.door.settle(1e9);
    expect(board.driver.log).toEqual(['probe 0000:01:00.0 7', 'remove 0000:01:00.0']);
    expect(board.bus.pciGetDevice('0000:01:00.0')).toBeNull();
  });

  it('binds a card that is pushed in, and one more after it was pulled', async () => {
    const board = createTestBoard({ rootPorts: [{ slot: 6 }], slots: [] });
    await board.boot();
    for (let round = 1; round <= 3; round++) {
      board.sim.plug({ slot: 6, behindPort: true }, card());
      await board.door.settle(1e9);
      expect(board.driver.log.filter((line) => line.startsWith('probe'))).toHaveLength(round);
      expect(board.sim.functionAt({ slot: 6, behindPort: true })).not.toBeNull();
      await board.run(async () => {
        board.bar('0000:01:00.0').writel(4, round);
        expect(board.bar('0000:01:00.0').readl(4)).toBe(round);
      });
      board.sim.unplug({ slot: 6, behindPort: true });
      await board.door.settle(1e9);
    }
    expect(board.kernel.iomem.show()).not.toContain('0000:01:00.0');
  });

  it('loses what a pulled function had asked for', async () => {
    const board = createTestBoard();
    await board.boot();
    await board.run(async () => {
      board.fn.host?.defer();
      board.fn.host?.alarmAt(board.kernel.ex.now() + 1e6);
      board.sim.unplug({ slot: 4 });
    });
    await board.door.settle(1e9);
    expect(board.fn.calls).toEqual([]);
  });

  it('resets what is behind a port when the port is told to', async () => {
    const fn = card();
    const board = createTestBoard({ rootPorts: [{ slot: 6 }], slots: [{ slot: 6, behindPort: true, function: fn }] });
    await board.boot();
    await board.run(() => board.bus.pciResetFunction(board.pdev('0000:01:00.0')));
    expect(fn.resets).toEqual(['conventional']);
    await board.run(async () => expect(board.bar('0000:01:00.0').readl(0)).toBe(0));
    expect(board.dmesg()).toContain('pci 0000:00:06.0: PCI bridge to [bus 01]');
  });
});

describe('time and randomness of a function', () => {
  it('comes in device context: defer once however often it is asked for, the alarm when it is due', async () => {
    const board = createTestBoard();
    await board.boot();
    const { ex } = board.kernel;
    let due = 0;
    await board.run(async () => {
      due = ex.now() + 5000;
      board.fn.host?.defer();
      board.fn.host?.defer();
      board.fn.host?.alarmAt(due + 9000);
      board.fn.host?.alarmAt(due);
      expect(board.fn.calls).toEqual([]);
    });
    const seen: string[] = [];
    board.fn.alarm = () => void seen.push(`alarm ${ex.context} ${ex.now() === due}`);
    await board.door.settle(1e6);
    expect([board.fn.calls, seen]).toEqual([['deferred'], ['alarm device true']]);
  });

  it('gives each function its own streams, the same for the same seed', () => {
    const draw = (seed: number): number[] => {
      const other = card();
      const board = createTestBoard({
        kernel: { seed },
        slots: [
          { slot: 4, function: card() },
          { slot: 5, function: other },
        ],
      });
      const first = board.sim.functionAt({ slot: 4 }) as TestFunction;
      return [
        first.host?.random('latency') as number,
        other.host?.random('latency') as number,
        first.host?.random('faults') as number,
      ];
    };
    expect(draw(1)).toEqual(draw(1));
    expect(new Set(draw(1)).size).toBe(3);
    expect(draw(2)).not.toEqual(draw(1));
  });
});

pciConfigAccessContract({ describe, it, expect }, 'the board', () => {
  const board = createTestBoard();
  return {
    config: board.sim.hostBridge.config,
    present: { bus: 0, devfn: 32 },
    absent: { bus: 3, devfn: 32 },
    run: (body) => board.run(async () => body()),
  };
});

mmioRegionContract({ describe, it, expect }, 'the board', async () => {
  const board = createTestBoard();
  await board.boot();
  return {
    region: board.bar(),
    scratchOffset: 0x20,
    decode: (on) => board.bus.pciWriteConfigWord(board.pdev(), PCI_COMMAND, on ? PCI_COMMAND_MEMORY : 0),
    unplug: () => board.sim.unplug({ slot: 4 }),
    run: (body) => board.run(async () => body()),
  };
});
