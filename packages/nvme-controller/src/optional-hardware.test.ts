import * as nvme from '@nvme-stack/nvme-protocol';
import { PCI_CAPABILITY_LIST } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { createNvmeController } from './controller.js';
import { DATA, GET_FEATURES, INVALID_FIELD, identify, SET_FEATURES, started } from './fixtures/optional-hardware.js';

const { read: READ } = nvme.NvmeNvmOpcode;
const QID_INVALID = 0x4101;

function capabilities(fn: { configRead(offset: number, size: 1 | 2 | 4): number }): number[] {
  const ids: number[] = [];
  for (let at = fn.configRead(PCI_CAPABILITY_LIST, 1); at !== 0; at = fn.configRead(at + 1, 1))
    ids.push(fn.configRead(at, 1));
  return ids;
}

describe('a description', () => {
  it.each([
    [{ pci: { vendorId: 0x10000 } }, 'pci.vendorId 65536'],
    [{ interrupts: 'pin' as never }, 'interrupts "pin"'],
    [{ msiVectors: 3 }, 'msiVectors 3'],
    [{ version: '2.0' as never }, 'version "2.0"'],
    [{ sqEntryBytes: 96 as never }, 'sqEntryBytes 96'],
    [{ cmb: { sizeMiB: 3 } }, 'cmb.sizeMiB 3'],
    [{ version: '1.1' as const, cmb: { sizeMiB: 4 } }, 'cmb'],
    [{ version: '1.3' as const, cmb: { sizeMiB: 4, legacy: false } }, 'cmb.legacy false'],
    [{ hmb: { preferredKiB: 6 } }, 'hmb.preferredKiB 6'],
    [{ hmb: { preferredKiB: 8, minimumKiB: 12 } }, 'hmb.minimumKiB 12'],
    [{ powerStates: [] }, 'powerStates.length 0'],
    [{ retryDelays: [1, 2, 3, 4] }, 'retryDelays [1,2,3,4]'],
    [{ retryDelays: [70_000] }, 'retryDelays[0] 70000'],
    [
      { powerStates: [{ maxPower: 1, entryLatencyUs: 0, exitLatencyUs: 0, nonOperational: true }] },
      'powerStates[0].nonOperational',
    ],
  ])('%j is refused with the field, its value and what is allowed', (description, text) => {
    expect(() => createNvmeController({ namespaces: [], ...description })).toThrow(RangeError);
    expect(() => createNvmeController({ namespaces: [], ...description })).toThrow(`${text}`);
    expect(() => createNvmeController({ namespaces: [], ...description })).toThrow(/is not allowed: it must be /);
  });

  it('gives the function its numbers, which Identify repeats', () => {
    const { fn, driver } = started({
      pci: {
        vendorId: 0x8086,
        deviceId: 0x0953,
        revisionId: 7,
        classCode: 0x018000,
        subsystemVendorId: 1,
        subsystemId: 2,
      },
    });
    expect([0, 2, 0x2c, 0x2e].map((offset) => fn.configRead(offset, 2))).toEqual([0x8086, 0x0953, 1, 2]);
    expect(fn.configRead(8, 4)).toBe(0x01800007);
    expect([identify(driver).vid, identify(driver).ssvid]).toEqual([0x8086, 1]);
  });

  it.each([
    ['msix', [0x11, 0x10, 0x01]],
    ['msi', [0x05, 0x10, 0x01]],
    ['msi-and-msix', [0x11, 0x05, 0x10, 0x01]],
    ['intx', [0x10, 0x01]],
  ] as const)('has the capabilities that %s means', (interrupts, ids) => {
    expect(capabilities(started({ interrupts }).fn)).toEqual(ids);
  });

  it.each([
    ['1.0', 0x00010000, 0],
    ['1.1', 0x00010100, 0],
    ['1.2', 0x00010200, 0x00010200],
    ['1.3', 0x00010300, 0x00010300],
    ['1.4', 0x00010400, 0x00010400],
  ] as const)('of version %s shows it in VS, and in Identify since there is a field for it', (version, vs, ver) => {
    const { driver } = started({ version });
    expect(driver.read32(nvme.NVME_REG_VS)).toBe(vs);
    expect(identify(driver).ver).toBe(ver);
  });

  it('without I/O queues is an administrative controller, which grants and creates none', () => {
    const { driver } = started({ maxIoQueuePairs: 0 });
    expect(identify(driver).cntrltype).toBe(nvme.NVME_CTRL_ADMIN);
    expect(driver.admin({ opcode: SET_FEATURES, cdw10: nvme.NVME_FEAT_NUM_QUEUES, cdw11: 0 }).status).toBe(
      INVALID_FIELD,
    );
    expect(driver.admin({ opcode: 5, cdw10: (15 << 16) | 1, cdw11: 3, prp1: DATA }).status).toBe(QID_INVALID);
  });
});

