// The controller as its registers, queues and interrupts show it.
import * as nvme from '@nvme-stack/nvme-protocol';
import { pciFunctionContract } from '@nvme-stack/pci-function/testing';
import { describe, expect, it } from 'vitest';
import { createNvmeController, type NvmeControllerDeps, type NvmeControllerDescription } from './index.js';
import { RegisterDriver } from './testing.js';

type Options = Partial<NvmeControllerDescription>;

function build(
  options: Options = {},
  deps: NvmeControllerDeps = {},
): { driver: RegisterDriver; fn: ReturnType<typeof createNvmeController> } {
  const fn = createNvmeController({ namespaces: [{ sizeBytes: 1 << 20 }], ...options }, deps);
  return { driver: new RegisterDriver(fn, { ramBytes: 1 << 21, dstrd: options.dstrd ?? 0 }), fn };
}

function started(options: Options = {}, deps: NvmeControllerDeps = {}) {
  const built = build(options, deps);
  built.driver.enable();
  return built;
}

const DNR = 0x4000;
const DATA = 0x40000;
const { read: READ } = nvme.NvmeNvmOpcode;

pciFunctionContract({ describe, it, expect }, 'the controller', () => createNvmeController({ namespaces: [] }));

describe('registers', () => {
  it('show what QEMU 7.2 shows', () => {
    const { driver } = build();
    expect(driver.read32(0)).toBe(0x0f0107ff);
    expect(driver.read32(4)).toBe(0x00401820);
    expect(driver.read32(8)).toBe(0x00010400);
    expect(driver.fn.barRead(0, 8, 2)).toBe(0x400);
    expect(driver.read32(6)).toBe(0x4000040);
    expect(driver.fn.barRead(0, 1, 1)).toBe(0x07);
    expect(driver.read32(0x38)).toBe(0);
    expect(driver.read32(0x1000)).toBe(0);
    expect(driver.read32(0x1f00)).toBe(0);
  });
  it('accept the two-step enable of Linux and become ready', () => {
    const { driver } = build();
    driver.write32(0x14, 0);
    driver.write32(0x14, 0x460060);
    expect(driver.enable(0x460061)).toBe(1);
    expect(driver.read32(0x14)).toBe(0x460061);
  });
  const cases: [string, number, Record<number, number>, number][] = [
    ['MPS above MPSMAX', 0x460281, {}, 2],
    ['CSS 7, admin only', 0x460071, {}, 1],
    ['CSS 1', 0x460011, {}, 2],
    ['IOSQES 5', 0x450001, {}, 2],
    ['IOCQES 3', 0x360001, {}, 2],
    ['no entry sizes', 0x000001, {}, 2],
    ['ASQ misaligned', 0x460001, { 40: 0x1004 }, 2],
    ['ASQ not aligned to a 64 KiB page', 0x460201, {}, 2],
    ['ACQ misaligned', 0x460001, { 48: 0x2010 }, 2],
    ['AQA 0', 0x460001, { 36: 0 }, 2],
    ['ACQS 0', 0x460001, { 36: 0x7 }, 2],
    ['AMS 1', 0x460801, {}, 1],
  ];
  for (const [name, cc, writes, csts] of cases) {
    it(`answer CC.EN with CSTS ${csts} for ${name}`, () => {
      const { driver } = build();
      driver.write32(0x24, 0x70007);
      driver.write32(0x28, 0x1000);
      driver.write32(0x30, 0x2000);
      for (const [offset, value] of Object.entries(writes)) driver.write32(Number(offset), value);
      driver.write32(0x14, cc);
      expect(driver.read32(0x1c)).toBe(csts);
    });
  }
  it('keep AQA while enabled, over a reset and over FLR', () => {
    const { driver } = started();
    const aqa = driver.read32(0x24);
    driver.write32(0x24, 0x70007);
    expect(driver.read32(0x24)).toBe(aqa);
    driver.write32(0x14, 0x460060);
    expect(driver.read32(0x24)).toBe(aqa);
    expect(driver.read32(0x1c)).toBe(0);
    driver.enable();
    driver.fn.configWrite(0x88, 0x8000, 2);
    expect([driver.read32(0x14), driver.read32(0x1c), driver.read32(0x24)]).toEqual([0, 0, aqa]);
  });
  it('shut down', () => {
    const { driver } = started();
    driver.write32(0x14, 0x464061);
    expect(driver.read32(0x1c)).toBe(9);
    driver.write32(0x14, 0x460060);
    expect(driver.read32(0x1c)).toBe(0);
  });
  it('become ready, and complete a shutdown, after the delays described', () => {
    const { driver } = build({ readyDelayNs: 5000, shutdownDelayNs: 7000 });
    expect(driver.enable()).toBe(0);
    driver.host.advance(4999);
    expect(driver.read32(0x1c)).toBe(0);
    driver.host.advance(1);
    expect(driver.read32(0x1c)).toBe(1);
    driver.write32(0x14, 0x464061);
    expect(driver.read32(0x1c)).toBe(5);
    driver.host.advance(7000);
    expect(driver.read32(0x1c)).toBe(9);
  });
  it('do not become ready when disabled before the delay is over', () => {
    const { driver } = build({ readyDelayNs: 5000 });
    driver.enable();
    driver.write32(0x14, 0x460060);
    driver.host.advance(10000);
    expect(driver.read32(0x1c)).toBe(0);
  });
  it('reset the subsystem on the magic value, if the description says so', () => {
    const { driver } = started({ subsystemReset: true });
    expect((driver.read32(4) >>> 4) & 1).toBe(1);
    driver.write32(0x20, 0x12345678);
    expect(driver.read32(0x1c)).toBe(1);
    driver.write32(0x20, 0x4e564d65);
    expect([driver.read32(0x1c), driver.read32(0x14)]).toEqual([0x10, 0]);
    driver.write32(0x1c, 0x10);
    expect(driver.read32(0x1c)).toBe(0);
  });
  it('go fatal when the admin queue cannot be read', () => {
    const { driver } = started();
    driver.fn.configWrite(4, 2, 2);
    driver.put(0, { opcode: 6, cdw10: 1, prp1: DATA });
    driver.ring(0);
    driver.host.pump();
    expect(driver.read32(0x1c) & 2).toBe(2);
  });
});

