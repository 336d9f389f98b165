import { SRIOV_OFFSET, SriovFunction, TestFunction } from '@nvme-stack/pci-bus/testing';
import type { PciFunction } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { createTestBoard } from './fixtures/test-board.js';

/** A physical function that owns as many virtual ones as NumVFs says while VF Enable is set. */
class PhysicalFunction extends SriovFunction {
  readonly all = [0, 1, 2].map(() => new TestFunction({ bars: [], capabilities: [] }));

  constructor() {
    super(3, 2);
  }

  virtualFunctions(): readonly PciFunction[] {
    const enabled = (this.configRead(SRIOV_OFFSET + 0x08, 2) & 1) !== 0;
    return enabled ? this.all.slice(0, this.configRead(SRIOV_OFFSET + 0x10, 2)) : [];
  }
}

describe('virtual functions', () => {
  it('answer where the capability puts them, in configuration and in memory, while they are enabled', async () => {
    const pf = new PhysicalFunction();
    const board = createTestBoard({ slots: [{ slot: 4, function: pf }] });
    await board.boot();
    const { bus } = board;
    const { config } = board.sim.hostBridge;
    await board.run(async () => {
      expect(config.read(0, 0x21, 0, 4)).toBe(0xffffffff);
      expect(await bus.pciSriovConfigureSimple(board.pdev(), 2)).toBe(2);
    });
    const names = bus.devices.filter(({ isVirtfn }) => isVirtfn).map((pdev) => pdev.dev.name);
    expect(names).toEqual(['0000:00:04.1', '0000:00:04.3']);
    await board.run(async () => {
      const vf = board.pdev('0000:00:04.3');
      const region = bus.ioremap(vf, 0, 0x1000);
      region?.writel(0x10, 1234);
      expect([region?.readl(0x10), pf.all[1]?.barRead(0, 0x10, 4), pf.all[0]?.barRead(0, 0x10, 4)]).toEqual([
        1234, 1234, 0,
      ]);
      await bus.pciSriovConfigureSimple(board.pdev(), 0);
      expect([region?.readl(0x10), config.read(0, 0x21, 0, 4)]).toEqual([0xffffffff, 0xffffffff]);
    });
    expect(bus.devices.filter(({ isVirtfn }) => isVirtfn)).toEqual([]);
  });
});
