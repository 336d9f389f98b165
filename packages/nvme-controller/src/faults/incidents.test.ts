// What a fault plan does beside commands: registers, doorbells, CSTS, interrupts, events, a function that is gone.
import * as nvme from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { bench, messages, ready, rw, tried } from '../fixtures/fault-bench.js';

const { read: READ, write: WRITE } = nvme.NvmeNvmOpcode;
const { asyncEvent: AER, getFeatures: GET_FEATURES } = nvme.NvmeAdminOpcode;
const CC = 0x14;
const CSTS = 0x1c;

describe('registers and doorbells', () => {
  it('read as the plan says', () => {
    const { driver } = bench(
      { kind: 'register', register: 'CAP', clear: 0xffff, set: 1 },
      { kind: 'register', register: 'VS', value: 0x00020000, nth: 1 },
    );
    expect(driver.read32(0)).toBe(0x0f010001);
    expect(driver.read32(4)).toBe(0x00401820);
    expect(driver.read32(8)).toBe(0x00020000);
    expect(driver.read32(8)).toBe(0x00010400);
    expect(driver.fn.barRead(0, 0, 2)).toBe(1);
  });

  it('are written as the plan says', () => {
    const { driver } = bench({ kind: 'register', register: 'AQA', access: 'write', value: 0x70007 });
    driver.write32(0x24, 0x1f001f);
    expect(driver.read32(0x24)).toBe(0x70007);
  });

  it.each(['sq', 'cq'] as const)('ignore a doorbell of the %s side', (side) => {
    const at = ready({ kind: 'doorbell-ignored', qid: 1, side, nth: 1 });
    expect(tried(at, rw(READ, 0)).length).toBe(side === 'sq' ? 0 : 1);
    // The next write of the same doorbell makes up for it.
    expect(tried(at, rw(READ, 0)).length).toBe(side === 'sq' ? 2 : 1);
    expect(at.fn.faults.rules[0].acted).toBe(1);
  });
});

describe('CSTS', () => {
  it('never says that the controller is ready', () => {
    const { driver } = bench({ kind: 'not-ready', nth: 1 });
    expect(driver.enable()).toBe(0);
    driver.host.advance(1e12);
    expect(driver.read32(CSTS)).toBe(0);
    driver.write32(CC, 0);
    expect(driver.enable()).toBe(1);
  });

  it('says so late', () => {
    const { driver } = bench({ kind: 'not-ready', on: 'enable', delayNs: 3e9 });
    driver.enable();
    driver.host.advance(3e9 - 1);
    expect(driver.read32(CSTS)).toBe(0);
    driver.host.advance(1);
    expect(driver.read32(CSTS)).toBe(1);
  });

  it('sticks at ready when disabled, until the function is reset', () => {
    const { driver } = bench({ kind: 'not-ready', on: 'disable' });
    driver.enable();
    driver.write32(CC, 0);
    driver.host.advance(1e12);
    expect(driver.read32(CSTS)).toBe(1);
    driver.fn.reset('flr');
    expect(driver.read32(CSTS)).toBe(0);
  });

  it('leaves ready late when disabled', () => {
    const { driver } = bench({ kind: 'not-ready', on: 'disable', delayNs: 1000 });
    driver.enable();
    driver.write32(CC, 0);
    driver.host.advance(999);
    expect(driver.read32(CSTS)).toBe(1);
    driver.host.advance(1);
    expect(driver.read32(CSTS)).toBe(0);
  });

  it.each([
    [undefined, 1],
    [2000, 2],
  ])('says that shutdown is complete after %i ns, or never', (delayNs, shst) => {
    const { driver } = bench({ kind: 'not-ready', on: 'shutdown', ...(delayNs === undefined ? {} : { delayNs }) });
    driver.enable();
    driver.write32(CC, 0x464061);
    driver.host.advance(1999);
    expect((driver.read32(CSTS) >> 2) & 3).toBe(1);
    driver.host.advance(1);
    expect((driver.read32(CSTS) >> 2) & 3).toBe(shst);
  });

  it('says that the controller failed: no command runs, and a reset helps', () => {
    const at = ready({ kind: 'fatal', command: 'write', nth: 2 });
    expect(tried(at, rw(WRITE, 0)).length).toBe(1);
    expect(tried(at, rw(WRITE, 0))).toEqual([]);
    expect(at.driver.read32(CSTS)).toBe(3);
    expect(tried(at, rw(READ, 0))).toEqual([]);
    at.driver.write32(CC, 0);
    expect(at.driver.read32(CSTS)).toBe(0);
    expect(at.driver.enable()).toBe(1);
    expect(at.driver.admin({ opcode: GET_FEATURES, cdw10: 7 }).status).toBe(0);
  });

  it('says so at a time, and over a reset', () => {
    const { driver } = bench({ kind: 'fatal', on: 'time', afterNs: 1000 });
    driver.enable();
    driver.host.advance(500);
    driver.write32(CC, 0);
    driver.enable();
    driver.host.advance(499);
    expect(driver.read32(CSTS)).toBe(1);
    driver.host.advance(1);
    expect(driver.read32(CSTS)).toBe(3);
  });
});