/** A status as the oracle writes it: `1/02 DNR`. */
function text(status: number): string {
  const code = (status & 0xff).toString(16).padStart(2, '0');
  return `${(status >> 8) & 7}/${code}${(status & DNR) !== 0 ? ' DNR' : ''}`;
}

describe('I/O queue commands', () => {
  const CREATE_SQ = 1;
  const CREATE_CQ = 5;
  const DELETE_SQ = 0;
  const DELETE_CQ = 4;
  const cq = (driver: RegisterDriver, qid: number, size: number, cdw11 = 1, prp1 = 0x10000): string =>
    text(driver.admin({ opcode: CREATE_CQ, cdw10: ((size << 16) | qid) >>> 0, cdw11, prp1 }).status);
  const sq = (driver: RegisterDriver, qid: number, size: number, cqid: number, flags = 1, prp1 = 0x12000): string =>
    text(
      driver.admin({ opcode: CREATE_SQ, cdw10: ((size << 16) | qid) >>> 0, cdw11: ((cqid << 16) | flags) >>> 0, prp1 })
        .status,
    );
  const del = (driver: RegisterDriver, opcode: number, qid: number): string =>
    text(driver.admin({ opcode, cdw10: qid }).status);

  it('refuse each error of Create I/O Completion Queue', () => {
    const { driver } = started();
    expect(cq(driver, 0, 15)).toBe('1/01 DNR');
    expect(cq(driver, 65, 15)).toBe('1/01 DNR');
    expect(cq(driver, 0xffff, 15)).toBe('1/01 DNR');
    expect(cq(driver, 2, 0)).toBe('1/02 DNR');
    expect(cq(driver, 2, 0x800)).toBe('1/02 DNR');
    expect(cq(driver, 2, 0x7ff)).toBe('0/00');
    expect(cq(driver, 2, 15)).toBe('1/01 DNR');
    expect(del(driver, DELETE_CQ, 2)).toBe('0/00');
    expect(cq(driver, 2, 15, 1, 0x10004)).toBe('0/13 DNR');
    expect(cq(driver, 2, 15, 0)).toBe('0/02 DNR');
    expect(cq(driver, 2, 15, (65 << 16) | 3)).toBe('1/08 DNR');
    expect(cq(driver, 2, 15, (1 << 16) | 3)).toBe('1/08 DNR');
    driver.enableMsix();
    expect(cq(driver, 2, 15, (1 << 16) | 3)).toBe('0/00');
    expect(cq(driver, 3, 15, (65 << 16) | 3)).toBe('1/08 DNR');
  });
  it('refuse each error of Create I/O Submission Queue', () => {
    const { driver } = started();
    expect(cq(driver, 2, 15)).toBe('0/00');
    expect(sq(driver, 2, 15, 0)).toBe('1/00 DNR');
    expect(sq(driver, 2, 15, 3)).toBe('1/00 DNR');
    expect(sq(driver, 2, 15, 0xffff)).toBe('1/00 DNR');
    expect(sq(driver, 0, 15, 2)).toBe('1/01 DNR');
    expect(sq(driver, 65, 15, 2)).toBe('1/01 DNR');
    expect(sq(driver, 2, 0, 2)).toBe('1/02 DNR');
    expect(sq(driver, 2, 0x800, 2)).toBe('1/02 DNR');
    expect(sq(driver, 2, 15, 2, 1, 0x12010)).toBe('0/13 DNR');
    expect(sq(driver, 2, 15, 2, 0)).toBe('0/02 DNR');
    expect(sq(driver, 2, 15, 2)).toBe('0/00');
    expect(sq(driver, 2, 15, 2)).toBe('1/01 DNR');
  });
  it('refuse each error of the deletes', () => {
    const { driver } = started();
    cq(driver, 2, 15);
    sq(driver, 2, 15, 2);
    expect(del(driver, DELETE_CQ, 2)).toBe('1/0c');
    for (const qid of [0, 5, 0xffff]) expect(del(driver, DELETE_SQ, qid)).toBe('1/01 DNR');
    for (const qid of [0, 5, 0xffff]) expect(del(driver, DELETE_CQ, qid)).toBe('1/00 DNR');
    expect(del(driver, DELETE_SQ, 2)).toBe('0/00');
    expect(del(driver, DELETE_CQ, 2)).toBe('0/00');
  });
  it('end commands still outstanding as aborted before the deletion completes', () => {
    const { driver } = started({ latency: { kind: 'fixed', readNs: 1000 } });
    driver.createQueuePair(1, 16);
    const cid = driver.put(1, { opcode: READ, nsid: 1, prp1: DATA });
    driver.ring(1);
    driver.host.pump();
    expect(driver.take(1)).toBe(null);
    expect(del(driver, DELETE_SQ, 1)).toBe('0/00');
    expect(driver.take(1)).toMatchObject({ cid, status: 8 });
    driver.host.advance(5000);
    expect(driver.take(1)).toBe(null);
    expect(del(driver, DELETE_CQ, 1)).toBe('0/00');
  });
});

