// Admin commands: features, logs, asynchronous events, descriptions that are refused.
import * as nvme from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { createNvmeController, type NvmeControllerDescription } from './index.js';
import { RegisterDriver } from './testing.js';

const DATA = 0x40000;

function started(options: Partial<NvmeControllerDescription> = {}) {
  const fn = createNvmeController({ namespaces: [{ sizeBytes: 1 << 20 }], ...options });
  const driver = new RegisterDriver(fn, { ramBytes: 1 << 21 });
  driver.enable();
  return { fn, driver };
}

const setFeature = (driver: RegisterDriver, fid: number, cdw11: number, nsid = 0): { status: number; dw0: number } =>
  driver.admin({ opcode: 9, nsid, cdw10: fid, cdw11, prp1: DATA });
const getFeature = (
  driver: RegisterDriver,
  fid: number,
  cdw11 = 0,
  nsid = 0,
  select = 0,
): { status: number; dw0: number } => driver.admin({ opcode: 10, nsid, cdw10: fid | (select << 8), cdw11, prp1: DATA });
const getLog = (driver: RegisterDriver, lid: number, bytes: number, offset = 0, nsid = 0xffffffff): number =>
  driver.admin({ opcode: 2, nsid, cdw10: ((bytes / 4 - 1) << 16) | lid, cdw12: offset, prp1: DATA }).status;

describe('Set Features', () => {
  const cases: [string, number, number, number, number][] = [
    ['arbitration', 1, 7, 0, 0x410e],
    ['power state 0', 2, 0, 0, 0x410e],
    ['temperature threshold', 4, 0x150, 0, 0],
    ['error recovery of namespace 1', 5, 5, 1, 0],
    ['error recovery of namespace 0', 5, 5, 0, 0x400b],
    ['error recovery of namespace 2', 5, 5, 2, 0x4002],
    ['error recovery of all', 5, 5, 0xffffffff, 0],
    ['write cache off', 6, 0, 0, 0],
    ['write cache of one namespace', 6, 1, 1, 0x410f],
    ['too many submission queues', 7, 0xffff, 0, 0x4002],
    ['too many completion queues', 7, 0xffff0000, 0, 0x4002],
    ['interrupt coalescing', 8, 0x101, 0, 0x410e],
    ['interrupt vector configuration', 9, 0x10000, 0, 0x410e],
    ['write atomicity', 10, 1, 0, 0x410e],
    ['asynchronous events', 11, 0x100, 0, 0],
    ['keep alive', 15, 1, 0, 0x4002],
    ['host memory buffer', 13, 1, 0, 0x4002],
    ['feature 0', 0, 0, 0, 0x4002],
    ['command set profile 0', 0x19, 0, 0, 0],
    ['command set profile 1', 0x19, 1, 0, 0x402b],
  ];
  for (const [name, fid, cdw11, nsid, status] of cases) {
    it(`answers ${name} with 0x${status.toString(16)}`, () => {
      expect(setFeature(started().driver, fid, cdw11, nsid).status).toBe(status);
    });
  }
  it('saves nothing', () => {
    const { driver } = started();
    expect(driver.admin({ opcode: 9, cdw10: 0x80000001 }).status).toBe(0x410d);
  });
  it('grants all queues, and not once there are some', () => {
    const { driver } = started();
    expect(setFeature(driver, 7, 0x30003)).toMatchObject({ status: 0, dw0: 0x3f003f });
    driver.createQueuePair(1, 8);
    expect(setFeature(driver, 7, 0x30003).status).toBe(0x400c);
  });
  it('changes what Get Features reads, until the controller is reset', () => {
    const { driver } = started();
    setFeature(driver, 6, 0);
    setFeature(driver, 4, 0x150);
    setFeature(driver, 4, 0x100020 | 0);
    setFeature(driver, 5, 0x1234, 1);
    const values = () => [
      getFeature(driver, 6).dw0,
      getFeature(driver, 4).dw0,
      getFeature(driver, 4, 0x100000).dw0,
      getFeature(driver, 5, 0, 1).dw0,
    ];
    expect(values()).toEqual([0, 0x150, 0x20, 0x1234]);
    expect(getFeature(driver, 4, 0, 0, 1).dw0).toBe(0x157);
    driver.write32(0x14, 0x460060);
    driver.enable();
    expect(values().slice(0, 3)).toEqual([1, 0x157, 0]);
  });
  it('runs the timestamp on with virtual time', () => {
    const { driver } = started();
    driver.view.setUint32(DATA, 0xfd2a10b0, true);
    driver.view.setUint32(DATA + 4, 0x1a1, true);
    setFeature(driver, 14, 0);
    driver.host.advance(5_500_000);
    getFeature(driver, 14);
    expect(driver.view.getUint32(DATA, true)).toBe(0xfd2a10b5);
    expect(driver.view.getUint32(DATA + 4, true)).toBe(0x201a1);
  });
  it('keeps the host behaviour it was given', () => {
    const { driver } = started();
    driver.host.ram[DATA] = 1;
    setFeature(driver, 22, 0);
    driver.host.ram.fill(0xee, DATA, DATA + 512);
    getFeature(driver, 22);
    expect([driver.host.ram[DATA], driver.host.ram[DATA + 1], driver.host.ram[DATA + 511]]).toEqual([1, 0, 0]);
  });
});