describe('interrupt coalescing', () => {
  const UNIT_NS = 100_000;

  function coalescing() {
    const { fn, driver } = started({ interruptCoalescing: true, msixVectors: 4 });
    driver.enableMsix(4);
    driver.createQueuePair(1, 32, 1);
    const set = (fid: number, value: number): number =>
      driver.admin({ opcode: SET_FEATURES, cdw10: fid, cdw11: value }).status;
    const burst = (count: number): void => {
      for (let i = 0; i < count; i++) driver.put(1, { opcode: READ, nsid: 1, prp1: DATA });
      driver.ring(1);
      driver.host.pump();
    };
    const messages = (): number => driver.host.messages.filter(({ data }) => data === 1).length;
    return { fn, driver, set, burst, messages };
  }

  it('gathers completions up to the threshold', () => {
    const { driver, set, burst, messages } = coalescing();
    // Four entries, or 10 ms.
    expect(set(nvme.NVME_FEAT_IRQ_COALESCE, (100 << 8) | 3)).toBe(0);
    for (let i = 1; i <= 8; i++) {
      burst(1);
      driver.takeAll(1);
      expect(messages()).toBe(Math.floor(i / 4));
    }
    burst(5);
    expect(messages()).toBe(3);
  });

  it('tells of fewer when the first has waited long enough, unless they are consumed by then', () => {
    const { driver, set, burst, messages } = coalescing();
    set(nvme.NVME_FEAT_IRQ_COALESCE, (2 << 8) | 9);
    burst(1);
    driver.host.advance(2 * UNIT_NS - 1);
    expect(messages()).toBe(0);
    driver.host.advance(1);
    expect(messages()).toBe(1);
    driver.takeAll(1);
    burst(1);
    driver.takeAll(1);
    driver.host.advance(5 * UNIT_NS);
    expect(messages()).toBe(1);
  });

  it('leaves the admin queue, vectors that are taken out, and a time of 0 alone', () => {
    const { driver, set, burst, messages } = coalescing();
    set(nvme.NVME_FEAT_IRQ_COALESCE, (100 << 8) | 9);
    const before = driver.host.messages.filter(({ data }) => data === 0).length;
    driver.admin({ opcode: 6, cdw10: 1, prp1: DATA });
    expect(driver.host.messages.filter(({ data }) => data === 0).length).toBe(before + 1);
    expect(set(nvme.NVME_FEAT_IRQ_CONFIG, (1 << 16) | 1)).toBe(0);
    burst(1);
    expect(messages()).toBe(1);
    expect(set(nvme.NVME_FEAT_IRQ_CONFIG, 1)).toBe(0);
    expect(set(nvme.NVME_FEAT_IRQ_CONFIG, 9)).toBe(INVALID_FIELD);
    set(nvme.NVME_FEAT_IRQ_COALESCE, 9);
    burst(1);
    expect(messages()).toBe(2);
    const get = driver.admin({ opcode: GET_FEATURES, cdw10: nvme.NVME_FEAT_IRQ_COALESCE });
    expect([get.status, get.dw0]).toEqual([0, 9]);
  });

  it('cannot be set on a controller without it', () => {
    const { driver } = started();
    expect(driver.admin({ opcode: SET_FEATURES, cdw10: nvme.NVME_FEAT_IRQ_COALESCE, cdw11: 5 }).status).not.toBe(0);
  });
});

