// The contract every PciFunction keeps, as a suite for any test runner with describe, it and expect.
// Kernel counterpart: what drivers/pci/probe.c relies on. Spec: [PCI] 3.0 §6.1, §6.2.5.1, §6.7, §6.8.2.
import * as regs from '../pci-regs.js';
import type { PciFunction } from '../ports.js';
import { FakePciHost } from './fake-pci-host.js';

/** The assertions the suite uses; vitest's and jest's expect fit. */
export type ContractExpect = (value: unknown) => {
  toBe(expected: unknown): void;
  toBeGreaterThan(expected: number): void;
};

/** The runner's functions. */
export interface ContractRunner {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => void): void;
  expect: ContractExpect;
}

/** Declares the suite for the functions that createFunction makes; each test gets a fresh one. */
export function pciFunctionContract(runner: ContractRunner, name: string, createFunction: () => PciFunction): void {
  const { describe, it, expect } = runner;
  const plugged = (): { fn: PciFunction; host: FakePciHost } => {
    const host = new FakePciHost();
    const fn = createFunction();
    host.plug(fn);
    return { fn, host };
  };

  describe(`PciFunction contract: ${name}`, () => {
    it('answers with an identity that a write cannot change', () => {
      const { fn } = plugged();
      const identity = fn.configRead(regs.PCI_VENDOR_ID, 4);
      expect(identity === 0xffffffff || identity === 0).toBe(false);
      fn.configWrite(regs.PCI_VENDOR_ID, 0, 4);
      expect(fn.configRead(regs.PCI_VENDOR_ID, 4)).toBe(identity);
    });

    it('reads the same bytes at every access size', () => {
      const { fn } = plugged();
      for (let offset = 0; offset < 64; offset += 4) {
        const dword = fn.configRead(offset, 4);
        const words = fn.configRead(offset, 2) + fn.configRead(offset + 2, 2) * 0x10000;
        expect(words).toBe(dword);
        let bytes = 0;
        for (let i = 3; i >= 0; i--) bytes = bytes * 256 + fn.configRead(offset + i, 1);
        expect(bytes).toBe(dword);
      }
    });

    it('gives every BAR a power-of-two size and keeps the address written', () => {
      const { fn } = plugged();
      for (const bar of memoryBars(fn)) {
        expect(bar.sizeBytes).toBeGreaterThan(15);
        const address = bar.is64Bit ? bar.sizeBytes * 3 + 0x100000000 : bar.sizeBytes;
        fn.configWrite(bar.offset, address % 0x100000000, 4);
        if (bar.is64Bit) fn.configWrite(bar.offset + 4, Math.floor(address / 0x100000000), 4);
        const low = (fn.configRead(bar.offset, 4) & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0;
        const high = bar.is64Bit ? fn.configRead(bar.offset + 4, 4) : 0;
        expect(low + high * 0x100000000).toBe(address - (address % bar.sizeBytes));
      }
    });

    it('has a capability list that ends', () => {
      const { fn } = plugged();
      if ((fn.configRead(regs.PCI_STATUS, 2) & regs.PCI_STATUS_CAP_LIST) === 0) return;
      let offset = fn.configRead(regs.PCI_CAPABILITY_LIST, 1);
      let seen = 0;
      while (offset !== 0 && seen < 64) {
        expect(offset % 4).toBe(0);
        expect(offset).toBeGreaterThan(0x3f);
        offset = fn.configRead(offset + regs.PCI_CAP_LIST_NEXT, 1);
        seen++;
      }
      expect(offset).toBe(0);
    });

    it('comes out of reset with the bus master, memory and INTx disable bits clear and its BARs at zero', () => {
      const { fn, host } = plugged();
      fn.configWrite(regs.PCI_COMMAND, 0x406, 2);
      const bars = memoryBars(fn);
      for (const bar of bars) fn.configWrite(bar.offset, 0xfffffff0, 4);
      fn.reset('conventional');
      expect(fn.configRead(regs.PCI_COMMAND, 2) & 0x406).toBe(0);
      for (const bar of bars) expect((fn.configRead(bar.offset, 4) & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0).toBe(0);
      expect(host.intxLevel).toBe(false);
    });

    it('raises nothing and moves nothing before it is enabled', () => {
      const { fn, host } = plugged();
      for (const bar of memoryBars(fn)) for (let offset = 0; offset < 64; offset += 4) fn.barRead(bar.index, offset, 4);
      host.advance(1e9);
      expect(host.messageCount + host.dmaReads + host.dmaWrites).toBe(0);
    });

    it('masks every MSI-X vector after reset', () => {
      const { fn } = plugged();
      const msix = findMsix(fn);
      if (msix === null) return;
      for (let vector = 0; vector < msix.vectors; vector++) {
        const at = msix.tableOffset + vector * regs.PCI_MSIX_ENTRY_SIZE + regs.PCI_MSIX_ENTRY_VECTOR_CTRL;
        expect(fn.barRead(msix.tableBar, at, 4) & regs.PCI_MSIX_ENTRY_CTRL_MASKBIT).toBe(1);
      }
    });
  });
}

interface FoundBar {
  readonly index: number;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly is64Bit: boolean;
}

/** Sizes the memory BARs as an operating system does; BARs are left at zero. */
export function memoryBars(fn: PciFunction): FoundBar[] {
  const found: FoundBar[] = [];
  for (let index = 0; index < 6; index++) {
    const offset = regs.PCI_BASE_ADDRESS_0 + 4 * index;
    const type = fn.configRead(offset, 4) & regs.PCI_BASE_ADDRESS_MEM_TYPE_MASK;
    fn.configWrite(offset, 0xffffffff, 4);
    const low = (fn.configRead(offset, 4) & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0;
    fn.configWrite(offset, 0, 4);
    const is64Bit = type === regs.PCI_BASE_ADDRESS_MEM_TYPE_64;
    let high = 0xffffffff;
    if (is64Bit) {
      fn.configWrite(offset + 4, 0xffffffff, 4);
      high = fn.configRead(offset + 4, 4);
      fn.configWrite(offset + 4, 0, 4);
    }
    if (low !== 0 || (is64Bit && high !== 0)) {
      const sizeBytes = low !== 0 ? 0x100000000 - low : (0x100000000 - high) * 0x100000000;
      found.push({ index, offset, sizeBytes, is64Bit });
    }
    if (is64Bit) index++;
  }
  return found;
}

/** Where a function's MSI-X table lies, or null if it has none. */
export function findMsix(fn: PciFunction): {
  capability: number;
  vectors: number;
  tableBar: number;
  tableOffset: number;
  pbaBar: number;
  pbaOffset: number;
} | null {
  let at = fn.configRead(regs.PCI_CAPABILITY_LIST, 1);
  while (at !== 0 && fn.configRead(at, 1) !== regs.PCI_CAP_ID_MSIX) at = fn.configRead(at + regs.PCI_CAP_LIST_NEXT, 1);
  if (at === 0) return null;
  const table = fn.configRead(at + regs.PCI_MSIX_TABLE, 4);
  const pba = fn.configRead(at + regs.PCI_MSIX_PBA, 4);
  return {
    capability: at,
    vectors: (fn.configRead(at + regs.PCI_MSIX_FLAGS, 2) & regs.PCI_MSIX_FLAGS_QSIZE) + 1,
    tableBar: table & regs.PCI_MSIX_TABLE_BIR,
    tableOffset: (table & regs.PCI_MSIX_TABLE_OFFSET) >>> 0,
    pbaBar: pba & regs.PCI_MSIX_PBA_BIR,
    pbaOffset: (pba & regs.PCI_MSIX_PBA_OFFSET) >>> 0,
  };
}