describe('completion queues', () => {
  // @acceptance 113
  it('flip the phase once per pass, and report the submission head', () => {
    const { driver } = started({}, {});
    driver.createQueuePair(1, 5);
    for (let i = 0; i < 23; i++) {
      const completion = driver.submit(1, { opcode: 0, nsid: 1 });
      expect([completion.status, completion.sqid, completion.sqhd]).toEqual([0, 1, (i + 1) % 5]);
    }
  });
  it('are never overrun: what does not fit waits for the head doorbell', () => {
    const { driver } = started();
    driver.createQueuePair(1, 4);
    const cids: number[] = [];
    for (let batch = 0; batch < 2; batch++) {
      for (let i = 0; i < 3; i++) cids.push(driver.put(1, { opcode: 0, nsid: 1 }));
      driver.ring(1);
      driver.host.pump();
    }
    const first = [driver.take(1), driver.take(1), driver.take(1)];
    expect(first.map((entry) => entry?.cid)).toEqual(cids.slice(0, 3));
    expect(driver.take(1)).toBe(null);
    driver.acknowledge(1);
    driver.host.pump();
    expect(driver.takeAll(1).map((entry) => entry.cid)).toEqual(cids.slice(3));
    driver.host.pump();
    expect(driver.submit(1, { opcode: 0, nsid: 1 }).status).toBe(0);
  });
  it('hold back a queue whose completions are not consumed, so that outstanding commands stay bounded', () => {
    const { driver, fn } = started();
    driver.createQueuePair(1, 4);
    for (let round = 0; round < 10; round++) {
      for (let i = 0; i < 3; i++) driver.put(1, { opcode: 0, nsid: 1 });
      driver.ring(1);
      driver.host.pump();
    }
    expect(fn.outstandingCommands).toBeLessThanOrEqual(4);
  });
  it('send one interrupt per batch, to the vector of the queue', () => {
    const { driver } = started();
    driver.enableMsix();
    driver.createQueuePair(1, 64, 3);
    driver.host.messages.length = 0;
    for (let i = 0; i < 32; i++) driver.put(1, { opcode: 0, nsid: 1 });
    const { dmaReads, dmaWrites } = driver.host;
    driver.ring(1);
    expect(driver.host.messages.length).toBe(0);
    expect(driver.take(1)).toBe(null);
    driver.host.pump();
    expect(driver.host.messages).toEqual([{ address: 0xfee00000, data: 3 }]);
    expect([driver.host.dmaReads - dmaReads, driver.host.dmaWrites - dmaWrites]).toEqual([1, 1]);
    expect(driver.takeAll(1).length).toBe(32);
  });
  it('keep an edge while their vector is masked', () => {
    const { driver } = started();
    driver.enableMsix();
    driver.createQueuePair(1, 16, 2);
    driver.host.messages.length = 0;
    driver.fn.barWrite(0, 0x2000 + 2 * 16 + 12, 1, 4);
    driver.submit(1, { opcode: 0, nsid: 1 });
    expect([driver.host.messages.length, driver.read32(0x3000)]).toEqual([0, 4]);
    driver.fn.barWrite(0, 0x2000 + 2 * 16 + 12, 0, 4);
    expect([driver.host.messages.length, driver.read32(0x3000)]).toEqual([1, 0]);
  });
  it('hold the INTx pin until they are consumed, behind INTMS', () => {
    const { driver } = started();
    driver.put(0, { opcode: 6, cdw10: 1, prp1: DATA });
    driver.ring(0);
    driver.host.pump();
    expect(driver.host.intxLevel).toBe(true);
    driver.write32(0x0c, 1);
    expect([driver.host.intxLevel, driver.read32(0x10)]).toEqual([false, 1]);
    driver.write32(0x10, 1);
    expect(driver.host.intxLevel).toBe(true);
    driver.takeAll(0);
    expect(driver.host.intxLevel).toBe(false);
  });
});

