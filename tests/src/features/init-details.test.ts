/** What the driver finds out and sets while it starts a controller, on each kernel where they differ. */
import type { CoherentMemory, DmaDevice, DmaOps, KernelProfile } from '@nvme-stack/kernel/ports';
import type { Machine, MachineDescription, MachineOptions } from '@nvme-stack/machine';
import type { NvmeController } from '@nvme-stack/nvme-controller/ports';
import { NVME_IOCTL_ADMIN_CMD, type NvmePassthruCmd } from '@nvme-stack/nvme-core/ports';
import { createPlatformSim } from '@nvme-stack/platform-sim';
import { describe, expect, it } from 'vitest';
import { ALL, calls, during, machineOf, REG_CC, writesTo } from '../profiles/bench.js';
import { firstDifference, KIB, leftBehind, log, NVME_BDF, pattern } from './bench.js';

type Controller = NonNullable<MachineDescription['nvme']>[number];

const GET_FEATURES = 0x0a;
const FEAT_TEMP_THRESH = 0x04;
const FEAT_TIMESTAMP = 0x0e;
const CQE_BYTES = 16;
const WEAK: MachineOptions = { parts: { platform: (deps) => createPlatformSim({ ...deps, weakMemory: true }) } };

function described(
  profile: KernelProfile,
  nvme: Controller,
  more: MachineDescription = {},
  options: MachineOptions = {},
): Promise<Machine> {
  const controller = { preset: 'qemu-7.2' as const, namespaces: [{ sizeMiB: 8 }], ...nvme };
  return machineOf(profile, { ...more, nvme: [controller] }, options);
}

async function started(...args: Parameters<typeof described>): Promise<Machine> {
  const machine = await described(...args);
  await load(machine);
  return machine;
}

async function load(machine: Machine): Promise<void> {
  await machine.modprobe('nvme');
  await machine.settle();
}

async function getFeature(machine: Machine, feature: number, data?: Uint8Array): Promise<number | undefined> {
  const command: NvmePassthruCmd = { opcode: GET_FEATURES, cdw10: feature, data };
  expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, command)).toBe(0);
  return command.result;
}

async function keepsData(machine: Machine): Promise<void> {
  const disk = machine.disk('nvme0n1');
  const data = pattern(64 * KIB, 3);
  await disk.write(4 * KIB, data);
  expect(firstDifference(await disk.read(4 * KIB, data.length), data)).toBe(-1);
}

/** How the controller reaches memory, for a test that changes it. */
function dmaOf(machine: Machine): {
  readonly dev: DmaDevice;
  readonly ops: { -readonly [K in keyof DmaOps]: DmaOps[K] };
} {
  const dev = machine.device(NVME_BDF).pdev?.dev.dma;
  if (!dev) throw new Error('no device');
  return { dev, ops: dev.ops };
}

/** Blocks in use of each of the driver's pools. */
function blocksInUse(machine: Machine): Record<string, number> {
  const lines = machine.sysfs.read(`/sys/bus/pci/devices/${NVME_BDF}/pools`).split('\n').slice(1, -1);
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, 16).trim(), Number(line.slice(17).trim().split(/ +/)[0])]),
  );
}

describe('queues', () => {
  // @acceptance 35 98 100
  it.each(ALL)(
    'of %s are the admin queue, number 0, and one for each CPU; each has its own places and phase',
    async (profile) => {
      const machine = await started(profile, {}, { cpus: 3 });
      await keepsData(machine);
      const queues = machine.queues('nvme0');
      expect(queues.map(({ qid }) => qid)).toEqual([0, 1, 2, 3]);
      expect(queues.slice(1).flatMap(({ cpus }) => cpus)).toEqual([0, 1, 2]);
      for (const { depth, sqTail, cqHead, cqPhase } of queues) {
        expect(sqTail).toBeLessThan(depth);
        expect(cqHead).toBeLessThan(depth);
        expect([0, 1]).toContain(cqPhase);
      }
      expect(await leftBehind(machine)).toEqual([]);
    },
  );

  // @acceptance 75 101
  it.each(
    ALL.flatMap(
      (profile) =>
        [
          [profile, 7, 8],
          [profile, 0x7ff, 1024],
        ] as const,
    ),
  )('of %s are as deep as MQES says (%i), and no deeper than the driver wants: %i', async (profile, mqes, depth) => {
    const machine = await started(profile, { mqes }, { cpus: 1 });
    expect(machine.queues('nvme0')[1].depth).toBe(depth);
    await keepsData(machine);
  });

  // @acceptance 76
  it.each(ALL)('of %s have their doorbells where the stride puts them', async (profile) => {
    const machine = await described(profile, { dstrd: 2, dbbuf: false }, { cpus: 1 });
    const entries = await during(machine, () => load(machine));
    for (const slot of [0, 1, 2, 3]) expect(writesTo(entries, 0x1000 + slot * 16).length).toBeGreaterThan(0);
    for (const slot of [1, 2, 3]) expect(writesTo(entries, 0x1000 + slot * 4)).toEqual([]);
    await keepsData(machine);
  });

  // @acceptance 92
  it.each(ALL)('of %s: from 5.1 on the admin vector stays out of what is spread over CPUs', async (profile) => {
    const machine = await described(profile, {}, { cpus: 2 });
    const entries = await during(machine, () => load(machine));
    const isNew = profile === '6.1' || profile === '6.12';
    expect(calls(entries, 'nvme_calc_irq_sets').length).toBe(isNew ? 1 : 0);
    expect(machine.queues('nvme0').map(({ vector }) => vector)).toEqual(isNew ? [0, 1, 2] : [0, 0, 1]);
  });
});

