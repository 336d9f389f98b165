import { createDeviceCore } from '@nvme-stack/device-core';
import type { Machine, MachineOptions } from '@nvme-stack/machine';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import { FAULT_DROP, FAULT_STATUS } from '@nvme-stack/nvme-controller/ports';
import { createPciBus, type PciFaultPoint } from '@nvme-stack/pci-bus';
import { describe, expect, it } from 'vitest';
import { Faults, firstDifference, leftBehind, log, machineWith, NVME_BDF, pattern, SECOND_NS } from './bench.js';

const CREATE_SQ = 0x01;
const GET_LOG = 0x02;
const CREATE_CQ = 0x05;
const IDENTIFY = 0x06;
const SET_FEATURES = 0x09;
const AER = 0x0c;
const DBBUF = 0x7c;
const DNR = 0x4000;
const INVALID_QUEUE = 0x101 | DNR;
const INTERNAL = 0x006 | DNR;

/** A machine whose PCI bus fails a step from its `nth` time on, as often as `times` says. */
function failing(point: PciFaultPoint, errno: number, nth = 1, times = 1): MachineOptions {
  let count = 0;
  const fail = (at: PciFaultPoint): number => {
    if (at !== point) return 0;
    count++;
    return count >= nth && count < nth + times ? errno : 0;
  };
  return { parts: { pciBus: (deps) => createPciBus({ ...deps, faults: { fail } }) } };
}

function nothingIsBound(machine: Machine): void {
  expect(machine.sysfs.exists(`/sys/bus/pci/devices/${NVME_BDF}/driver`)).toBe(false);
  expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
  expect(machine.sysfs.exists('/sys/block/nvme0n1')).toBe(false);
  expect(machine.procfs.read('/proc/interrupts')).not.toContain('nvme');
  expect(machine.procfs.read('/proc/iomem')).not.toContain('nvme');
  expect(machine.subsystems.platform.mappedPages(0x18)).toBe(0);
  expect(machine.device(NVME_BDF).pdev?.msixEnabled).toBe(false);
}

function failureLine(errno: number): string {
  return `nvme ${NVME_BDF}: probe with driver nvme failed with error ${errno}`;
}