describe('doorbells', () => {
  const armed = () => {
    const built = started();
    built.driver.createQueuePair(1, 16);
    const cid = built.driver.put(0, { opcode: 12 });
    built.driver.ring(0);
    built.driver.host.pump();
    return { ...built, cid };
  };
  const eventAfter = (offset: number, value: number): number | null => {
    const { driver } = armed();
    driver.write32(offset, value);
    driver.host.pump();
    return driver.take(0)?.dw0 ?? null;
  };
  it('report an invalid value', () => {
    expect(eventAfter(0x1008, 16)).toBe(0x10100);
    expect(eventAfter(0x1008, 0xffff)).toBe(0x10100);
    expect(eventAfter(0x100c, 16)).toBe(0x10100);
  });
  it('reject a completion head beyond the tail', () => {
    expect(eventAfter(0x100c, 5)).toBe(0x10100);
  });
  it('report a queue that is not there', () => {
    expect(eventAfter(0x1028, 1)).toBe(0x10000);
    expect(eventAfter(0x102c, 1)).toBe(0x10000);
    expect(eventAfter(0x1000 + 65 * 8, 1)).toBe(0x10000);
  });
  it('ignore other widths, misalignment and repetition', () => {
    const { driver } = armed();
    driver.fn.barWrite(0, 0x1008, 3, 2);
    driver.fn.barWrite(0, 0x100a, 3, 4);
    driver.write32(0x1008, 0);
    driver.host.pump();
    expect(driver.take(0)).toBe(null);
  });
  it('report a type once until its log page is read', () => {
    const { driver } = armed();
    for (let i = 0; i < 2; i++) {
      driver.put(0, { opcode: 12 });
      driver.ring(0);
      driver.host.pump();
    }
    driver.write32(0x1028, 1);
    driver.write32(0x1028, 1);
    driver.host.pump();
    expect(driver.takeAll(0).map((entry) => entry.dw0)).toEqual([0x10000]);
    driver.admin({ opcode: 2, nsid: 0xffffffff, cdw10: 0x8001 | (15 << 16), prp1: DATA });
    driver.write32(0x1028, 1);
    driver.host.pump();
    expect(driver.takeAll(0)).toEqual([]);
    driver.admin({ opcode: 2, nsid: 0xffffffff, cdw10: 1 | (15 << 16), prp1: DATA });
    driver.write32(0x1028, 1);
    driver.host.pump();
    expect(driver.takeAll(0).map((entry) => entry.dw0)).toEqual([0x10000]);
  });
  it('follow the doorbell stride', () => {
    const { driver } = started({ dstrd: 2 });
    expect(driver.read32(4) & 0xf).toBe(2);
    driver.createQueuePair(1, 8);
    expect(driver.submit(1, { opcode: 0, nsid: 1 }).status).toBe(0);
  });
});
