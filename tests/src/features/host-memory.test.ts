import type { Machine, MachineDescription } from '@nvme-stack/machine';
import type { NvmeController } from '@nvme-stack/nvme-controller/ports';
import { describe, expect, it } from 'vitest';
import {
  codeOf,
  firstDifference,
  KIB,
  leftBehind,
  log,
  MIB,
  machineWith,
  NVME_BDF,
  pattern,
  SECOND_NS,
} from './bench.js';
import { events, featuresSet, mark } from './device-events.js';

const CTRL = '/sys/class/nvme/nvme0';
const HOST_MEM_BUF = 0x0d;
const LOOKUP_NS = 100_000;

type Hmb = NonNullable<NonNullable<MachineDescription['nvme']>[number]['hmb']>;

async function started(hmb: Partial<Hmb> = {}, params: Record<string, unknown> = {}, more: MachineDescription = {}) {
  const machine = await machineWith(
    { dbbuf: false, hmb: { preferredKiB: 8192, lookupNs: LOOKUP_NS, ...hmb }, namespaces: [{ sizeMiB: 32 }] },
    { trace: 'full', ...more },
  );
  await machine.modprobe('nvme', params);
  return machine;
}

function report(machine: Machine): NonNullable<NvmeController['hmb']> {
  const { hmb } = machine.device(NVME_BDF).function as NvmeController;
  if (hmb === null) throw new Error('no host memory buffer');
  const { enabled, sizeBytes, hits, misses, corrupted } = hmb;
  return { enabled, sizeBytes, hits, misses, corrupted };
}

/** Values of Set Features 0Dh so far. */
function told(machine: Machine, from = 0): number[] {
  return featuresSet(machine, from).flatMap(([fid, bits]) => (fid === HOST_MEM_BUF ? [bits] : []));
}

async function timeOf(machine: Machine, work: () => Promise<unknown>): Promise<number> {
  const start = machine.nowNs;
  await work();
  return machine.nowNs - start;
}

