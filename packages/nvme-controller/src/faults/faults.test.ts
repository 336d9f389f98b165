// What a fault plan does to commands, and which of them: entries and data as a host meets them.
import * as nvme from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { messages, ready, rw, tried } from '../fixtures/fault-bench.js';
import { createNvmeController, type FaultRule } from '../index.js';
import { RegisterDriver } from '../testing.js';

const { read: READ, write: WRITE } = nvme.NvmeNvmOpcode;
const { identify: IDENTIFY, abortCmd: ABORT, getFeatures: GET_FEATURES } = nvme.NvmeAdminOpcode;
const DATA = 0x40000;
const DNR = 0x4000;

describe('a command', () => {
  it('that hangs is not executed and can be aborted', () => {
    const at = ready({ kind: 'hang', command: 'write', nth: 1 });
    at.driver.host.ram.fill(7, DATA, DATA + 512);
    expect(tried(at, { ...rw(WRITE, 0), cid: 9 } as never)).toEqual([]);
    at.driver.host.advance(1e12);
    expect(at.driver.takeAll(1)).toEqual([]);
    expect(at.fn.outstandingCommands).toBe(1);
    expect(at.driver.admin({ opcode: ABORT, cdw10: (9 << 16) | 1 }).dw0).toBe(0);
    expect(at.driver.takeAll(1)[0]).toMatchObject({ cid: 9, status: nvme.NVME_SC_ABORT_REQ });
    tried(at, rw(READ, 0));
    expect(at.driver.host.ram[DATA]).toBe(0);
  });

  it('whose completion is dropped was executed, and is past aborting', () => {
    const at = ready({ kind: 'drop-completion', command: 'write' });
    at.driver.host.ram.fill(7, DATA, DATA + 512);
    expect(tried(at, { ...rw(WRITE, 0), cid: 9 } as never)).toEqual([]);
    expect(at.fn.outstandingCommands).toBe(0);
    expect(at.driver.admin({ opcode: ABORT, cdw10: (9 << 16) | 1 }).dw0).toBe(1);
    at.driver.host.ram.fill(0, DATA, DATA + 512);
    expect(tried(at, rw(READ, 0)).length).toBe(1);
    expect(at.driver.host.ram[DATA]).toBe(7);
  });

  it('that is delayed ends that much later', () => {
    const at = ready({ kind: 'delay', queue: 'io', delayNs: 5000 });
    expect(tried(at, rw(READ, 0))).toEqual([]);
    at.driver.host.advance(4999);
    expect(at.driver.takeAll(1)).toEqual([]);
    at.driver.host.advance(1);
    expect(at.driver.takeAll(1).length).toBe(1);
  });

  it('ends with the status of the plan without being executed; 0 is a lost write', () => {
    const at = ready(
      { kind: 'status', command: 'write', status: 0, nth: 1 },
      { kind: 'status', command: 'read', status: 0x4281, firstLba: 8, lastLba: 15 },
    );
    at.driver.host.ram.fill(7, DATA, DATA + 512);
    expect(tried(at, rw(WRITE, 0))[0].status).toBe(0);
    expect(tried(at, rw(READ, 0))[0].status).toBe(0);
    expect(at.driver.host.ram[DATA]).toBe(0);
    expect(tried(at, rw(READ, 16))[0].status).toBe(0);
    expect(tried(at, rw(READ, 4, 5))[0].status).toBe(0x4281);
    expect(tried(at, rw(READ, 15))[0].status).toBe(0x4281);
    expect(tried(at, rw(READ, 0, 8))[0].status).toBe(0);
  });

  it('meets media errors, which SMART counts', () => {
    const at = ready({ kind: 'media-error', firstLba: 100, lastLba: 100, dnr: true });
    expect(tried(at, rw(READ, 100))[0].status).toBe(nvme.NVME_SC_READ_ERROR | DNR);
    expect(tried(at, rw(WRITE, 96, 8))[0].status).toBe(nvme.NVME_SC_WRITE_FAULT | DNR);
    expect(tried(at, rw(READ, 101))[0].status).toBe(0);
    expect(at.fn.counters.mediaErrors).toBe(2);
    expect(at.fn.counters.errorLogEntries).toBe(2);
  });

  it.each<[Partial<FaultRule>, object]>([
    [{ status: 0x281 }, { status: 0x281 }],
    [{ dw0: 0xdeadbeef }, { dw0: 0xdeadbeef }],
    [{ cid: 77 }, { cid: 77 }],
    [{ cidXor: 0x1000 }, { cid: 0x1009 }],
    [{ sqid: 5 }, { sqid: 5 }],
    [{ sqhd: 999 }, { sqhd: 999 }],
  ])('is executed, and its entry says %o', (fields, expected) => {
    const at = ready({ kind: 'completion', command: 'read', nth: 1, ...fields });
    const entry = tried(at, { ...rw(READ, 0), cid: 9 } as never)[0];
    expect(entry).toEqual({ dw0: 0, sqhd: 1, sqid: 1, cid: 9, status: 0, ...expected });
    expect(at.fn.counters.hostReadCommands).toBe(1);
    expect(tried(at, { ...rw(READ, 0), cid: 10 } as never)[0]).toEqual({
      dw0: 0,
      sqhd: 2,
      sqid: 1,
      cid: 10,
      status: 0,
    });
  });

  it('ends with an entry of the wrong phase, which does not look new', () => {
    const at = ready({ kind: 'completion', command: 'read', invertPhase: true, nth: 1 });
    expect(tried(at, rw(READ, 0))).toEqual([]);
    expect(messages(at).at(-1)).toBe(1);
    const { cq } = at.driver.queue(1);
    expect(at.driver.view.getUint32(cq + 12, true) & 0xffff).not.toBe(0);
  });

  it('ends more than once', () => {
    const at = ready({ kind: 'duplicate', command: 'read', nth: 1, count: 2 });
    const entries = tried(at, { ...rw(READ, 0), cid: 9 } as never);
    expect(entries.map(({ cid, status }) => [cid, status])).toEqual([
      [9, 0],
      [9, 0],
      [9, 0],
    ]);
    expect(at.fn.outstandingCommands).toBe(0);
    for (let i = 0; i < 20; i++) expect(tried(at, rw(READ, 0)).length).toBe(1);
  });

  it('delivers altered data, and leaves the medium alone', () => {
    const at = ready({ kind: 'corrupt', command: 'read', nth: 1, offsetBytes: 510, lengthBytes: 4, xor: 0x81 });
    at.driver.host.ram.fill(0x10, DATA, DATA + 1024);
    expect(tried(at, rw(WRITE, 0, 2))[0].status).toBe(0);
    tried(at, rw(READ, 0, 2));
    expect([...at.driver.host.ram.slice(DATA + 509, DATA + 515)]).toEqual([0x10, 0x91, 0x91, 0x91, 0x91, 0x10]);
    tried(at, rw(READ, 0, 2));
    expect(at.driver.host.ram.slice(DATA, DATA + 1024).every((byte) => byte === 0x10)).toBe(true);
  });

  it('stores altered data, and leaves the host alone', () => {
    const at = ready({ kind: 'corrupt', command: 'write', replace: [1, 2, 3], offsetBytes: 4 });
    at.driver.host.ram.fill(0x10, DATA, DATA + 512);
    tried(at, rw(WRITE, 0));
    expect(at.driver.host.ram[DATA + 4]).toBe(0x10);
    tried(at, rw(READ, 0));
    expect([...at.driver.host.ram.slice(DATA + 3, DATA + 8)]).toEqual([0x10, 1, 2, 3, 0x10]);
  });

  it('has its Identify data rewritten', () => {
    const at = ready({ kind: 'corrupt', command: 'identify', cns: 1, offsetBytes: 77, replace: [1] });
    at.driver.admin({ opcode: IDENTIFY, prp1: DATA, cdw10: 1 });
    expect(at.driver.host.ram[DATA + 77]).toBe(1);
    at.driver.admin({ opcode: IDENTIFY, nsid: 1, prp1: DATA, cdw10: 0 });
    expect(at.driver.host.ram[DATA + 77]).toBe(0);
  });

  it.each([0, 300, 512, 1023])('stops transferring after %i bytes', (afterBytes) => {
    const at = ready({ kind: 'transfer-error', command: 'read', afterBytes });
    at.driver.host.ram.fill(0x10, DATA, DATA + 1024);
    tried(at, rw(WRITE, 0, 2));
    at.driver.host.ram.fill(0, DATA, DATA + 1024);
    expect(tried(at, rw(READ, 0, 2))[0].status).toBe(nvme.NVME_SC_DATA_XFER_ERROR | DNR);
    expect(at.driver.host.ram.slice(DATA, DATA + 1024).indexOf(0)).toBe(afterBytes);
  });
});

