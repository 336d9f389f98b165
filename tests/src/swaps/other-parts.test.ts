/** Parts that are quite different from the machine's own run the same scenario. */
import { REQ_OP_READ } from '@nvme-stack/blk-mq/ports';
import { ioSchedulerContract, schedulerFixture } from '@nvme-stack/blk-mq/testing';
import { createKernel } from '@nvme-stack/kernel';
import { createPlainExecutor, createPlainMemory, createTestKernel } from '@nvme-stack/kernel/testing';
import { createMachine, type Machine, type MachineParts, PROFILES } from '@nvme-stack/machine';
import { createPlatformSim } from '@nvme-stack/platform-sim';
import { workqueuesContract } from '@nvme-stack/workqueue/testing';
import { describe, expect, it } from 'vitest';
import { pattern, runScenario, SCENARIO_MACHINE } from '../determinism/scenario.js';
import { reverseSchedulerType } from './reverse-scheduler.js';
import { ScrambledStore } from './scrambled-store.js';
import { createTaskWorkqueues } from './task-workqueues.js';

const withParts = (parts: MachineParts): Promise<Machine> => createMachine(SCENARIO_MACHINE, { parts });
const CLEAN = { wrongBytes: 0, leaks: [] };

describe('another medium', () => {
  it('keeps what the machine wrote, in its own way', async () => {
    const stores: ScrambledStore[] = [];
    const machine = await withParts({
      blockStore: ({ sizeBytes, readOnly }) => {
        const store = new ScrambledStore(sizeBytes, readOnly);
        stores.push(store);
        return store;
      },
    });
    expect(await runScenario(machine)).toMatchObject(CLEAN);
    const [store] = stores as [ScrambledStore];
    expect([store.writes, store.reads > 0]).toEqual([7, true]);
    expect(store.blockCount).toBe((20 + 6 * 6) * 2);
    const written = pattern(8192, 1, 1)[0] as number;
    expect(store.rawByte(8192)).toBe(written ^ 0xa5);
  });
});

describe('memory that places its pages otherwise', () => {
  it('serves the scenario and gets every page back', async () => {
    let pagesFree = 0;
    const machine = await withParts({
      kernel: (options) =>
        createKernel({
          ...options,
          memory: (live, onBug) => {
            const { nrNodes = 1 } = options;
            const memory = createPlainMemory({ sizeBytes: 16 << 20, nrNodes, live, onBug });
            pagesFree = memory.freePageCount;
            return memory;
          },
        }),
    });
    const { memory } = machine.subsystems.kernel;
    expect(pagesFree).toBe(4095);
    const buffer = machine.allocBuffer(3 * 4096);
    const [first, second, third] = buffer.pages as [number, number, number];
    expect([second - first, third - second].every((step) => step > 4096)).toBe(true);
    buffer.free();
    expect(await runScenario(machine)).toMatchObject(CLEAN);
    expect(memory.freePageCount).toBe(pagesFree);
  });
});

describe('an executor with one list and no queues', () => {
  const withPlainExecutor = (description = SCENARIO_MACHINE): Promise<Machine> =>
    createMachine(description, {
      parts: { kernel: (options) => createKernel({ ...options, makeExecutor: createPlainExecutor }) },
    });

  it.each(PROFILES)('carries a machine of profile %s from insmod to rmmod', async (profile) => {
    const description = { ...SCENARIO_MACHINE, profile };
    const machine = await withPlainExecutor(description);
    const usual = await createMachine(description);
    // On 4.x insmod returns while the controller is still being reset.
    for (const one of [machine, usual]) expect(await runScenario(one, () => one.settle())).toMatchObject(CLEAN);
    const text = (of: Machine): string[] => of.dmesg().map((line) => line.replace(/^\[ *[\d.]+\] /, ''));
    expect(text(machine)).toEqual(text(usual));
    expect(machine.subsystems.kernel.ex.constructor).not.toBe(usual.subsystems.kernel.ex.constructor);
  });

  it('gives the same run for the same seed, and other runs for other seeds', async () => {
    const hashes: string[] = [];
    for (const seed of [1, 1, 2, 3]) {
      const machine = await withPlainExecutor({ ...SCENARIO_MACHINE, interleave: true, seed });
      const result = await runScenario(machine);
      expect(result).toMatchObject(CLEAN);
      hashes.push(result.hash);
    }
    expect(hashes[0]).toBe(hashes[1]);
    expect(new Set(hashes).size).toBe(3);
  });

  it('takes a CPU off under I/O and brings it back', async () => {
    const machine = await withPlainExecutor();
    await machine.modprobe('nvme');
    const disk = machine.disk('nvme0n1');
    const writes = [1, 2, 3, 4].map((n) => disk.write(n * 65536, pattern(n * 65536, 65536, n)));
    await machine.cpu(2).offline();
    await Promise.all(writes);
    await machine.cpu(2).online();
    for (const n of [1, 2, 3, 4]) expect(await disk.read(n * 65536, 65536)).toEqual(pattern(n * 65536, 65536, n));
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });
});

