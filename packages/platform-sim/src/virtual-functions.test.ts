import { nvmeLikeCapabilities, TestFunction } from '@nvme-stack/pci-bus/testing';
import { PCI_EXP_TYPE_RC_END, type PciFunction } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { createTestBoard } from './fixtures/test-board.js';

/** A physical function that owns as many virtual ones as NumVFs says while VF Enable is set. */
class PhysicalFunction extends TestFunction {
  readonly all = [0, 1, 2].map(() => new TestFunction({ bars: [], capabilities: [] }));

  constructor() {
    super({
      capabilities: [
        ...nvmeLikeCapabilities().filter(({ kind }) => kind === 'msix'),
        { kind: 'express', offset: 0x80, type: PCI_EXP_TYPE_RC_END },
      ],
    });
    const { config } = this.endpoint;
    config.set(0x100, 0x00010010, 4);
    config.set(0x10e, 3, 2);
    config.set(0x114, 1, 2);
    config.set(0x116, 2, 2);
    config.set(0x11a, 0x0011, 2);
    config.allowWrite(0x108, 0x9, 2);
    config.allowWrite(0x110, 0xffff, 2);
    config.set(0x124, 4, 4);
    config.allowWrite(0x124, 0xffffc000, 4);
    config.allowWrite(0x128, 0xffffffff, 4);
  }

  virtualFunctions(): readonly PciFunction[] {
    return (this.configRead(0x108, 2) & 1) === 0 ? [] : this.all.slice(0, this.configRead(0x110, 2));
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