describe('a rule', () => {
  it('counts: the nth match, so many times, or every one', () => {
    const at = ready(
      { kind: 'status', command: 'read', status: 1, nth: 3 },
      { kind: 'status', command: 'write', status: 2, nth: 2, times: 2 },
    );
    const statuses = (opcode: number) => [1, 2, 3, 4, 5].map(() => tried(at, rw(opcode, 0))[0].status);
    expect(statuses(READ)).toEqual([0, 0, 1, 0, 0]);
    expect(statuses(WRITE)).toEqual([0, 2, 2, 0, 0]);
    expect(at.fn.faults.rules.map(({ matched, acted }) => [matched, acted])).toEqual([
      [5, 1],
      [5, 2],
    ]);
  });

  it('acts with a probability drawn from its seed', () => {
    const run = (seed: number): string => {
      const fn = createNvmeController({
        namespaces: [{ sizeBytes: 1 << 20 }],
        faults: { seed, faults: [{ kind: 'status', queue: 'io', status: 6, probability: 0.25 }] },
      });
      const driver = new RegisterDriver(fn, { ramBytes: 1 << 21 });
      driver.enable();
      driver.createQueuePair(1, 8);
      let text = '';
      for (let i = 0; i < 400; i++) text += driver.submit(1, rw(READ, 0)).status === 6 ? 'x' : '.';
      return text;
    };
    const first = run(1);
    expect(run(1)).toBe(first);
    expect(run(2)).not.toBe(first);
    const share = first.split('x').length - 1;
    expect(share).toBeGreaterThan(60);
    expect(share).toBeLessThan(140);
  });

  it('matches queue, feature, log page and opcode', () => {
    const at = ready(
      { kind: 'status', fid: 7, status: 0x10 },
      { kind: 'status', qid: 1, opcode: READ, status: 0x11 },
      { kind: 'status', queue: 'admin', opcode: READ, lid: 2, status: 0x12 },
    );
    const { driver } = at;
    expect(driver.admin({ opcode: GET_FEATURES, cdw10: 7 }).status).toBe(0x10);
    expect(driver.admin({ opcode: GET_FEATURES, cdw10: 11 }).status).toBe(0);
    expect(tried(at, rw(READ, 0))[0].status).toBe(0x11);
    expect(driver.admin({ opcode: 2, nsid: 0xffffffff, prp1: DATA, cdw10: 0x7f0002 }).status).toBe(0x12);
    expect(driver.admin({ opcode: 2, nsid: 0xffffffff, prp1: DATA, cdw10: 0xf0003 }).status).toBe(0);
  });

  it('can be taken back and replaced while the controller runs', () => {
    const at = ready();
    expect(tried(at, rw(READ, 0))[0].status).toBe(0);
    at.fn.faults.add({ kind: 'status', command: 'read', status: 6 });
    expect(tried(at, rw(READ, 0))[0].status).toBe(6);
    at.fn.faults.clear();
    expect(tried(at, rw(READ, 0))[0].status).toBe(0);
    expect(() => at.fn.faults.set({ faults: [{ kind: 'status' } as FaultRule] })).toThrow(RangeError);
    expect(at.fn.faults.rules).toEqual([]);
  });

  it('leaves a plan given as code its say first', () => {
    const fn = createNvmeController(
      { namespaces: [{ sizeBytes: 1 << 20 }], faults: { faults: [{ kind: 'status', queue: 'io', status: 6 }] } },
      {
        faults: {
          command: (sqid, _cid, opcode) => (sqid > 0 && opcode === READ ? { kind: 'status', status: 4 } : null),
        },
      },
    );
    const driver = new RegisterDriver(fn, { ramBytes: 1 << 21 });
    driver.enable();
    driver.createQueuePair(1, 8);
    expect(driver.submit(1, rw(READ, 0)).status).toBe(4);
    expect(driver.submit(1, rw(WRITE, 0)).status).toBe(6);
  });
});

it('is told in the trace', () => {
  const at = ready({ kind: 'status', command: 'read', status: 6 });
  at.driver.host.tracing = true;
  tried(at, { ...rw(READ, 0), cid: 33 } as never);
  const told = at.driver.host.traced.filter(({ event }) => event.name === 'nvme_fault');
  expect(told.map(({ values }) => values)).toEqual([[0, 1, 1, 33]]);
});
