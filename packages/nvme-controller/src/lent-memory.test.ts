import * as nvme from '@nvme-stack/nvme-protocol';
import { PCI_COMMAND, PCI_COMMAND_MASTER, PCI_COMMAND_MEMORY } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { DATA, GET_FEATURES, INVALID_FIELD, identify, SET_FEATURES, started } from './fixtures/optional-hardware.js';
import type { RegisterDriver } from './testing/register-driver.js';

const { read: READ, write: WRITE } = nvme.NvmeNvmOpcode;
const CMD_SEQ_ERROR = 0x400c;

describe('a controller memory buffer', () => {
  const CBA = 0xd000_0000;

  it('shows itself when it is asked to, and takes its addresses when it is enabled', () => {
    const { fn, driver } = started({ cmb: { sizeMiB: 1 } });
    expect(nvme.NVME_CAP_CMBS(driver.read32(0), driver.read32(4))).toBe(1);
    expect([driver.read32(nvme.NVME_REG_CMBLOC), driver.read32(nvme.NVME_REG_CMBSZ)]).toEqual([0, 0]);
    driver.write32(nvme.NVME_REG_CMBMSC, nvme.NVME_CMBMSC_CRE);
    expect(nvme.CMBLOC.BIR.get(driver.read32(nvme.NVME_REG_CMBLOC))).toBe(2);
    expect(nvme.CMBSZ.SZ.get(driver.read32(nvme.NVME_REG_CMBSZ))).toBe(1);
    driver.write32(nvme.NVME_REG_CMBMSC, CBA | nvme.NVME_CMBMSC_CRE | nvme.NVME_CMBMSC_CMSE);
    expect(driver.read32(nvme.NVME_REG_CMBSTS)).toBe(0);
    fn.barWrite(2, 0x1000, 0x12345678, 4);
    expect([fn.barRead(2, 0x1000, 4), fn.barRead(2, 0x1002, 2), fn.barRead(2, 0x1003, 1)]).toEqual([
      0x12345678, 0x1234, 0x12,
    ]);
    expect(fn.barRead(2, 1 << 20, 4)).toBe(0);
  });

  it('says so when its base leaves no room below 2^64', () => {
    const { driver } = started({ cmb: { sizeMiB: 1 } });
    driver.write32(nvme.NVME_REG_CMBMSC + 4, 0xffffffff);
    driver.write32(nvme.NVME_REG_CMBMSC, (0xfffff000 | 3) >>> 0);
    expect(driver.read32(nvme.NVME_REG_CMBSTS)).toBe(nvme.CMBSTS.CBAI.mask);
  });

  it('holds queue, list and data, none of which crosses the bus then', () => {
    const { fn, driver } = started({ cmb: { sizeMiB: 1 } });
    driver.write32(nvme.NVME_REG_CMBMSC, CBA | 3);
    const cq = 0x20000;
    driver.admin({ opcode: 5, cdw10: (15 << 16) | 1, cdw11: 3, prp1: cq });
    driver.admin({ opcode: 1, cdw10: (15 << 16) | 1, cdw11: (1 << 16) | 1, prp1: CBA });
    // Three pages of data through a list, all of it in the buffer.
    const word = (offset: number, value: number): void => fn.barWrite(2, offset, value >>> 0, 4);
    for (let i = 0; i < 3 * 4096; i += 4) word(0x10000 + i, i * 7);
    word(0x8000, CBA + 0x11000);
    word(0x8008, CBA + 0x12000);
    const submit = (slot: number, opcode: number, prp1: number, list: number): void => {
      const at = slot * 64;
      for (let i = 0; i < 64; i += 4) word(at + i, 0);
      word(at, opcode | (slot << 16));
      word(at + 4, 1);
      word(at + 24, prp1);
      word(at + 32, list);
      word(at + 48, 23);
    };
    const { accesses } = recordDma(driver);
    submit(0, WRITE, CBA + 0x10000, CBA + 0x8000);
    driver.write32(nvme.sqTailDoorbellOffset(1, 0), 1);
    driver.host.pump();
    for (let i = 0; i < 3 * 4096; i += 4) word(0x10000 + i, 0);
    submit(1, READ, CBA + 0x10000, CBA + 0x8000);
    driver.write32(nvme.sqTailDoorbellOffset(1, 0), 2);
    driver.host.pump();
    expect(driver.view.getUint32(cq + 12, true) >>> 17).toBe(0);
    expect(driver.view.getUint32(cq + 28, true) >>> 17).toBe(0);
    for (let i = 0; i < 3 * 4096; i += 404) expect(fn.barRead(2, 0x10000 + i, 4)).toBe((i * 7) >>> 0);
    // Only the two completion entries went to host memory.
    expect(accesses).toEqual([`write ${cq} 16`, `write ${cq + 16} 16`]);
  });

  it('keeps its contents and its settings over a controller reset, and its settings not over a function reset', () => {
    const { fn, driver } = started({ cmb: { sizeMiB: 1 } });
    driver.write32(nvme.NVME_REG_CMBMSC, CBA | 3);
    fn.barWrite(2, 0, 77, 4);
    driver.write32(nvme.NVME_REG_CC, 0x00460060);
    expect(driver.read32(nvme.NVME_REG_CMBMSC)).toBe((CBA | 3) >>> 0);
    fn.reset('flr');
    fn.configWrite(PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY, 2);
    expect(driver.read32(nvme.NVME_REG_CMBMSC)).toBe(0);
    expect(fn.barRead(2, 0, 4)).toBe(77);
  });
});

