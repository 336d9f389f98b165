/**
 * What every platform's configuration access and mapped regions must do, as suites for any test runner.
 * Kernel counterpart: what drivers/pci/access.c and include/linux/io.h rely on.
 */
import * as regs from '@nvme-stack/pci-function';
import type { MmioRegion, PciConfigAccess } from '../ports.js';

/** The runner's functions; vitest's and jest's fit. */
export interface ContractRunner {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => void | Promise<void>): void;
  expect(value: unknown): { toBe(expected: unknown): void };
}

/** A machine for a suite; `run` runs a body where the kernel may make accesses. */
export interface ConfigFixture {
  readonly config: PciConfigAccess;
  /** A function that is there, and one that is not. */
  readonly present: { readonly bus: number; readonly devfn: number };
  readonly absent: { readonly bus: number; readonly devfn: number };
  run(body: () => void): Promise<void>;
}

/** Configuration access by address; `make` gives a machine for each test. */
export function pciConfigAccessContract(
  { describe, it, expect }: ContractRunner,
  name: string,
  make: () => ConfigFixture,
): void {
  describe(`PciConfigAccess contract: ${name}`, () => {
    it('reads all ones at every size where no function is', async () => {
      const { config, absent, run } = make();
      await run(() => {
        expect(config.read(absent.bus, absent.devfn, 0, 4)).toBe(0xffffffff);
        expect(config.read(absent.bus, absent.devfn, 2, 2)).toBe(0xffff);
        expect(config.read(absent.bus, absent.devfn, 1, 1)).toBe(0xff);
        config.write(absent.bus, absent.devfn, regs.PCI_COMMAND, 6, 2);
      });
    });

    it('reads the same bytes at every size', async () => {
      const { config, present, run } = make();
      await run(() => {
        const dword = config.read(present.bus, present.devfn, 0, 4);
        const low = config.read(present.bus, present.devfn, 0, 2);
        expect(low + config.read(present.bus, present.devfn, 2, 2) * 0x10000).toBe(dword);
        expect(config.read(present.bus, present.devfn, 3, 1)).toBe(dword >>> 24);
        expect(dword === 0xffffffff).toBe(false);
      });
    });

    it('keeps what was written to a register that can be written, and only that one', async () => {
      const { config, present, run } = make();
      await run(() => {
        const status = config.read(present.bus, present.devfn, regs.PCI_STATUS, 2);
        config.write(present.bus, present.devfn, regs.PCI_INTERRUPT_LINE, 0x5a, 1);
        expect(config.read(present.bus, present.devfn, regs.PCI_INTERRUPT_LINE, 1)).toBe(0x5a);
        expect(config.read(present.bus, present.devfn, regs.PCI_STATUS, 2)).toBe(status);
      });
    });
  });
}

/** A mapped BAR for a suite. */
export interface MmioFixture {
  readonly region: MmioRegion;
  /** Offset of a dword that keeps what is written to it. */
  readonly scratchOffset: number;
  /** Turns memory decoding off and on; takes the function out. */
  decode(on: boolean): void;
  unplug(): void;
  run(body: () => void): Promise<void>;
}

/** Mapped regions; `make` gives a mapped BAR for each test. */
export function mmioRegionContract(
  { describe, it, expect }: ContractRunner,
  name: string,
  make: () => Promise<MmioFixture>,
): void {
  describe(`MmioRegion contract: ${name}`, () => {
    it('reads back what was written, unsigned', async () => {
      const { region, scratchOffset, run } = await make();
      await run(() => {
        region.writel(scratchOffset, 0x89abcdef);
        expect(region.readl(scratchOffset)).toBe(0x89abcdef);
      });
    });

    it('reads all ones and loses writes while decoding is off', async () => {
      const { region, scratchOffset, decode, run } = await make();
      await run(() => {
        region.writel(scratchOffset, 1);
        decode(false);
        region.writel(scratchOffset, 2);
        expect(region.readl(scratchOffset)).toBe(0xffffffff);
        decode(true);
        expect(region.readl(scratchOffset)).toBe(1);
      });
    });

    it('reads all ones once the function is gone', async () => {
      const { region, scratchOffset, unplug, run } = await make();
      await run(() => {
        unplug();
        region.writel(scratchOffset, 7);
        expect(region.readl(scratchOffset)).toBe(0xffffffff);
      });
    });
  });
}
