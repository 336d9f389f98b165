// Virtual functions as a host without a kernel sees them: with their share from VF Enable on, and what ends them.
import { NvmePrimaryCtrlCap } from '@nvme-stack/nvme-protocol';
import { PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR, type PciFunction } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { createNvmeController, type NvmeControllerDescription } from '../index.js';
import { RegisterDriver } from '../testing.js';

const SRIOV = 0x120;
const DATA = 0x40000;
const CSTS = 0x1c;
const FAILED = 2;
const READY = 1;

function physical(more: Partial<NvmeControllerDescription> = {}) {
  const fn = createNvmeController({ namespaces: [{ sizeBytes: 1 << 20 }], sriovMaxVfs: 4, ...more });
  const driver = new RegisterDriver(fn);
  driver.enable();
  const enableVfs = (count: number): readonly PciFunction[] => {
    fn.configWrite(SRIOV + 0x10, count, 2);
    fn.configWrite(SRIOV + 0x08, count === 0 ? 0 : 9, 2);
    return fn.virtualFunctions?.() ?? [];
  };
  return { fn, driver, enableVfs };
}

const manage = (driver: RegisterDriver, action: number, id: number, type = 0, count = 0): number =>
  driver.admin({ opcode: 0x1c, cdw10: action | (type << 8) | (id << 16), cdw11: count }).status;

function capabilities(driver: RegisterDriver) {
  driver.admin({ opcode: 6, cdw10: 0x14, prp1: DATA });
  return NvmePrimaryCtrlCap.decode(driver.host.ram.subarray(DATA, DATA + 4096));
}

describe('with the share that VF Enable gives', () => {
  it('they are online at once, and have what they may have at most', () => {
    const { driver, enableVfs } = physical();
    const vfs = enableVfs(3);
    expect(vfs).toHaveLength(3);
    const vf = new RegisterDriver(vfs[1] as PciFunction);
    expect(vf.enable()).toBe(READY);
    // Half of 65 queue pairs and vectors, for four: eight each, one of them for the admin queues.
    expect(vf.admin({ opcode: 0x0a, cdw10: 7 }).dw0).toBe(0x60006);
    expect(vf.admin({ opcode: 0x0a, cdw10: 7 }).status).toBe(0);
    expect(capabilities(driver)).toMatchObject({ vqfrt: 32, vqrfa: 24, vqprt: 33, vifrt: 32, virfa: 24, viprt: 33 });
  });

  it('each says who it is and shares the medium', () => {
    const { driver, enableVfs } = physical();
    const vfs = enableVfs(2).map((fn) => new RegisterDriver(fn));
    const all = [driver, ...vfs];
    for (const vf of vfs) vf.enable();
    const ids = all.map((one) => {
      one.admin({ opcode: 6, cdw10: 1, prp1: DATA });
      return [one.view.getUint16(DATA + 78, true), one.host.ram[DATA + 76]];
    });
    expect(ids).toEqual([
      [0, 2],
      [1, 2],
      [2, 2],
    ]);
    for (const one of all) one.createQueuePair(1, 8);
    vfs[0]?.host.ram.fill(0x77, DATA, DATA + 512);
    expect(vfs[0]?.submit(1, { opcode: 1, nsid: 1, prp1: DATA, cdw10: 5 }).status).toBe(0);
    for (const one of [driver, vfs[1] as RegisterDriver]) {
      one.host.ram.fill(0, DATA, DATA + 512);
      expect(one.submit(1, { opcode: 2, nsid: 1, prp1: DATA, cdw10: 5 }).status).toBe(0);
      expect(one.host.ram.subarray(DATA, DATA + 512).every((byte) => byte === 0x77)).toBe(true);
    }
  });

  it('what the host assigned before stays; what is missing it does not get', () => {
    const { driver, enableVfs } = physical();
    expect(manage(driver, 8, 1, 0, 3)).toBe(0);
    expect(manage(driver, 8, 2, 0, 1)).toBe(0);
    const [first, second] = enableVfs(2).map((fn) => new RegisterDriver(fn));
    expect(first?.enable()).toBe(READY);
    expect(first?.admin({ opcode: 0x0a, cdw10: 7 }).dw0).toBe(0x10001);
    expect(second?.enable()).toBe(FAILED);
    expect(manage(driver, 9, 2)).toBe(0x4120);
  });

  it('asks a namespace’s other size of every controller', () => {
    const { fn, driver, enableVfs } = physical();
    const vf = new RegisterDriver(enableVfs(1)[0] as PciFunction);
    vf.enable();
    for (const one of [driver, vf]) {
      one.admin({ opcode: 9, cdw10: 0x0b, cdw11: 0x100 });
      one.put(0, { opcode: 0x0c });
      one.ring(0);
      one.host.pump();
    }
    fn.resizeNamespace(1, 1 << 19);
    for (const one of [driver, vf]) {
      one.host.pump();
      expect(one.takeAll(0).map(({ dw0 }) => dw0)).toEqual([0x040002]);
    }
  });
});

