// Behaviour of an endpoint's configuration space, BARs, MSI, MSI-X, INTx and resets.
import { describe, expect, it } from 'vitest';
import * as regs from './index.js';
import { type AccessSize, DMA_MASTER_ABORT, PciEndpoint, type PciFunction, type PciHost } from './index.js';
import { FakePciHost, memoryBars, pciFunctionContract, tracedPciFunction } from './testing.js';

class TestFunction implements PciFunction {
  readonly endpoint: PciEndpoint;
  resets: string[] = [];
  constructor(kind: 'msix' | 'msi') {
    this.endpoint = new PciEndpoint(
      {
        identity: { vendorId: 0x1b36, deviceId: 0x10, revisionId: 2, classCode: 0x010802, interruptPin: 1 },
        bars: [
          { index: 0, sizeBytes: 0x4000, is64Bit: true },
          { index: 2, sizeBytes: 0x1000 },
          { index: 4, sizeBytes: 0x200000000, is64Bit: true, prefetchable: true },
        ],
        capabilities: [
          kind === 'msix'
            ? { kind, offset: 0x40, vectors: 65, tableBar: 0, tableOffset: 0x2000, pbaBar: 0, pbaOffset: 0x3000 }
            : { kind, offset: 0x40, vectors: 4 },
          { kind: 'express', offset: 0x80, type: regs.PCI_EXP_TYPE_ENDPOINT, functionLevelReset: true },
          { kind: 'pm', offset: 0x60 },
        ],
      },
      { functionLevelReset: () => this.reset('flr') },
    );
  }
  attach(host: PciHost): void {
    this.endpoint.attach(host);
  }
  configRead(offset: number, size: AccessSize): number {
    return this.endpoint.configRead(offset, size);
  }
  configWrite(offset: number, value: number, size: AccessSize): void {
    this.endpoint.configWrite(offset, value, size);
  }
  barRead(bar: number, offset: number, size: AccessSize): number {
    return this.endpoint.msix?.read(bar, offset, size) ?? 0;
  }
  barWrite(bar: number, offset: number, value: number, size: AccessSize): void {
    this.endpoint.msix?.write(bar, offset, value, size);
  }
  deferred(): void {}
  alarm(): void {}
  reset(kind: 'power-on' | 'conventional' | 'flr'): void {
    this.resets.push(kind);
    this.endpoint.reset();
  }
}

function plug(kind: 'msix' | 'msi' = 'msix') {
  const host = new FakePciHost();
  const fn = new TestFunction(kind);
  host.plug(fn);
  return { host, fn };
}

function enableMsix(fn: TestFunction, vector: number): void {
  fn.configWrite(regs.PCI_COMMAND, regs.PCI_COMMAND_MEMORY | regs.PCI_COMMAND_MASTER, 2);
  fn.configWrite(0x42, regs.PCI_MSIX_FLAGS_ENABLE, 2);
  const at = 0x2000 + 16 * vector;
  fn.barWrite(0, at, 0xfee01000, 4);
  fn.barWrite(0, at + 4, 1, 4);
  fn.barWrite(0, at + 8, 0x40 + vector, 4);
  fn.barWrite(0, at + 12, 0, 4);
}

const vectorControl = (vector: number): number => 0x2000 + 16 * vector + 12;
const pending = (fn: TestFunction): number => fn.barRead(0, 0x3000, 4);

pciFunctionContract({ describe, it, expect }, 'MSI-X', () => new TestFunction('msix'));
pciFunctionContract({ describe, it, expect }, 'MSI, traced', () =>
  tracedPciFunction(new TestFunction('msi'), () => {}),
);