describe('probe', () => {
  it.each<[PciFaultPoint, number, number, number | null]>([
    // Linux turns whatever keeps the function from being enabled into ENOMEM, and mapping errors into ENODEV, which is
    // a rejected match and no failure.
    ['pci_enable_device', -5, 1, -12],
    ['pci_request_regions', -16, 1, null],
    ['ioremap', -12, 1, null],
    ['pci_alloc_irq_vectors', -28, 1, -28],
    ['pci_alloc_irq_vectors', -28, 2, -5],
  ])('unwinds when %s fails with %i (call %i)', async (point, errno, nth, reported) => {
    const machine = await machineWith({}, {}, failing(point, errno, nth));
    await machine.modprobe('nvme');
    nothingIsBound(machine);
    const failures = log(machine).filter((line) => line.includes('failed with error'));
    expect(failures).toEqual(reported === null ? [] : [failureLine(reported)]);
    expect(await leftBehind(machine)).toEqual([]);
    // The fault is over: the next time it works.
    await machine.modprobe('nvme');
    await machine.disk('nvme0n1').write(0, pattern(512));
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('goes on without MSI-X when it cannot be enabled', async () => {
    const machine = await machineWith({}, {}, failing('pci_enable_msix', -22, 1, 99));
    await machine.modprobe('nvme');
    expect(machine.queues('nvme0').map(({ vector }) => vector)).toEqual([0, 0]);
    expect(machine.procfs.read('/proc/interrupts')).toMatch(/IO-APIC.*nvme0q0, nvme0q1/);
    await machine.disk('nvme0n1').write(0, pattern(8192));
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 8192), pattern(8192))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('maps fewer doorbells, and makes fewer queues, when the BAR cannot be mapped as far as all need', async () => {
    const machine = await machineWith({ dstrd: 8 }, { cpus: 8 }, failing('ioremap', -12, 3));
    await machine.modprobe('nvme');
    expect(log(machine)).toContain('nvme nvme0: 7/0/0 default/read/poll queues');
    await machine.disk('nvme0n1').write(0, pattern(65536));
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 65536), pattern(65536))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([
    ['kobject_add:nvme0', -12],
    ['kobject_add:nvme0', -17],
  ])('unwinds when %s fails with %i', async (point, errno) => {
    const fail = (at: string): number => (at === point ? errno : 0);
    const parts = {
      deviceCore: (deps: Parameters<typeof createDeviceCore>[0]) => createDeviceCore({ ...deps, faults: { fail } }),
    };
    const machine = await machineWith({}, {}, { parts });
    await machine.modprobe('nvme');
    nothingIsBound(machine);
    expect(log(machine)).toContain(failureLine(errno));
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('gives up on a controller that never becomes ready', async () => {
    const faults = new Faults();
    faults.becomesReady = () => false;
    const machine = await machineWith({ timeout: 4 }, {}, { faultPlans: [faults] });
    await machine.modprobe('nvme');
    nothingIsBound(machine);
    expect(log(machine).at(-1)).toBe('nvme nvme0: Device not ready; aborting initialisation, CSTS=0x0');
    expect(machine.nowNs).toBeGreaterThan(2 * SECOND_NS);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('gives up when Identify Controller fails', async () => {
    const faults = new Faults();
    faults.onCommand = (sqid, _cid, opcode) =>
      sqid === 0 && opcode === IDENTIFY ? { kind: FAULT_STATUS, status: INTERNAL } : null;
    const machine = await machineWith({}, {}, { faultPlans: [faults] });
    await machine.modprobe('nvme');
    nothingIsBound(machine);
    expect(log(machine).slice(-2)).toEqual([`nvme nvme0: Identify Controller failed (${INTERNAL})`, failureLine(-5)]);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('gives up when Identify Controller never ends: the time-out takes the controller down', async () => {
    const faults = new Faults();
    faults.onCommand = (sqid, _cid, opcode) => (sqid === 0 && opcode === IDENTIFY ? { kind: FAULT_DROP } : null);
    const machine = await machineWith({}, {}, { faultPlans: [faults] });
    await machine.modprobe('nvme');
    nothingIsBound(machine);
    const lines = log(machine);
    expect(
      lines.some((line) => /^nvme nvme0: I\/O tag \d+ \([0-9a-f]{4}\) QID 0 timeout, disable controller$/.test(line)),
      lines.join('\n'),
    ).toBe(true);
    expect(lines).toContain('nvme nvme0: Identify Controller failed (-4)');
    expect(lines.at(-1)).toBe(failureLine(-5));
    expect(machine.nowNs).toBeGreaterThan(60 * SECOND_NS);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([
    ['the number of queues is refused', SET_FEATURES],
    ['completion queues are refused', CREATE_CQ],
    ['submission queues are refused', CREATE_SQ],
  ])('keeps an admin-only controller without disks when %s', async (_what, refused) => {
    const faults = new Faults();
    faults.onCommand = (sqid, _cid, opcode) =>
      sqid === 0 && opcode === refused ? { kind: FAULT_STATUS, status: INVALID_QUEUE } : null;
    const machine = await machineWith({}, {}, { faultPlans: [faults] });
    await machine.modprobe('nvme');
    expect(log(machine)).toContain('nvme nvme0: IO queues not created');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    expect(machine.sysfs.exists('/sys/block/nvme0n1')).toBe(false);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/model').trim()).toBe('QEMU NVMe Ctrl');
    faults.clear();
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await machine.settle();
    await machine.disk('nvme0n1').write(0, pattern(512));
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 512), pattern(512))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([1, 2, 3])('works with the queues it got when the one after %i is refused', async (granted) => {
    const faults = new Faults();
    let created = 0;
    faults.onCommand = (sqid, _cid, opcode) =>
      sqid === 0 && opcode === CREATE_SQ && ++created === granted + 1
        ? { kind: FAULT_STATUS, status: INVALID_QUEUE }
        : null;
    const machine = await machineWith({}, {}, { faultPlans: [faults] });
    await machine.modprobe('nvme');
    expect(log(machine)).toContain(`nvme nvme0: ${granted}/0/0 default/read/poll queues`);
    expect(machine.queues('nvme0').filter(({ vector }) => vector >= 0).length).toBe(granted + 1);
    await Promise.all([0, 1, 2, 3].map((at) => machine.disk('nvme0n1').write(at * 4096, pattern(4096, at))));
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([
    ['logs', GET_LOG],
    ['doorbell buffers', DBBUF],
    ['asynchronous events', AER],
  ])('goes on without %s', async (_what, refused) => {
    const faults = new Faults();
    faults.onCommand = (sqid, _cid, opcode) =>
      sqid === 0 && opcode === refused ? { kind: FAULT_STATUS, status: 0x002 | DNR } : null;
    const machine = await machineWith({}, {}, { faultPlans: [faults] });
    await machine.modprobe('nvme');
    await machine.disk('nvme0n1').write(0, pattern(65536));
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 65536), pattern(65536))).toBe(-1);
    if (refused === DBBUF) expect(log(machine)).toContain('nvme nvme0: unable to set dbbuf');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('resets the function when the controller does not leave the state it was handed over in', async () => {
    const CSTS = 0x1c;
    let stuck = true;
    const machine = await machineWith(
      { timeout: 2 },
      {},
      {
        parts: {
          controller: (description, deps) => {
            const inner = createNvmeController(description, deps);
            const { barRead, reset } = inner;
            inner.barRead = (bar, offset, size) => {
              const value = barRead.call(inner, bar, offset, size);
              return stuck && bar === 0 && offset === CSTS ? (value | 1) >>> 0 : value;
            };
            inner.reset = (kind) => {
              if (kind === 'flr') stuck = false;
              reset.call(inner, kind);
            };
            return inner;
          },
        },
      },
    );
    await machine.modprobe('nvme');
    const lines = log(machine);
    expect(
      lines.some((line) => line.startsWith('nvme nvme0: Device not ready; aborting reset, CSTS=0x1')),
      lines.join('\n'),
    ).toBe(true);
    expect(lines).toContain('nvme nvme0: controller reset completed after pcie flr');
    await machine.disk('nvme0n1').write(0, pattern(512));
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([
    [
      0x106b,
      0x2001,
      'depth 2 and one vector',
      [
        [32, 0],
        [2, 0],
      ],
    ],
    [
      0x144d,
      0xa821,
      'the depth its CAP gives',
      [
        [32, 0],
        [1024, 1],
        [1024, 2],
        [1024, 3],
        [1024, 4],
      ],
    ],
  ])('knows %i:%i, which gets %s', async (vendor, device, _what, expected) => {
    const machine = await machineWith(
      {},
      {},
      {
        parts: {
          controller: (description, deps) => {
            const inner = createNvmeController(description, deps);
            const { configRead } = inner;
            const id = [vendor & 0xff, vendor >> 8, device & 0xff, device >> 8];
            inner.configRead = (offset, size) => {
              if (offset >= 4) return configRead.call(inner, offset, size);
              let value = 0;
              for (let i = size - 1; i >= 0; i--) value = value * 256 + (id[offset + i] as number);
              return value;
            };
            return inner;
          },
        },
      },
    );
    await machine.modprobe('nvme');
    expect(machine.queues('nvme0').map(({ depth, vector }) => [depth, vector])).toEqual(expected);
    await machine.disk('nvme0n1').write(0, pattern(65536));
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 65536), pattern(65536))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });
});