describe('host memory for the controller', () => {
  it('is lent at probe, as much as it prefers, before the I/O queues are set up', async () => {
    const machine = await started();
    expect(log(machine)).toContain('nvme nvme0: allocated 8 MiB host memory buffer.');
    expect(report(machine)).toMatchObject({ enabled: true, sizeBytes: 8 * MIB });
    const order = featuresSet(machine).map(([fid]) => fid);
    expect(order.indexOf(HOST_MEM_BUF)).toBeLessThan(order.indexOf(0x07));
    expect(machine.sysfs.read(`${CTRL}/hmb`)).toBe('1\n');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is used by it: a place that is noted there needs no look-up on the medium', async () => {
    const machine = await started();
    const disk = machine.disk('nvme0n1');
    const at = 12 * MIB;
    const before = report(machine);
    const first = await timeOf(machine, () => disk.read(at, 4 * KIB));
    const second = await timeOf(machine, () => disk.read(at, 4 * KIB));
    expect(first - second).toBeGreaterThan(LOOKUP_NS / 2);
    const after = report(machine);
    expect([after.misses - before.misses, after.hits - before.hits, after.corrupted]).toEqual([1, 1, 0]);
    const [read] = events(machine, 'dma_read', mark(machine) - 400).filter(([, , length]) => length === 32);
    expect(read).toBeDefined();
  });

  it('that the host has spoilt is noticed, and the data are right all the same', async () => {
    const machine = await started();
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(64 * KIB));
    await disk.read(0, 4 * KIB);
    const { memory } = machine.subsystems.kernel;
    const [entry] = events(machine, 'dma_read')
      .filter(([, , length]) => length === 32)
      .slice(-1);
    const address = entry?.[1] as number;
    memory.bytes[address + 12] = (memory.bytes[address + 12] as number) ^ 1;
    expect(firstDifference(await disk.read(0, 64 * KIB), pattern(64 * KIB))).toBe(-1);
    expect(report(machine).corrupted).toBe(1);
    expect(firstDifference(await disk.read(0, 64 * KIB), pattern(64 * KIB))).toBe(-1);
    expect(report(machine).corrupted).toBe(1);
  });

  it('is not touched after it was taken back', async () => {
    const machine = await started();
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(4 * KIB));
    const before = mark(machine);
    await machine.sysfs.write(`${CTRL}/hmb`, '0');
    expect(told(machine, before)).toEqual([0]);
    expect(machine.sysfs.read(`${CTRL}/hmb`)).toBe('0\n');
    const afterwards = mark(machine);
    await disk.read(0, 4 * KIB);
    await disk.write(8 * MIB, pattern(4 * KIB));
    const small = [...events(machine, 'dma_read', afterwards), ...events(machine, 'dma_write', afterwards)];
    expect(small.filter(([, , length]) => length === 32)).toEqual([]);
    // Its pages are free again, so a use of them would be a fault.
    expect(machine.subsystems.platform.dmaFaults).toEqual([]);
    await machine.sysfs.write(`${CTRL}/hmb`, '1');
    expect(told(machine, before)).toEqual([0, 1]);
    expect(report(machine).enabled).toBe(true);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('comes back after a reset with what it held', async () => {
    const machine = await started();
    const disk = machine.disk('nvme0n1');
    await disk.read(16 * MIB, 4 * KIB);
    const before = mark(machine);
    await machine.sysfs.write(`${CTRL}/reset_controller`, '1');
    // Enabled, and returned as it was.
    expect(told(machine, before)).toEqual([3]);
    const { hits } = report(machine);
    await disk.read(16 * MIB, 4 * KIB);
    expect(report(machine).hits).toBe(hits + 1);
    expect(log(machine).filter((line) => line.includes('allocated')).length).toBe(1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([
    ['no more than max_host_mem_size_mb', { preferredKiB: 8192 }, { max_host_mem_size_mb: 3 }, 3],
    ['in pieces where memory is not in one', { preferredKiB: 20480, maximumPieces: 8 }, {}, 20],
    ['no more pieces than it takes', { preferredKiB: 20480, maximumPieces: 2 }, {}, 8],
  ])('is lent %s', async (_, hmb, params, mib) => {
    const machine = await started(hmb, params);
    expect(log(machine)).toContain(`nvme nvme0: allocated ${mib} MiB host memory buffer.`);
    expect(report(machine)).toMatchObject({ enabled: true, sizeBytes: mib * MIB });
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is refused when the least it needs is above the limit; the controller works without', async () => {
    const machine = await started({ minimumKiB: 4096 }, { max_host_mem_size_mb: 2 });
    expect(log(machine)).toContain('nvme nvme0: min host memory (4 MiB) above limit (2 MiB).');
    expect(told(machine)).toEqual([]);
    expect(machine.sysfs.read(`${CTRL}/hmb`)).toBe('0\n');
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB));
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is not lent when memory is short', async () => {
    const machine = await started({ preferredKiB: 65536, minimumKiB: 65536 }, {}, { memoryMiB: 32 });
    expect(log(machine)).toContain('nvme nvme0: failed to allocate host memory buffer.');
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB));
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is not spoken of where the controller does not ask for any', async () => {
    const machine = await machineWith({}, { trace: 'full' });
    await machine.modprobe('nvme');
    expect(machine.sysfs.exists(`${CTRL}/hmb`)).toBe(false);
    expect(told(machine)).toEqual([]);
  });

  it('is taken back on 4.13 before the controller is disabled, and lent again as it was', async () => {
    const machine = await started({}, {}, { profile: '4.13' });
    await machine.run(SECOND_NS);
    expect(told(machine)).toEqual([1]);
    expect(machine.sysfs.exists(`${CTRL}/hmb`)).toBe(false);
    const before = mark(machine);
    await machine.sysfs.write(`${CTRL}/reset_controller`, '1');
    await machine.run(SECOND_NS);
    expect(told(machine, before)).toEqual([0, 3]);
    await machine.disk('nvme0n1').write(0, pattern(64 * KIB));
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is not known on 4.10', async () => {
    const machine = await started({}, {}, { profile: '4.10' });
    await machine.run(SECOND_NS);
    expect(told(machine)).toEqual([]);
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB));
    expect(report(machine)).toMatchObject({ enabled: false, hits: 0 });
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('takes a yes or a no', async () => {
    const machine = await started();
    expect(await codeOf(machine.sysfs.write(`${CTRL}/hmb`, 'perhaps'))).toBe('EINVAL');
    expect(report(machine).enabled).toBe(true);
  });
});