describe('power states', () => {
  const powerStates = [
    { maxPower: 900, entryLatencyUs: 0, exitLatencyUs: 0 },
    { maxPower: 400, entryLatencyUs: 10, exitLatencyUs: 10 },
    { maxPower: 50, entryLatencyUs: 100, exitLatencyUs: 300, nonOperational: true },
  ];

  it('are described, chosen and asked for', () => {
    const { fn, driver } = started({ powerStates });
    const id = identify(driver);
    expect([id.npss, id.psd[1]?.maxPower, id.psd[2]?.exitLat, id.psd[2]?.flags]).toEqual([2, 400, 300, 2]);
    const choose = (state: number): number =>
      driver.admin({ opcode: SET_FEATURES, cdw10: nvme.NVME_FEAT_POWER_MGMT, cdw11: state }).status;
    expect(choose(3)).toBe(INVALID_FIELD);
    expect(choose(2)).toBe(0);
    expect(driver.admin({ opcode: GET_FEATURES, cdw10: nvme.NVME_FEAT_POWER_MGMT }).dw0).toBe(2);
    // A command has to wait until the controller is out of a state without I/O, and finds it in the last one with.
    driver.createQueuePair(1, 16);
    driver.put(1, { opcode: READ, nsid: 1, prp1: DATA });
    driver.ring(1);
    driver.host.pump();
    expect(driver.take(1)).toBe(null);
    driver.host.advance(300_000);
    expect(driver.take(1)?.status).toBe(0);
    expect(fn.powerState).toBe(0);
  });

  it('are entered by themselves as the table says, and refused where it leads to a state with I/O', () => {
    const { fn, driver } = started({ powerStates, apst: true });
    const set = (state: number): number => {
      driver.host.ram.fill(0, DATA, DATA + 256);
      driver.view.setUint32(DATA, (50 << 8) | (state << 3), true);
      return driver.admin({ opcode: SET_FEATURES, cdw10: nvme.NVME_FEAT_AUTO_PST, cdw11: 1, prp1: DATA }).status;
    };
    expect(set(1)).toBe(INVALID_FIELD);
    expect(set(2)).toBe(0);
    driver.host.advance(49_000_000);
    expect(fn.powerState).toBe(0);
    driver.host.advance(1_000_000);
    expect(fn.powerState).toBe(2);
    const get = driver.admin({ opcode: GET_FEATURES, cdw10: nvme.NVME_FEAT_AUTO_PST, prp1: DATA + 4096 });
    expect([get.status, get.dw0, driver.view.getUint32(DATA + 4096, true)]).toEqual([0, 1, (50 << 8) | (2 << 3)]);
    driver.write32(nvme.NVME_REG_CC, 0x00460060);
    driver.enable();
    driver.host.advance(100_000_000);
    expect(fn.powerState).toBe(0);
  });
});

describe('wide submission entries', () => {
  it('are fetched 128 bytes apart, also around the end of the queue', () => {
    const { driver } = started({ sqEntryBytes: 128 });
    expect(identify(driver).sqes).toBe(0x77);
    driver.createQueuePair(1, 4);
    const { sq } = driver.queue(1);
    for (let round = 0; round < 9; round++) {
      const tail = round % 4;
      const at = sq + tail * 128;
      driver.host.ram.fill(0xff, sq, sq + 512);
      driver.host.ram.fill(0, at, at + 64);
      driver.view.setUint32(at, READ | (round << 16), true);
      driver.view.setUint32(at + 4, 1, true);
      driver.view.setUint32(at + 24, DATA, true);
      driver.write32(nvme.sqTailDoorbellOffset(1, 0), (tail + 1) % 4);
      driver.host.pump();
      expect(driver.take(1)).toMatchObject({ cid: round, status: 0 });
      driver.acknowledge(1);
    }
  });
});