describe('offline', () => {
  it('a controller answers by CSTS alone, whatever is written, and does nothing', () => {
    const { driver, enableVfs } = physical();
    const vf = new RegisterDriver(enableVfs(1)[0] as PciFunction);
    vf.enable();
    vf.put(0, { opcode: 6, cdw10: 1, prp1: DATA });
    vf.ring(0);
    expect(manage(driver, 7, 1)).toBe(0);
    vf.host.pump();
    expect(vf.take(0)).toBe(null);
    expect([vf.read32(0), vf.read32(8), vf.read32(0x14), vf.read32(CSTS)]).toEqual([0, 0, 0, FAILED]);
    expect(vf.enable()).toBe(FAILED);
    expect(manage(driver, 9, 1)).toBe(0x4120);
    expect([manage(driver, 8, 1, 0, 2), manage(driver, 8, 1, 1, 1), manage(driver, 9, 1)]).toEqual([0, 0, 0]);
    expect(vf.read32(CSTS)).toBe(0);
    expect(vf.enable()).toBe(READY);
  });

  it('a controller forgets its queues and what it was doing', () => {
    const { driver, enableVfs } = physical({ latency: { kind: 'fixed', writeNs: 1000 } });
    const vf = new RegisterDriver(enableVfs(1)[0] as PciFunction);
    vf.enable();
    vf.createQueuePair(1, 8);
    vf.host.ram.fill(0x55, DATA, DATA + 512);
    vf.put(1, { opcode: 1, nsid: 1, prp1: DATA });
    vf.ring(1);
    vf.host.pump();
    manage(driver, 7, 1);
    for (const type of [0, 1]) manage(driver, 8, 1, type, 2);
    manage(driver, 9, 1);
    vf.enable();
    vf.host.advance(2000);
    vf.createQueuePair(1, 8);
    expect(vf.take(1)).toBe(null);
    driver.createQueuePair(1, 8);
    expect(driver.submit(1, { opcode: 2, nsid: 1, prp1: DATA }).status).toBe(0);
    expect(driver.host.ram[DATA]).toBe(0);
  });

  it.each<[string, Partial<NvmeControllerDescription>, (driver: RegisterDriver) => void]>([
    ['a reset of its controller', {}, (driver) => driver.write32(0x14, 0)],
    ['a reset of the subsystem', { subsystemReset: true }, (driver) => driver.write32(0x20, 0x4e564d65)],
  ])('all are after %s of the physical function', (_what, more, reset) => {
    const { driver, enableVfs } = physical(more);
    const vfs = enableVfs(4).map((fn) => new RegisterDriver(fn));
    for (const vf of vfs) expect(vf.enable()).toBe(READY);
    reset(driver);
    expect(vfs.map((vf) => vf.read32(CSTS))).toEqual([FAILED, FAILED, FAILED, FAILED]);
    driver.enable();
    expect(capabilities(driver)).toMatchObject({ vqrfa: 0, virfa: 0 });
  });
});

describe('gone', () => {
  it.each<[string, (driver: RegisterDriver) => void]>([
    ['VF Enable is cleared', ({ fn }) => fn.configWrite(SRIOV + 0x08, 0, 2)],
    ['the function is reset', ({ fn }) => fn.configWrite(0x80 + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR, 2)],
    ['the bus is reset', ({ fn }) => fn.reset('conventional')],
    ['the physical function is gone', ({ fn }) => disappear(fn)],
  ])('they are when %s, and give back what they had', (_when, end) => {
    const { fn, driver, enableVfs } = physical();
    const vfs = enableVfs(2);
    const vf = new RegisterDriver(vfs[0] as PciFunction);
    vf.enable();
    end(driver);
    expect(fn.virtualFunctions?.()).toEqual([]);
    expect([vf.read32(CSTS), vfs[0]?.configRead(4, 2)]).toEqual([0xffffffff, 0xffff]);
    vf.host.pump();
  });

  it('they come anew, each with its share again', () => {
    const { enableVfs } = physical();
    const before = enableVfs(4);
    enableVfs(0);
    const after = enableVfs(4);
    expect(after.some((fn) => before.includes(fn))).toBe(false);
    for (const fn of after) expect(new RegisterDriver(fn).enable()).toBe(READY);
  });
});

/** By its fault plan, as a card that is pulled. */
function disappear(fn: PciFunction): void {
  (fn as ReturnType<typeof createNvmeController>).faults.add({ kind: 'gone', on: 'register', times: 1 });
  fn.barRead(0, CSTS, 4);
}