describe('log pages', () => {
  it('count what was read and written', () => {
    const { driver } = started();
    driver.createQueuePair(1, 8);
    driver.submit(1, { opcode: 2, nsid: 1, prp1: DATA, cdw12: 7 });
    driver.submit(1, { opcode: 1, nsid: 1, prp1: DATA, cdw12: 0 });
    driver.submit(1, { opcode: 1, nsid: 1, prp1: DATA, cdw12: 0 });
    getLog(driver, 2, 512);
    const log = nvme.NvmeSmartLog.decode(driver.host.ram, DATA);
    expect([log.dataUnitsRead[0], log.dataUnitsWritten[0], log.hostReads[0], log.hostWrites[0]]).toEqual([1, 1, 1, 2]);
    expect(log.temperature).toEqual([323 & 0xff, 323 >> 8]);
  });
  it('keep the last error', () => {
    const { driver } = started();
    driver.createQueuePair(1, 8);
    const cid = driver.put(1, { opcode: 2, nsid: 1, prp1: DATA, cdw10: 5000 });
    driver.ring(1);
    driver.host.pump();
    getLog(driver, 1, 64);
    const entry = nvme.NvmeErrorSlot.decode(driver.host.ram, DATA);
    expect(entry).toMatchObject({ errorCount: 1, sqid: 1, cmdid: cid, statusField: 0x4080 << 1, lba: 5000, nsid: 1 });
  });
  it('refuse an offset at or past their end, or not dword aligned, and cut a longer length', () => {
    const { driver } = started();
    expect([getLog(driver, 2, 64, 512), getLog(driver, 2, 64, 600), getLog(driver, 2, 64, 2)]).toEqual([
      0x4002, 0x4002, 0x4002,
    ]);
    driver.host.ram.fill(0xee, DATA, DATA + 4096);
    expect(getLog(driver, 2, 64, 508)).toBe(0);
    expect([driver.host.ram[DATA + 3], driver.host.ram[DATA + 4]]).toEqual([0, 0xee]);
    expect([getLog(driver, 2, 512, 0, 1), getLog(driver, 2, 512, 0, 2)]).toEqual([0, 0x400b]);
  });
  it('name the firmware slot', () => {
    const { driver } = started();
    getLog(driver, 3, 512);
    expect(nvme.NvmeFwSlotInfoLog.decode(driver.host.ram, DATA)).toMatchObject({ frs1: '1.0     ' });
  });
});

describe('asynchronous events', () => {
  const request = (driver: RegisterDriver): void => {
    driver.put(0, { opcode: 12 });
    driver.ring(0);
    driver.host.pump();
  };
  it('are limited to AERL + 1 requests', () => {
    const { driver } = started();
    for (let i = 0; i < 4; i++) request(driver);
    expect(driver.take(0)).toBe(null);
    expect(driver.admin({ opcode: 12 }).status).toBe(0x105);
  });
  it('tell of a namespace that changed, if the host asked, and the log names it', () => {
    const { driver, fn } = started();
    request(driver);
    fn.resizeNamespace(1, 1 << 19);
    driver.host.pump();
    expect(driver.take(0)).toBe(null);
    setFeature(driver, 11, 0x100);
    fn.resizeNamespace(1, 1 << 18);
    driver.host.pump();
    expect(driver.takeAll(0).map((entry) => entry.dw0)).toEqual([0x40002]);
    getLog(driver, 4, 4096);
    expect([driver.view.getUint32(DATA, true), driver.view.getUint32(DATA + 4, true)]).toEqual([1, 0]);
    getLog(driver, 4, 4096);
    expect(driver.view.getUint32(DATA, true)).toBe(0);
    driver.admin({ opcode: 6, nsid: 1, cdw10: 0, prp1: DATA });
    expect(driver.view.getUint32(DATA, true)).toBe(512);
  });
  it('tell of a temperature over its threshold', () => {
    const { driver, fn } = started();
    setFeature(driver, 11, 2);
    request(driver);
    fn.setTemperatureKelvin(0x157);
    driver.host.pump();
    expect(driver.takeAll(0).map((entry) => entry.dw0)).toEqual([0x20101]);
    getLog(driver, 2, 512);
    expect(driver.host.ram[DATA]).toBe(2);
  });
  it('wait for a request, and an abort takes the request away', () => {
    const { driver, fn } = started();
    setFeature(driver, 11, 4);
    fn.setCriticalWarning(4);
    request(driver);
    expect(driver.takeAll(0).map((entry) => entry.dw0)).toEqual([0x20001]);
    const cid = driver.put(0, { opcode: 12 });
    driver.ring(0);
    driver.host.pump();
    driver.put(0, { opcode: 8, cdw10: cid << 16 });
    driver.ring(0);
    driver.host.pump();
    expect(driver.takeAll(0).map((entry) => [entry.status, entry.dw0])).toEqual([
      [7, 0],
      [0, 0],
    ]);
  });
});