describe('BARs', () => {
  it('report 32-bit, 64-bit and larger than 4 GiB sizes', () => {
    const { fn } = plug();
    expect(memoryBars(fn).map((bar) => [bar.index, bar.sizeBytes, bar.is64Bit])).toEqual([
      [0, 0x4000, true],
      [2, 0x1000, false],
      [4, 0x200000000, true],
    ]);
  });
  it('keep their type bits', () => {
    const { fn } = plug();
    fn.configWrite(regs.PCI_BASE_ADDRESS_4, 0, 4);
    expect(fn.configRead(regs.PCI_BASE_ADDRESS_4, 4)).toBe(0xc);
  });
  it('refuse a size that is no power of two', () => {
    const config = new regs.ConfigSpace();
    expect(() => regs.addMemoryBar(config, { index: 0, sizeBytes: 0x3000 })).toThrow(/sizeBytes 12288 is not allowed/);
  });
});

describe('MSI-X', () => {
  it('sends address and data of the vector', () => {
    const { fn, host } = plug();
    enableMsix(fn, 3);
    fn.endpoint.notify(3);
    expect(host.messages).toEqual([{ address: 0x1fee01000, data: 0x43 }]);
  });
  it('keeps an edge of a masked vector and sends it once on unmask', () => {
    const { fn, host } = plug();
    enableMsix(fn, 33);
    fn.barWrite(0, vectorControl(33), 1, 4);
    fn.endpoint.notify(33);
    fn.endpoint.notify(33);
    expect(host.messages.length).toBe(0);
    expect(fn.barRead(0, 0x3004, 4)).toBe(2);
    fn.barWrite(0, vectorControl(33), 0, 4);
    expect(host.messages.length).toBe(1);
    expect(fn.barRead(0, 0x3004, 4)).toBe(0);
    fn.barWrite(0, vectorControl(33), 0, 4);
    expect(host.messages.length).toBe(1);
  });
  it('keeps edges behind the function mask, and behind a cleared bus master bit', () => {
    const { fn, host } = plug();
    enableMsix(fn, 1);
    fn.configWrite(0x42, regs.PCI_MSIX_FLAGS_ENABLE | regs.PCI_MSIX_FLAGS_MASKALL, 2);
    fn.endpoint.notify(1);
    expect([host.messages.length, pending(fn)]).toEqual([0, 2]);
    fn.configWrite(0x42, regs.PCI_MSIX_FLAGS_ENABLE, 2);
    expect([host.messages.length, pending(fn)]).toEqual([1, 0]);
    fn.configWrite(regs.PCI_COMMAND, regs.PCI_COMMAND_MEMORY, 2);
    fn.endpoint.notify(1);
    expect(host.messages.length).toBe(1);
    fn.configWrite(regs.PCI_COMMAND, regs.PCI_COMMAND_MEMORY | regs.PCI_COMMAND_MASTER, 2);
    expect(host.messages.length).toBe(2);
  });
  it('ignores byte writes to the table and writes to the pending bits', () => {
    const { fn } = plug();
    enableMsix(fn, 0);
    fn.barWrite(0, vectorControl(0), 1, 1);
    expect(fn.barRead(0, vectorControl(0), 4)).toBe(0);
    fn.barWrite(0, 0x3000, 0xffffffff, 4);
    expect(pending(fn)).toBe(0);
  });
  it('loses no edge under any order of notify, mask and unmask', () => {
    const { fn, host } = plug();
    enableMsix(fn, 0);
    let state = 7;
    let masked = false;
    let waiting = false;
    let expected = 0;
    for (let step = 0; step < 2000; step++) {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      if ((state >>> 16) % 3 === 0) {
        masked = !masked;
        fn.barWrite(0, vectorControl(0), masked ? 1 : 0, 4);
        if (!masked && waiting) {
          waiting = false;
          expected++;
        }
      } else {
        fn.endpoint.notify(0);
        if (masked) waiting = true;
        else expected++;
      }
      expect(host.messageCount).toBe(expected);
    }
  });
});