describe('memory', () => {
  // @acceptance 121
  it.each(ALL)('is in pages of 4 KiB for %s, as CC.MPS says', async (profile) => {
    const machine = await described(profile, {});
    const values = writesTo(await during(machine, () => load(machine)), REG_CC);
    expect(new Set(values.map((value) => (value >>> 7) & 0xf))).toEqual(new Set([0]));
    const entries = await during(machine, () => keepsData(machine));
    // One PRP for each page: 16 pages are written and read.
    const pages = entries.filter(({ kind, symbol }) => kind === 'dma' && symbol === 'pci_nvme_map_addr');
    expect(pages.length).toBe(32);
    expect(pages.every(({ args }) => (args[1] as number) === 4 * KIB)).toBe(true);
  });

  // @acceptance 40 42
  it.each(ALL)('of %s has pools of PRP lists, and what a request took is back when it has ended', async (profile) => {
    const machine = await described(profile, {});
    const entries = await during(machine, () => load(machine));
    expect(calls(entries, 'dma_pool_create').length).toBe(2);
    expect(blocksInUse(machine)).toEqual({ 'prp list page': 0, 'prp list 256': 0 });
    const pages = Array.from({ length: 40 }, () => machine.allocBuffer(4 * KIB));
    let ended = 0;
    await machine.task('two writes', async ({ blkMq }) => {
      for (const count of [8, 40]) {
        const bio = blkMq.allocBio(count);
        bio.disk = blkMq.lookup('nvme0n1')?.disk ?? null;
        bio.opf = 1;
        bio.sector = count * 64;
        for (let i = 0; i < count; i++) {
          bio.vecAddr[i] = pages[i].pages[0] as number;
          bio.vecLengthBytes[i] = 4 * KIB;
        }
        bio.sizeBytes = count * 4 * KIB;
        bio.vcnt = count;
        bio.endIo = () => {
          expect(bio.status).toBe(0);
          ended++;
        };
        blkMq.submitBio(bio);
      }
      expect(blocksInUse(machine)).toEqual({ 'prp list page': 1, 'prp list 256': 1 });
    });
    await machine.settle();
    expect(ended).toBe(2);
    expect(blocksInUse(machine)).toEqual({ 'prp list page': 0, 'prp list 256': 0 });
    for (const page of pages) page.free();
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each(ALL)('of a command is at most two pages for %s where MDTS is 1', async (profile) => {
    const machine = await started(profile, { mdts: 1 });
    expect(machine.sysfs.read('/sys/block/nvme0n1/queue/max_hw_sectors_kb')).toBe('8\n');
    const entries = await during(machine, () => keepsData(machine));
    const commands = entries.filter(({ kind, symbol }) => kind === 'sqe' && symbol === 'pci_nvme_io_cmd');
    // 64 KiB written and read.
    expect(commands.length).toBe(16);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 68
  it.each(ALL)('of the function is decoded, at full power, once %s has it', async (profile) => {
    const machine = await started(profile, {});
    const { pdev } = machine.device(NVME_BDF);
    const { pciBus } = machine.subsystems;
    if (pdev === null) throw new Error('no device');
    const command = await machine.task('look', async () => pciBus.pciReadConfigWord(pdev, 4));
    // Memory space and bus mastering.
    expect(command & 6).toBe(6);
    expect(machine.sysfs.read(`/sys/bus/pci/devices/${NVME_BDF}/power_state`)).toBe('D0\n');
    expect(machine.sysfs.read(`/sys/bus/pci/devices/${NVME_BDF}/enable`)).toBe('1\n');
  });

  // @acceptance 70
  it.each(ALL)('above 4 GiB is not for %s where the platform cannot reach it', async (profile) => {
    const machine = await described(profile, {});
    const { dev, ops } = dmaOf(machine);
    const asked: number[] = [];
    ops.supported = (_dev, maskBits) => {
      asked.push(maskBits);
      return maskBits <= 32;
    };
    dev.dmaMaskBits = dev.coherentDmaMaskBits = 32;
    await load(machine);
    expect([dev.dmaMaskBits, dev.coherentDmaMaskBits]).toEqual([32, 32]);
    // Only kernels before 5.x ask for less themselves; later ones keep what the bus has set.
    expect(asked).toEqual(profile.startsWith('4') ? [64, 32, 32] : [64]);
    await keepsData(machine);
  });
});

describe('a controller with an admin queue alone', () => {
  it.each(ALL)('is kept by %s, which says so; commands reach it, and no disk appears', async (profile) => {
    const machine = await started(profile, { maxIoQueuePairs: 0 });
    expect(log(machine)).toContain('nvme nvme0: IO queues not created');
    expect(machine.queues('nvme0').map(({ qid }) => qid)).toEqual([0]);
    expect(machine.sysfs.exists('/sys/block/nvme0n1')).toBe(false);
    expect(await getFeature(machine, FEAT_TEMP_THRESH)).toBe(343);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('the time of day', () => {
  it.each([
    ['6.12', true],
    ['6.1', true],
    ['4.13', false],
    ['4.10', false],
  ] as const)('is told to a controller by %s: %s', async (profile, isTold) => {
    const bootTimeMs = 1_700_000_000_123;
    const machine = await started(profile, {}, { bootTimeMs });
    const bytes = new Uint8Array(8);
    await getFeature(machine, FEAT_TIMESTAMP, bytes);
    const view = new DataView(bytes.buffer);
    const ms = view.getUint32(0, true) + view.getUint16(4, true) * 2 ** 32;
    const passed = ms - bootTimeMs;
    if (isTold) {
      expect(passed).toBeGreaterThanOrEqual(0);
      expect(passed).toBeLessThan(60_000);
      // Origin 001b: a host has set it.
      expect((bytes[6] >> 1) & 7).toBe(1);
    } else {
      expect(passed).toBeLessThan(0);
      expect((bytes[6] >> 1) & 7).toBe(0);
    }
  });
});

describe('a device that sees a copy of memory', () => {
  const CAPABLE: Controller = { hmb: { preferredKiB: 256, minimumKiB: 64 }, cmb: { sizeMiB: 1 } };

  // @acceptance 114
  it.each(ALL)('of %s gives what it has written only to one who puts a barrier before the look', async (profile) => {
    const whole = await started(profile, {}, {}, WEAK);
    expect(await getFeature(whole, FEAT_TEMP_THRESH)).toBe(343);
    expect(await leftBehind(whole)).toEqual([]);

    const machine = await described(profile, {}, {}, WEAK);
    const { ops } = dmaOf(machine);
    const { allocCoherent } = ops;
    let isForgetful = false;
    ops.allocCoherent = function (this: DmaOps, dev, sizeBytes): CoherentMemory | null {
      const memory = allocCoherent.call(ops, dev, sizeBytes);
      if (memory === null) return null;
      const acquire = memory.acquire.bind(memory);
      memory.acquire = (offset, lengthBytes) => {
        if (!(isForgetful && lengthBytes === CQE_BYTES)) acquire(offset, lengthBytes);
      };
      return memory;
    };
    await load(machine);
    expect(await getFeature(machine, FEAT_TEMP_THRESH)).toBe(343);
    // With the barrier between phase and body gone, the body is what was there before.
    isForgetful = true;
    expect(await getFeature(machine, FEAT_TEMP_THRESH)).not.toBe(343);
  });

  it.each(ALL)('has its host memory, SGLs and queues in its own memory with %s', async (profile) => {
    const machine = await started(profile, CAPABLE, {}, WEAK);
    await keepsData(machine);
    const { hmb } = machine.device(NVME_BDF).function as NvmeController;
    expect(hmb?.enabled).toBe(profile !== '4.10');
    expect(machine.subsystems.platform.dmaFaultCount).toBe(0);
    expect(await leftBehind(machine)).toEqual([]);
  });
});