describe('Format NVM', () => {
  it('changes the block size and empties the medium', () => {
    const { driver } = started();
    const format = (cdw10: number, nsid = 1): number => driver.admin({ opcode: 0x80, nsid, cdw10 }).status;
    expect([format(15), format(0x20), format(0, 2), format(0, 0)]).toEqual([0x410a, 0x410a, 0x4002, 0x400b]);
    driver.createQueuePair(1, 8);
    driver.host.ram.fill(9, DATA, DATA + 4096);
    driver.submit(1, { opcode: 1, nsid: 1, prp1: DATA, cdw12: 7 });
    expect(format(4)).toBe(0);
    expect(driver.submit(1, { opcode: 2, nsid: 1, prp1: DATA, cdw12: 0 }).status).toBe(0);
    expect(driver.host.ram.subarray(DATA, DATA + 4096).every((byte) => byte === 0)).toBe(true);
    expect(driver.submit(1, { opcode: 2, nsid: 1, prp1: DATA, cdw10: 256 }).status).toBe(0x4080);
  });
});

describe('a description', () => {
  const refusals: [Partial<NvmeControllerDescription>, string][] = [
    [{ mdts: 16 }, 'mdts 16 is not allowed: it must be a whole number from 0 to 15'],
    [{ serial: 'é' }, 'serial "é" is not allowed: it must be at most 20 printable ASCII characters'],
    [
      { namespaces: [{ sizeBytes: 1000 }] },
      'namespaces[0].sizeBytes 1000 is not allowed: it must be a multiple of 512',
    ],
    [
      { namespaces: [{ sizeBytes: 1 << 20, metadataBytes: 24 as 8 }] },
      'namespaces[0].metadataBytes 24 is not allowed: it must be 0, 8, 16 or 64',
    ],
    [
      { namespaces: [{ sizeBytes: 1 << 20, protectionType: 1 }] },
      'namespaces[0].protectionType 1 is not allowed: it must be 0 without metadata: protection information takes 8 bytes of them',
    ],
    [
      { namespaces: [{ sizeBytes: 512, metadataBytes: 8 }] },
      'namespaces[0].sizeBytes 512 is not allowed: it must be a whole number from 520 to 9007199254740991',
    ],
    [
      {
        namespaces: [
          { nsid: 1, sizeBytes: 512 },
          { nsid: 1, sizeBytes: 512 },
        ],
      },
      'namespaces[1].nsid 1 is not allowed: it must be a number no other namespace has',
    ],
    [
      { namespaces: [{ sizeBytes: 512, uuid: 'x' }] },
      'namespaces[0].uuid "x" is not allowed: it must be 32 hexadecimal digits with dashes',
    ],
    [
      { latency: { kind: 'fixed', readNs: -1 } },
      'latency.readNs -1 is not allowed: it must be a whole number from 0 to 9007199254740991',
    ],
  ];
  for (const [description, sentence] of refusals) {
    it(`is refused with: ${sentence}`, () => {
      expect(() => createNvmeController({ namespaces: [], ...description })).toThrow(new RangeError(sentence));
    });
  }
  it('gives a namespace its identifiers', () => {
    const { driver } = started({
      namespaces: [{ sizeBytes: 512, uuid: '6c3f5e0a-1111-4222-8333-444455556666', eui64: '0011223344556677' }],
    });
    driver.admin({ opcode: 6, nsid: 1, cdw10: 3, prp1: DATA });
    const list = nvme.decodeNsIdDescriptors(driver.host.ram.subarray(DATA, DATA + 4096));
    expect(list.map(({ nidt, id }) => [nidt, id.length, id[0]])).toEqual([
      [3, 16, 0x6c],
      [1, 8, 0],
      [4, 1, 0],
    ]);
  });
  it('of another layout moves the MSI-X table behind the doorbells', () => {
    const fn = createNvmeController({ namespaces: [], dstrd: 4, maxIoQueuePairs: 128, msixVectors: 512 });
    const driver = new RegisterDriver(fn, { ramBytes: 1 << 21, dstrd: 4 });
    driver.enable();
    driver.enableMsix();
    driver.createQueuePair(1, 8, 7);
    expect(driver.host.messages.length).toBeGreaterThan(0);
  });
});
