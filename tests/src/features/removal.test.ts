import type { Machine } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { codeOf, firstDifference, KIB, leftBehind, log, NVME_BDF, pattern, running } from './bench.js';

const DRIVER = '/sys/bus/pci/drivers/nvme';
const SLOW = { kind: 'fixed', readNs: 50_000, writeNs: 80_000 } as const;
const CHUNK = 16 * KIB;

type Ended = PromiseSettledResult<void>;

function load(machine: Machine, count: number, salt = 0): Promise<Ended[]> {
  const disk = machine.disk('nvme0n1');
  return Promise.allSettled(Array.from({ length: count }, (_, i) => disk.write(i * CHUNK, pattern(CHUNK, salt + i))));
}

/** How often each outcome came: `ok`, or the code of the error. */
function outcomes(ended: readonly Ended[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const one of ended) {
    const key = one.status === 'fulfilled' ? 'ok' : (one.reason as { code: string }).code;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

function noTraceOfDriver(machine: Machine): void {
  expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
  expect(machine.sysfs.exists('/sys/block/nvme0n1')).toBe(false);
  expect(machine.procfs.read('/proc/interrupts')).not.toContain('nvme');
  expect(machine.procfs.read('/proc/iomem')).not.toContain('nvme');
}

describe('rmmod', () => {
  it.each([0, 5_000, 60_000, 200_000])('lets outstanding I/O finish or fail, %i ns into it', async (afterNs) => {
    const machine = await running({ latency: SLOW }, { cpus: 2 });
    const ended = load(machine, 48);
    await machine.run(afterNs);
    await machine.rmmod('nvme');
    const counts = outcomes(await ended);
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(48);
    for (const outcome of counts.keys()) expect(['ok', 'ENODEV', 'EIO']).toContain(outcome);
    noTraceOfDriver(machine);
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
    expect(log(machine).join('\n')).not.toMatch(/timeout|BUG|WARN/);
  });

  it('tells the controller of the shutdown: CC.SHN=01b, then CSTS.SHST=10b', async () => {
    const machine = await running({ shutdownDelayNs: 5e6 }, { trace: 'full' });
    const from = machine.trace.entries.length;
    await machine.rmmod('nvme');
    const writes = machine.trace.entries
      .slice(from)
      .filter(({ kind, symbol, args }) => kind === 'mmio' && symbol === 'pci_nvme_mmio_write' && args[0] === 0x14);
    expect((writes[0] as (typeof writes)[number]).args[1] & 0xc000).toBe(0x4000);
    const reads = machine.trace.entries
      .slice(from)
      .filter(({ kind, symbol, args }) => kind === 'mmio' && symbol === 'pci_nvme_mmio_read' && args[0] === 0x1c);
    expect(reads.length).toBeGreaterThan(2);
  });

  it('and insmod, three times over', async () => {
    const machine = await running({}, { cpus: 2 });
    for (let round = 0; round < 3; round++) {
      await load(machine, 4, round);
      await machine.rmmod('nvme');
      noTraceOfDriver(machine);
      await machine.modprobe('nvme');
      expect(firstDifference(await machine.disk('nvme0n1').read(0, CHUNK), pattern(CHUNK, round))).toBe(-1);
    }
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('of a module in use by another is refused', async () => {
    const machine = await running();
    await expect(machine.rmmod('nvme_core')).rejects.toMatchObject({ code: 'EAGAIN' });
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
  });
});

describe('sysfs', () => {
  it('unbinds the driver and binds it again', async () => {
    const machine = await running({}, { cpus: 2 });
    await load(machine, 4, 7);
    await machine.sysfs.write(`${DRIVER}/unbind`, NVME_BDF);
    noTraceOfDriver(machine);
    expect(machine.sysfs.exists(`/sys/bus/pci/devices/${NVME_BDF}/driver`)).toBe(false);
    expect(await codeOf(machine.sysfs.write(`${DRIVER}/unbind`, NVME_BDF))).toBe('ENODEV');
    await machine.sysfs.write(`${DRIVER}/bind`, NVME_BDF);
    await machine.settle();
    expect(machine.sysfs.readlink(`/sys/bus/pci/devices/${NVME_BDF}/driver`)).toMatch(/drivers\/nvme$/);
    expect(firstDifference(await machine.disk('nvme0n1').read(CHUNK, CHUNK), pattern(CHUNK, 8))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('unbinds under load', async () => {
    const machine = await running({ latency: SLOW }, { cpus: 2 });
    const ended = load(machine, 32);
    await machine.run(30_000);
    await machine.sysfs.write(`${DRIVER}/unbind`, NVME_BDF);
    for (const outcome of outcomes(await ended).keys()) expect(['ok', 'ENODEV', 'EIO']).toContain(outcome);
    noTraceOfDriver(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('removes a function in the middle of its reset, with more I/O waiting than there are tags: all of it ends', async () => {
    const machine = await running({ latency: SLOW, readyDelayNs: 50_000 }, { cpus: 1 });
    await machine.rmmod('nvme');
    await machine.modprobe('nvme', { io_queue_depth: 3 });
    const ended = load(machine, 24);
    const reset = codeOf(machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1'));
    await machine.sysfs.write(`/sys/bus/pci/devices/${NVME_BDF}/remove`, '1');
    expect(await reset).not.toBe(null);
    for (const outcome of outcomes(await ended).keys()) expect(['ok', 'ENODEV', 'EIO']).toContain(outcome);
    noTraceOfDriver(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('removes a function once, when two ask for it at the same time', async () => {
    const machine = await running({}, { cpus: 1 });
    const remove = (): Promise<string | null> =>
      codeOf(machine.sysfs.write(`/sys/bus/pci/devices/${NVME_BDF}/remove`, '1'));
    expect(await Promise.all([remove(), remove()])).toEqual([null, null]);
    noTraceOfDriver(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('removes a function, and a rescan finds it again', async () => {
    const machine = await running({}, { cpus: 2 });
    await load(machine, 2, 3);
    await machine.sysfs.write(`/sys/bus/pci/devices/${NVME_BDF}/remove`, '1');
    noTraceOfDriver(machine);
    expect(machine.sysfs.exists(`/sys/bus/pci/devices/${NVME_BDF}`)).toBe(false);
    await machine.sysfs.write('/sys/bus/pci/devices/0000:00:00.0/rescan', '1');
    await machine.settle();
    expect(firstDifference(await machine.disk('nvme0n1').read(0, CHUNK), pattern(CHUNK, 3))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('pulling the controller out', () => {
  it('at rest unbinds the driver', async () => {
    const machine = await running({}, { cpus: 2 });
    const disk = machine.disk('nvme0n1');
    await machine.device(NVME_BDF).unplug();
    await machine.settle();
    noTraceOfDriver(machine);
    expect(await codeOf(disk.read(0, 512))).not.toBe(null);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([0, 3_000, 40_000, 70_000])('ends I/O with an error, %i ns into it', async (afterNs) => {
    const machine = await running({ latency: SLOW }, { cpus: 2 });
    const ended = load(machine, 48);
    await machine.run(afterNs);
    const startNs = machine.nowNs;
    await machine.device(NVME_BDF).unplug();
    const counts = outcomes(await ended);
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(48);
    for (const outcome of counts.keys()) expect(['ok', 'ENODEV', 'EIO']).toContain(outcome);
    expect(counts.get('ok') ?? 0).toBeLessThan(48);
    expect(machine.nowNs - startNs).toBeLessThan(5e9);
    await machine.settle();
    noTraceOfDriver(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('in the middle of a reset ends the reset', async () => {
    const machine = await running({ latency: SLOW, readyDelayNs: 5e6 }, { cpus: 2 });
    const ended = load(machine, 16);
    const reset = codeOf(machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1'));
    await machine.run(2e6);
    await machine.device(NVME_BDF).unplug();
    expect(await reset).not.toBe(null);
    for (const outcome of outcomes(await ended).keys()) expect(['ok', 'ENODEV', 'EIO']).toContain(outcome);
    await machine.settle();
    noTraceOfDriver(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('and another in gives a second controller', async () => {
    const machine = await running({}, { cpus: 2 });
    const second = await machine.plug({ serial: 'second', namespaces: [{ sizeMiB: 2 }] });
    expect(second.pdev).not.toBe(null);
    expect(machine.sysfs.read('/sys/class/nvme/nvme1/state')).toBe('live\n');
    expect(machine.sysfs.read('/sys/class/nvme/nvme1/serial').trim()).toBe('second');
    const data = pattern(64 * KIB, 5);
    await machine.disk('nvme1n1').write(0, data);
    expect(firstDifference(await machine.disk('nvme1n1').read(0, data.length), data)).toBe(-1);
    await machine.disk('nvme0n1').write(0, pattern(KIB));
    await second.unplug();
    await machine.settle();
    expect(() => machine.disk('nvme1n1')).toThrow('there is no disk nvme1n1');
    expect(firstDifference(await machine.disk('nvme0n1').read(0, KIB), pattern(KIB))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('power', () => {
  it('goes down in order: the controller is told, and says that it is done', async () => {
    const machine = await running({}, { cpus: 2, trace: 'full' });
    const from = machine.trace.entries.length;
    await machine.shutdown();
    const cc = machine.trace.entries
      .slice(from)
      .filter(({ kind, symbol, args }) => kind === 'mmio' && symbol === 'pci_nvme_mmio_write' && args[0] === 0x14);
    expect(cc.length).toBe(1);
    expect((cc[0] as (typeof cc)[number]).args[1] & 0xc001).toBe(0x4001);
    const shst = machine.trace.entries
      .slice(from)
      .filter(({ kind, symbol }) => kind === 'function' && symbol === 'nvme_wait_ready');
    expect(shst.length).toBe(1);
    expect(log(machine).join('\n')).not.toContain('shutdown incomplete');
  });

  it('sleeps and wakes with its data and disks', async () => {
    const machine = await running({ latency: SLOW }, { cpus: 2 });
    await load(machine, 8, 2);
    await machine.suspend();
    expect(machine.procfs.read('/proc/interrupts')).not.toContain('nvme0q');
    await machine.resume();
    await machine.settle();
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    for (let i = 0; i < 8; i++) {
      expect(firstDifference(await machine.disk('nvme0n1').read(i * CHUNK, CHUNK), pattern(CHUNK, 2 + i))).toBe(-1);
    }
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('keeps I/O of a sleeping machine back until it wakes', async () => {
    const machine = await running({}, { cpus: 2 });
    await machine.suspend();
    const ended = load(machine, 4, 9);
    await machine.run(1e9);
    await machine.resume();
    expect(outcomes(await ended)).toEqual(new Map([['ok', 4]]));
    expect(firstDifference(await machine.disk('nvme0n1').read(0, CHUNK), pattern(CHUNK, 9))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });
});