/** What goes over the bus from now on. */
function recordDma(driver: RegisterDriver): { accesses: string[] } {
  const accesses: string[] = [];
  const { host } = driver;
  const { dmaRead, dmaWrite } = host;
  host.dmaRead = (address, bytes, offset, length) => {
    accesses.push(`read ${address} ${length}`);
    return dmaRead.call(host, address, bytes, offset, length);
  };
  host.dmaWrite = (address, bytes, offset, length) => {
    accesses.push(`write ${address} ${length}`);
    return dmaWrite.call(host, address, bytes, offset, length);
  };
  return { accesses };
}

describe('a host memory buffer', () => {
  const LIST = 0x100000;
  const PIECE = 0x110000;
  const PAGES = 16;

  function lent(
    driver: RegisterDriver,
    {
      pages = PAGES,
      count = 1,
      bits = 1,
      list = LIST,
      size = pages,
    }: { pages?: number; count?: number; bits?: number; list?: number; size?: number } = {},
  ): number {
    for (let i = 0; i < count; i++) {
      driver.view.setUint32(LIST + 16 * i, PIECE + i * pages * 4096, true);
      driver.view.setUint32(LIST + 16 * i + 4, 0, true);
      driver.view.setUint32(LIST + 16 * i + 8, pages, true);
    }
    return driver.admin({
      opcode: SET_FEATURES,
      cdw10: nvme.NVME_FEAT_HOST_MEM_BUF,
      cdw11: bits,
      cdw12: size,
      cdw13: list,
      cdw15: count,
    }).status;
  }

  it('is asked for in Identify, and is not there without', () => {
    const { driver } = started({ hmb: { preferredKiB: 4096, minimumKiB: 64, minimumPieceKiB: 32, maximumPieces: 9 } });
    const { hmpre, hmmin, hmminds, hmmaxd } = identify(driver);
    expect([hmpre, hmmin, hmminds, hmmaxd]).toEqual([1024, 16, 8, 9]);
    expect(lent(started().driver)).toBe(INVALID_FIELD);
  });

  it.each([
    ['too small', { pages: 8 }],
    ['in pieces that are too small', { pages: 4, count: 4, size: 16 }],
    ['in too many pieces', { count: 10, size: 160 }],
    ['without pieces', { count: 0 }],
    ['with a list that is not aligned', { list: LIST + 8 }],
    ['larger than its pieces', { size: 17 }],
  ])('is refused %s', (_, how) => {
    const { driver } = started({ hmb: { preferredKiB: 4096, minimumKiB: 64, minimumPieceKiB: 32, maximumPieces: 9 } });
    expect(lent(driver, how)).toBe(INVALID_FIELD);
    expect(lent(driver)).toBe(0);
  });

  it('is lent once at a time, told of by Get Features, and gone after a reset', () => {
    const { fn, driver } = started({ hmb: { preferredKiB: 64 } });
    expect(lent(driver)).toBe(0);
    expect(lent(driver)).toBe(CMD_SEQ_ERROR);
    const get = driver.admin({ opcode: GET_FEATURES, cdw10: nvme.NVME_FEAT_HOST_MEM_BUF, prp1: DATA });
    expect([get.status, get.dw0]).toEqual([0, 1]);
    expect([0, 4, 8, 12].map((at) => driver.view.getUint32(DATA + at, true))).toEqual([PAGES, LIST, 0, 1]);
    driver.write32(nvme.NVME_REG_CC, 0x00460060);
    expect(fn.hmb?.enabled).toBe(false);
    driver.enable();
    expect(lent(driver, { bits: 3 })).toBe(0);
    expect(lent(driver, { bits: 0 })).toBe(0);
    expect(lent(driver, { bits: 0 })).toBe(0);
    expect(fn.hmb?.enabled).toBe(false);
  });

  it('notes places, drops what is not as it was left, and forgets all unless it was returned', () => {
    const { fn, driver } = started({ hmb: { preferredKiB: 64 } });
    lent(driver);
    driver.createQueuePair(1, 16);
    const read = (): void => {
      expect(driver.submit(1, { opcode: READ, nsid: 1, prp1: DATA }).status).toBe(0);
    };
    const counts = (): (number | undefined)[] => [fn.hmb?.hits, fn.hmb?.misses, fn.hmb?.corrupted];
    read();
    expect(counts()).toEqual([0, 1, 0]);
    read();
    expect(counts()).toEqual([1, 1, 0]);
    driver.host.ram[PIECE + 32] = (driver.host.ram[PIECE + 32] as number) ^ 0xff;
    read();
    expect(counts()).toEqual([1, 2, 1]);
    read();
    expect(counts()).toEqual([2, 2, 1]);
    lent(driver, { bits: 0 });
    lent(driver, { bits: 3 });
    read();
    expect(counts()).toEqual([3, 2, 1]);
    lent(driver, { bits: 0 });
    lent(driver, { bits: 1 });
    read();
    expect(counts()).toEqual([3, 3, 1]);
  });
});
