/** A queue's places, its lock and its identifiers while commands go through it, on each kernel. */
import type { SpinLock } from '@nvme-stack/kernel';
import type { MachineOptions } from '@nvme-stack/machine';
import type { FaultPlan } from '@nvme-stack/nvme-controller/ports';
import { createPciBus } from '@nvme-stack/pci-bus';
import { describe, expect, it } from 'vitest';
import { codeOf, firstDifference, KIB, leftBehind, log, pattern } from '../features/bench.js';
import { ALL, NVME_BDF, OLD, plugged, READS, running } from './bench.js';

const SQE_WORDS = 16;

interface NvmeQueue {
  readonly sqLock: SpinLock;
  readonly sqWords: Uint32Array;
  readonly sqTail: number;
  readonly qDepth: number;
  readonly cqWords: Uint32Array;
}

/** The queue as the driver has it. */
function queueOf(machine: Awaited<ReturnType<typeof running>>, qid: number): NvmeQueue {
  const { pdev } = machine.device(NVME_BDF);
  if (pdev === null) throw new Error('no device');
  const bound = pdev.dev.driverData as { readonly dev: { readonly queues: NvmeQueue[] } };
  return bound.dev.queues[qid] as NvmeQueue;
}

/** Told of each write to a register or doorbell, before it is done. */
function watching(told: (offset: number, value: number) => void): MachineOptions {
  return {
    parts: {
      pciBus: (deps) => {
        const real = createPciBus(deps);
        const ioremap: typeof real.ioremap = (...args) => {
          const region = real.ioremap(...args);
          if (region === null) return null;
          const { writel } = region;
          region.writel = (offset, value) => {
            told(offset, value);
            writel.call(region, offset, value);
          };
          return region;
        };
        return new Proxy(real, { get: (target, key) => (key === 'ioremap' ? ioremap : Reflect.get(target, key)) });
      },
    },
  };
}

describe('the tail doorbell', () => {
  // @acceptance 105 107
  it.each(ALL)('of %s is written under the queue’s lock, when every command is in its slot', async (profile) => {
    const TAIL_OF_1 = 0x1008;
    const WRITE = 1;
    const rings: { readonly isLocked: boolean; readonly opcodes: number[] }[] = [];
    let queue: NvmeQueue | null = null;
    let rung = 0;
    const machine = await running(
      profile,
      { cpus: 1, nvme: [{ dbbuf: false, namespaces: [{ sizeMiB: 8 }] }] },
      watching((offset, value) => {
        if (queue === null || offset !== TAIL_OF_1) return;
        const opcodes: number[] = [];
        for (; rung !== value; rung = (rung + 1) % queue.qDepth) {
          opcodes.push((queue.sqWords[rung * SQE_WORDS] as number) & 0xff);
        }
        rings.push({ isLocked: queue.sqLock.owner !== null, opcodes });
      }),
    );
    queue = queueOf(machine, 1);
    rung = queue.sqTail;
    expect(queue.sqLock.name).toBe(`nvme_queue.${OLD.includes(profile) ? 'q_lock' : 'sq_lock'}`);
    const disk = machine.disk('nvme0n1');
    await Promise.all(Array.from({ length: 8 }, (_, at) => disk.write(at * 64 * KIB, pattern(4 * KIB, at))));
    expect(rings.length).toBeGreaterThan(0);
    expect(rings.every(({ isLocked, opcodes }) => isLocked && opcodes.every((opcode) => opcode === WRITE))).toBe(true);
    expect(rings.flatMap(({ opcodes }) => opcodes).length).toBe(8);
    expect(queue.sqLock.owner).toBe(null);
  });
});

describe('a queue that is set up again', () => {
  // @acceptance 112
  it.each(ALL)('of %s is empty, at its start and in phase 1, wherever it was', async (profile) => {
    const machine = await running(profile, { cpus: 1, nvme: [{ mqes: 4, namespaces: [{ sizeMiB: 8 }] }] });
    const disk = machine.disk('nvme0n1');
    const own = () => machine.queues('nvme0')[1];
    for (let round = 0; own()?.cqPhase === 1 || own()?.cqHead === 0; round++)
      await disk.write(round * 512, pattern(512));
    expect(own()).toMatchObject({ cqPhase: 0 });
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    expect(own()).toMatchObject({ cqPhase: 1 });
    const { cqHead, sqTail } = own() as NonNullable<ReturnType<typeof own>>;
    // What the reset itself has read of the disk went through it already.
    expect(sqTail).toBe(cqHead);
    expect([...queueOf(machine, 1).cqWords.subarray(cqHead * 4)].every((word) => word === 0)).toBe(true);
    await disk.write(0, pattern(64 * KIB));
    expect(firstDifference(await disk.read(0, 64 * KIB), pattern(64 * KIB))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('an entry for nobody', () => {
  // @acceptance 115
  it.each(ALL)('is reported by %s as an invalid id and ends nothing; its command times out', async (profile) => {
    const faults = { faults: [{ kind: 'completion', command: 'write', cid: 0x7ff, times: 1 }] } as const;
    const machine = await running(profile, { cpus: 1, nvme: [{ faults, namespaces: [{ sizeMiB: 8 }] }] });
    const data = pattern(4 * KIB);
    // A command as old as its time-out is not sent again by the older kernels.
    expect(await codeOf(machine.disk('nvme0n1').write(0, data))).toBe(OLD.includes(profile) ? 'EIO' : null);
    const lines = log(machine);
    const reported = lines.findIndex((line) => line.includes('invalid id 2047 completed on queue 1'));
    expect(reported).toBeGreaterThan(0);
    expect(lines.slice(reported).some((line) => /timeout, aborting/.test(line))).toBe(true);
    if (OLD.includes(profile)) await machine.disk('nvme0n1').write(0, data);
    expect(firstDifference(await machine.disk('nvme0n1').read(0, data.length), data)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([
    ['6.12', 'off'],
    ['6.12', 'full'],
    ['6.1', 'off'],
    ['6.1', 'full'],
  ] as const)(
    'is dropped when it guesses the next use of one that has just ended (%s, trace %s)',
    async (profile, trace) => {
      const seen: number[] = [];
      const plan: FaultPlan = {
        completion: (cqid, _sqid, cid) => {
          if (cqid !== 1 || !isArmed) return null;
          seen.push(cid);
          if (seen.length !== 3) return null;
          const [first] = seen as [number];
          return { cid: ((first + 0x1000) & 0xf000) | (first & 0xfff) };
        },
      };
      let isArmed = false;
      const machine = await running(
        profile,
        { cpus: 2, trace, nvme: [{ namespaces: [{ sizeMiB: 8 }] }] },
        { faultPlans: [plan] },
      );
      isArmed = true;
      await plugged(machine);
      expect(seen.length).toBeGreaterThan(READS);
      // The one whose entry was altered is found by its time-out, and no other is lost.
      expect(log(machine).filter((line) => /timeout, (aborting|completion polled)/.test(line)).length).toBe(1);
      const data = pattern(64 * KIB);
      await machine.disk('nvme0n1').write(0, data);
      expect(firstDifference(await machine.disk('nvme0n1').read(0, data.length), data)).toBe(-1);
      expect(await leftBehind(machine)).toEqual([]);
    },
  );
});
