/** A block layer on a kernel of its own, for this package's tests: the real parts where they exist. */
import { createDeviceCore } from '@nvme-stack/device-core';
import type { Device, DeviceCore } from '@nvme-stack/device-core/ports';
import type { Irqs } from '@nvme-stack/irq/ports';
import { createKernel, type FrontDoor, type HostLoop, type Kernel, type KernelOptions } from '@nvme-stack/kernel';
import { createWorkqueues } from '@nvme-stack/workqueue';
import type { Workqueues } from '@nvme-stack/workqueue/ports';
import { createBlkMq } from '../index.js';
import type { BlkMq, BlkMqTagSet, BlkMqTagSetInit, Gendisk, QueueLimits } from '../ports.js';
import { RamDriver, type RamDriverOptions } from './ram-driver.js';

declare const setImmediate: (fn: () => void) => unknown;
declare const setTimeout: (fn: () => void, ms: number) => unknown;
declare const clearTimeout: (handle: unknown) => void;

const macrotask = setImmediate;
const host: HostLoop = {
  macrotask: (fn) => {
    macrotask(fn);
  },
  after: (delayNs, fn) => {
    const handle = setTimeout(fn, delayNs / 1e6);
    return () => clearTimeout(handle);
  },
};

export interface TestMachine {
  readonly kernel: Kernel;
  readonly door: FrontDoor;
  readonly deviceCore: DeviceCore;
  readonly workqueues: Workqueues;
  readonly blkMq: BlkMq;
  /** Runs `main` as a task. */
  run<T>(main: () => Promise<T>, cpu?: number): Promise<T>;
}

/** CPUs in contiguous groups of as equal a size as possible. */
export function evenGroups(nrCpus: number, groups: number): number[][] {
  const result: number[][] = Array.from({ length: groups }, () => []);
  for (let cpu = 0; cpu < nrCpus; cpu++) result[Math.floor((cpu * groups) / nrCpus)].push(cpu);
  return result;
}

export function createTestMachine(options: Partial<KernelOptions> = {}, forceGpt = false): TestMachine {
  const { kernel, door } = createKernel({
    host,
    nrCpus: 4,
    memoryBytes: 16 << 20,
    trace: 'full',
    checks: 'full',
    ...options,
  });
  const workqueues = createWorkqueues({ kernel });
  const deviceCore = createDeviceCore({ kernel, workqueues });
  const irqs = { kernel, groupCpusEvenly: (n: number) => evenGroups(kernel.nrCpus, n) } as unknown as Irqs;
  const blkMq = createBlkMq({ kernel, deviceCore, workqueues, irqs, forceGpt });
  const run = async <T>(main: () => Promise<T>, cpu = 0): Promise<T> => await door.call('test', main, cpu);
  return { kernel, door, deviceCore, workqueues, blkMq, run };
}

/** A tag set of 4 hardware queues with 32 tags each, unless told otherwise. */
export function setInit(driver: RamDriver, changes: Partial<BlkMqTagSetInit> = {}): BlkMqTagSetInit {
  return {
    name: 'ram',
    ops: driver,
    nrHwQueues: 4,
    nrMaps: 1,
    queueDepth: 32,
    reservedTags: 0,
    numaNode: 0,
    timeoutNs: 30e9,
    flags: 0,
    driverData: driver,
    ...changes,
  };
}

/** Limits like those of an NVMe device of 1 MiB transfers. */
export const TEST_LIMITS: Partial<QueueLimits> = {
  maxHwSectors: 1024,
  maxSegments: 127,
  virtBoundaryMask: 4095,
  dmaAlignmentMask: 3,
  writeCache: true,
  fua: true,
  maxDiscardSectors: 4194303,
  maxDiscardSegments: 256,
  discardGranularityBytes: 512,
  maxWriteZeroesSectors: 1024,
};

export interface TestDisk {
  readonly driver: RamDriver;
  readonly set: BlkMqTagSet;
  readonly disk: Gendisk;
  readonly parent: Device;
}

/** A disk that has been named and sized, not yet live. Task context. */
export async function makeDisk(
  m: TestMachine,
  driver: RamDriver,
  changes: Partial<BlkMqTagSetInit> = {},
  limits: Partial<QueueLimits> = TEST_LIMITS,
): Promise<TestDisk> {
  const set = m.blkMq.blkMqAllocTagSet(setInit(driver, changes));
  const disk = m.blkMq.blkMqAllocDisk(set, limits, driver);
  m.blkMq.setDiskName(disk, 'nvme0n1', {}, null);
  m.blkMq.setCapacityAndNotify(disk, driver.media.length / 512);
  const parent = m.deviceCore.deviceInitialize({ name: 'ctrl0', parent: null, container: null });
  await m.deviceCore.deviceAdd(parent);
  return { driver, set, disk, parent };
}

/** A live disk. Task context. */
export async function liveDisk(
  m: TestMachine,
  options: RamDriverOptions,
  changes: Partial<BlkMqTagSetInit> = {},
  limits: Partial<QueueLimits> = TEST_LIMITS,
): Promise<TestDisk> {
  const driver = new RamDriver(m.blkMq, options);
  const made = await makeDisk(m, driver, changes, limits);
  await m.blkMq.deviceAddDisk(made.parent, made.disk, []);
  driver.seen.length = 0;
  return made;
}

/** Function symbols and their depth, from entry `from` on. */
export function functionTree(kernel: Kernel, from: number): string[] {
  return kernel.trace.entries
    .slice(from)
    .filter(({ kind }) => kind === 'function')
    .map(({ depth, symbol }) => `${'  '.repeat(depth)}${symbol}`);
}