describe('MSI', () => {
  it('folds vectors into the granted messages and keeps a masked edge', () => {
    const { fn, host } = plug('msi');
    fn.configWrite(regs.PCI_COMMAND, regs.PCI_COMMAND_MASTER, 2);
    fn.configWrite(0x44, 0xfee00000, 4);
    fn.configWrite(0x4c, 0x4021, 2);
    fn.configWrite(0x42, regs.PCI_MSI_FLAGS_ENABLE | (1 << 4), 2);
    fn.endpoint.notify(3);
    expect(host.messages).toEqual([{ address: 0xfee00000, data: 0x4021 }]);
    fn.configWrite(0x50, 1, 4);
    fn.endpoint.notify(0);
    expect(fn.configRead(0x54, 4)).toBe(1);
    fn.configWrite(0x50, 0, 4);
    expect(host.messages[1]).toEqual({ address: 0xfee00000, data: 0x4020 });
  });
});

describe('INTx', () => {
  it('is a level that the disable bit and MSI-X silence', () => {
    const { fn, host } = plug();
    fn.endpoint.setIntx(true);
    expect(host.intxLevel).toBe(true);
    fn.configWrite(regs.PCI_COMMAND, regs.PCI_COMMAND_INTX_DISABLE, 2);
    expect(host.intxLevel).toBe(false);
    expect(fn.configRead(regs.PCI_STATUS, 2) & regs.PCI_STATUS_INTERRUPT).toBe(regs.PCI_STATUS_INTERRUPT);
    fn.configWrite(regs.PCI_COMMAND, 0, 2);
    expect(host.intxLevel).toBe(true);
    fn.configWrite(0x42, regs.PCI_MSIX_FLAGS_ENABLE, 2);
    expect(host.intxLevel).toBe(false);
  });
});

describe('DMA and power', () => {
  // @acceptance 69
  it('master-aborts while bus mastering is off or the function is in D3hot', () => {
    const { fn, host } = plug();
    const bytes = new Uint8Array(4);
    expect(fn.endpoint.dmaRead(0, bytes, 0, 4)).toBe(DMA_MASTER_ABORT);
    fn.configWrite(regs.PCI_COMMAND, regs.PCI_COMMAND_MASTER | regs.PCI_COMMAND_MEMORY, 2);
    expect(fn.endpoint.dmaRead(0, bytes, 0, 4)).toBe(0);
    fn.configWrite(0x64, 3, 2);
    expect(fn.endpoint.dmaRead(0, bytes, 0, 4)).toBe(DMA_MASTER_ABORT);
    expect(fn.endpoint.memoryEnabled).toBe(false);
    expect(host.dmaReads).toBe(1);
  });
});

describe('function level reset', () => {
  it('comes from the device control bit and clears command and BARs', () => {
    const { fn } = plug();
    fn.configWrite(regs.PCI_BASE_ADDRESS_0, 0xfebf0000, 4);
    fn.configWrite(0x88, regs.PCI_EXP_DEVCTL_BCR_FLR, 2);
    expect(fn.resets).toEqual(['flr']);
    expect(fn.configRead(regs.PCI_BASE_ADDRESS_0, 4)).toBe(4);
    expect(fn.configRead(0x88, 2) & regs.PCI_EXP_DEVCTL_BCR_FLR).toBe(0);
  });
});

describe('bridge header', () => {
  it('lets bus numbers and windows be written', () => {
    const config = new regs.ConfigSpace();
    regs.writeBridgeHeader(config, { vendorId: 0x8086, deviceId: 1, revisionId: 0, classCode: 0x060400 });
    config.write(regs.PCI_PRIMARY_BUS, 0xff030100, 4);
    expect(config.read(regs.PCI_PRIMARY_BUS, 4)).toBe(0x00030100);
    config.write(regs.PCI_MEMORY_BASE, 0xfebffea5, 4);
    expect(config.read(regs.PCI_MEMORY_BASE, 4)).toBe(0xfeb0fea0);
    expect(config.read(regs.PCI_HEADER_TYPE, 1)).toBe(1);
  });
});