describe('workqueues with a task for every work', () => {
  workqueuesContract({ describe, it, expect }, 'a task for every work', () => {
    const { kernel, door } = createTestKernel();
    return { kernel, door, workqueues: createTaskWorkqueues({ kernel }) };
  });

  it('carry a machine from insmod to rmmod', async () => {
    const machine = await withParts({ workqueue: createTaskWorkqueues });
    const tasks = new Set<string>();
    machine.trace.subscribe(({ task }) => tasks.add(task));
    expect(await runScenario(machine)).toMatchObject(CLEAN);
    expect(tasks).toContain('work nvme_reset_work');
    expect([...tasks].filter((name) => name.startsWith('kworker'))).toEqual([]);
  });
});

describe('a platform whose devices see a copy of memory', () => {
  it('runs the scenario: every barrier is in its place', async () => {
    const machine = await withParts({ platform: (deps) => createPlatformSim({ ...deps, weakMemory: true }) });
    expect(await runScenario(machine)).toMatchObject(CLEAN);
    expect(machine.subsystems.platform.dmaFaultCount).toBe(0);
  });
});

describe('another I/O scheduler', () => {
  it.each(ioSchedulerContract)('$name', async ({ run }) => {
    const machine = await createMachine(SCENARIO_MACHINE);
    await machine.modprobe('nvme');
    await machine.task('contract', async ({ blkMq }) => {
      const { disk } = blkMq.lookup('nvme0n1') as NonNullable<ReturnType<typeof blkMq.lookup>>;
      await run(schedulerFixture(reverseSchedulerType([]), disk.queue));
    });
  });

  it('decides the order of what is queued', async () => {
    const machine = await createMachine(SCENARIO_MACHINE);
    const sectors: number[] = [];
    await machine.modprobe('nvme');
    machine.subsystems.blkMq.registerScheduler(reverseSchedulerType(sectors));
    await machine.sysfs.write('/sys/block/nvme0n1/queue/scheduler', 'reverse');
    expect(machine.sysfs.read('/sys/block/nvme0n1/queue/scheduler')).toContain('[reverse]');
    await readUnderOnePlug(machine, [0, 400, 160, 800, 24]);
    expect(sectors).toEqual([800, 400, 160, 24, 0]);
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(0, 64 * 1024, 3));
    expect(await disk.read(0, 64 * 1024)).toEqual(pattern(0, 64 * 1024, 3));
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });
});

/** Reads one block at each sector, all submitted together. */
function readUnderOnePlug(machine: Machine, sectors: readonly number[]): Promise<void> {
  const buffer = machine.allocBuffer(sectors.length * 4096);
  return machine
    .task('reader', async ({ blkMq }) => {
      const { disk } = blkMq.lookup('nvme0n1') as NonNullable<ReturnType<typeof blkMq.lookup>>;
      const last = blkMq.allocBio(1);
      const plug = blkMq.blkStartPlug();
      const bios = sectors.map((sector, i) => {
        const bio = i === 0 ? last : blkMq.allocBio(1);
        bio.disk = disk;
        bio.opf = REQ_OP_READ;
        bio.sector = sector;
        bio.vecAddr[0] = buffer.pages[i] as number;
        bio.vecLengthBytes[0] = 4096;
        bio.vcnt = 1;
        bio.sizeBytes = 4096;
        return bio;
      });
      for (const bio of bios.slice(1)) blkMq.submitBio(bio);
      blkMq.submitBio(last);
      blkMq.blkFinishPlug(plug);
    })
    .then(async () => {
      await machine.settle();
      buffer.free();
    });
}