describe('a function that is gone', () => {
  it('reads as all ones, takes no write and sends nothing', () => {
    const at = ready({ kind: 'gone', command: 'read' });
    const before = at.driver.host.messages.length;
    expect(tried(at, rw(READ, 0))).toEqual([]);
    expect(at.driver.read32(CSTS)).toBe(0xffffffff);
    expect(at.driver.fn.configRead(0, 2)).toBe(0xffff);
    at.driver.write32(CC, 0);
    at.driver.ring(1);
    at.driver.host.advance(1e12);
    expect(at.driver.read32(CC)).toBe(0xffffffff);
    expect(at.driver.host.messages.length).toBe(before);
    expect(at.fn.outstandingCommands).toBe(0);
  });

  it.each([1, 2, 3, 4, 5])('goes at register read %i, which gives all ones already', (nth) => {
    const { driver } = bench({ kind: 'gone', on: 'register', nth });
    for (let i = 1; i <= 6; i++) expect(driver.read32(8)).toBe(i < nth ? 0x10400 : 0xffffffff);
  });

  it('comes back as after power-on', () => {
    const at = ready({ kind: 'gone', on: 'time', afterNs: 100, forNs: 1000 });
    at.driver.host.advance(100);
    expect(at.driver.read32(8)).toBe(0xffffffff);
    at.driver.host.advance(999);
    expect(at.driver.fn.configRead(0, 2)).toBe(0xffff);
    at.driver.host.advance(1);
    expect(at.driver.fn.configRead(0, 2)).toBe(0x1b36);
    expect(at.driver.read32(0x24)).toBe(0);
    expect(at.driver.fn.configRead(4, 2) & 6).toBe(0);
    at.driver.fn.configWrite(4, 6, 2);
    expect(at.driver.enable()).toBe(1);
  });
});

describe('interrupts', () => {
  it('get lost', () => {
    const at = ready({ kind: 'interrupt-lost', qid: 1, nth: 1 });
    const before = messages(at).length;
    expect(tried(at, rw(READ, 0)).length).toBe(1);
    expect(messages(at).length).toBe(before);
    tried(at, rw(READ, 0));
    expect(messages(at).slice(before)).toEqual([1]);
  });

  it('come late', () => {
    const at = ready({ kind: 'interrupt-late', vector: 1, delayNs: 700 });
    const before = messages(at).length;
    expect(tried(at, rw(READ, 0)).length).toBe(1);
    at.driver.host.advance(699);
    expect(messages(at).length).toBe(before);
    at.driver.host.advance(1);
    expect(messages(at).slice(before)).toEqual([1]);
  });

  it('come by another vector', () => {
    const at = ready({ kind: 'interrupt-misdirected', qid: 1, toVector: 3 });
    const before = messages(at).length;
    tried(at, rw(READ, 0));
    expect(messages(at).slice(before)).toEqual([3]);
  });

  it('come without a cause', () => {
    const at = ready({ kind: 'spurious-interrupt', everyNs: 100, times: 3, toVector: 2, count: 2 });
    const before = messages(at).length;
    at.driver.host.advance(1e6);
    expect(messages(at).slice(before)).toEqual([2, 2, 2, 2, 2, 2]);
    expect(at.driver.takeAll(1)).toEqual([]);
  });

  it('come without a cause on the pin: up and down', () => {
    const { driver } = bench({ kind: 'spurious-interrupt', afterNs: 5 });
    driver.enable();
    driver.host.advance(5);
    expect(driver.host.intxChanges).toEqual([true, false]);
  });
});

describe('events', () => {
  it('are reported, whether or not they are enabled', () => {
    const at = ready({ kind: 'event', afterNs: 50, type: 1, info: 2, logPage: 2 });
    at.driver.put(0, { opcode: AER });
    at.driver.ring(0);
    at.driver.host.advance(49);
    expect(at.driver.takeAll(0)).toEqual([]);
    at.driver.host.advance(1);
    expect(at.driver.takeAll(0)[0].dw0).toBe(0x20201);
  });

  it('come with a command', () => {
    const at = ready({ kind: 'event', on: 'command', command: 'read', type: 6, logPage: 0xc0 });
    at.driver.put(0, { opcode: AER });
    at.driver.ring(0);
    tried(at, rw(READ, 0));
    expect(at.driver.takeAll(0)[0].dw0).toBe(0xc00006);
  });
});
