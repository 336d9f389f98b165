/**
 * A machine whose controller sees a copy of memory: only the driver's barriers move bytes there and back. With all of them a
 * whole run is as on any machine; without one of them something is wrong that can be seen.
 */
import type { CoherentMemory, DmaOps, KernelProfile } from '@nvme-stack/kernel/ports';
import type { Disk, Machine } from '@nvme-stack/machine';
import { NVME_IOCTL_ADMIN_CMD, type NvmePassthruCmd } from '@nvme-stack/nvme-core/ports';
import { createPlatformSim } from '@nvme-stack/platform-sim';
import { describe, expect, it } from 'vitest';
import { ALL, machineOf, NVME_BDF } from '../profiles/bench.js';
import { codeOf, firstDifference, KIB, leftBehind, log, MIB, pattern } from './bench.js';

const SQE_BYTES = 64;
const CQE_BYTES = 16;
const SMALL_LIST_BYTES = 256;
/** The smallest queue's; pages of shadow doorbells are smaller, two words for each queue. */
const LEAST_QUEUE_BYTES = 32 * CQE_BYTES;
const DEPTH = 1024;

type Move = 'publish' | 'acquire';
/** Which calls a driver without that barrier would leave out. */
type Barrier = (move: Move, lengthBytes: number, memory: CoherentMemory) => boolean;

const isDoorbell = (lengthBytes: number, { sizeBytes }: CoherentMemory): boolean =>
  lengthBytes === 4 && sizeBytes < LEAST_QUEUE_BYTES;

const BARRIERS = {
  'between the command and the doorbell': (move, length) => move === 'publish' && length === SQE_BYTES,
  'between the PRP list and the doorbell': (move, length) => move === 'publish' && length === SMALL_LIST_BYTES,
  'before the look at the phase': (move, length, memory) =>
    move === 'acquire' && length === 4 && !isDoorbell(length, memory),
  'between the phase and the rest of the entry': (move, length) => move === 'acquire' && length === CQE_BYTES,
  'between emptying a queue and creating it': (move, length) => move === 'publish' && length === DEPTH * CQE_BYTES,
} as const satisfies Record<string, Barrier>;
/** Kernels from 4.12 on have shadow doorbells. */
const SHADOW = {
  'between the shadow doorbell and the look at the event index': (move, length, memory) =>
    move === 'publish' && isDoorbell(length, memory),
  'before the look at the event index': (move, length, memory) => move === 'acquire' && isDoorbell(length, memory),
} as const satisfies Record<string, Barrier>;

interface WeakMachine {
  readonly machine: Machine;
  /** From now on the driver leaves these calls out. */
  forget(barrier: Barrier): void;
}

async function weakMachine(profile: KernelProfile): Promise<WeakMachine> {
  const machine = await machineOf(
    profile,
    { cpus: 2, trace: 'off' },
    { parts: { platform: (deps) => createPlatformSim({ ...deps, weakMemory: true }) } },
  );
  let left: Barrier = () => false;
  const ops = machine.device(NVME_BDF).pdev?.dev.dma?.ops as { -readonly [K in keyof DmaOps]: DmaOps[K] };
  const { allocCoherent } = ops;
  ops.allocCoherent = (dev, sizeBytes): CoherentMemory | null => {
    const memory = allocCoherent.call(ops, dev, sizeBytes);
    if (memory === null) return null;
    for (const move of ['publish', 'acquire'] as const) {
      const real = memory[move].bind(memory);
      memory[move] = (offset, lengthBytes) => {
        if (!left(move, lengthBytes, memory)) real(offset, lengthBytes);
      };
    }
    return memory;
  };
  await machine.modprobe('nvme');
  await machine.settle();
  return {
    machine,
    forget: (barrier) => {
      left = barrier;
    },
  };
}

/** Many commands at once, so that doorbells are left unrung: which of them failed, and how. */
async function crowd(disk: Disk, salt: number): Promise<readonly unknown[]> {
  const at = Array.from({ length: 48 }, (_, i) => MIB + i * 4 * KIB);
  const written = await Promise.all(at.map((offset) => codeOf(disk.write(offset, pattern(4 * KIB, salt + offset)))));
  const read = await codeOf(disk.read(MIB, 48 * 4 * KIB));
  return [...written, read];
}

/** What Get Features says of the temperature threshold: the first dword of an entry. */
async function threshold(machine: Machine): Promise<unknown> {
  const command: NvmePassthruCmd = { opcode: 0x0a, cdw10: 4 };
  return [await codeOf(machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, command)), command.result];
}

/** Writes, flushes, discards and reads, resets, and does it again; everything that can be seen of it. */
async function wholeRun(machine: Machine): Promise<{ readonly seen: readonly unknown[]; readonly log: string[] }> {
  const disk = machine.disk('nvme0n1');
  const from = log(machine).length;
  const seen: unknown[] = [];
  for (const salt of [1, 2]) {
    for (const lengthBytes of [4 * KIB, 8 * KIB, 64 * KIB]) {
      const data = pattern(lengthBytes, salt);
      seen.push(await codeOf(disk.write(lengthBytes, data)));
      let difference: unknown;
      const read = async (): Promise<void> => {
        difference = firstDifference(await disk.read(lengthBytes, lengthBytes), data);
      };
      seen.push(await codeOf(read()), difference);
    }
    seen.push(await codeOf(disk.flush()), await codeOf(disk.discard(0, 4 * KIB)));
    seen.push(...(await crowd(disk, salt)), await threshold(machine));
    if (salt === 1) seen.push(await codeOf(machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1')));
  }
  return { seen, log: log(machine).slice(from) };
}

describe('with every barrier', () => {
  // @acceptance 133
  it.each(ALL)('a whole run of %s, reset and removal are as on memory that all share', async (profile) => {
    const { machine } = await weakMachine(profile);
    const weak = await wholeRun(machine);
    expect(weak.seen.filter((each) => each !== null && each !== -1)).toEqual([
      [null, 343],
      [null, 343],
    ]);
    const strong = await machineOf(profile, { cpus: 2, trace: 'off' });
    await strong.modprobe('nvme');
    await strong.settle();
    expect(weak).toEqual(await wholeRun(strong));
    expect(machine.subsystems.platform.dmaFaultCount).toBe(0);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('without the barrier', () => {
  const each = ALL.flatMap((profile) =>
    Object.entries({ ...BARRIERS, ...(profile === '4.10' ? {} : SHADOW) }).map(
      ([where, barrier]) => [where, profile, barrier] as const,
    ),
  );

  // @acceptance 133
  it.each(each)('%s, a run of %s goes wrong', async (_, profile, barrier) => {
    const { machine: whole } = await weakMachine(profile);
    const expected = await wholeRun(whole);
    const { machine, forget } = await weakMachine(profile);
    forget(barrier);
    expect(await wholeRun(machine)).not.toEqual(expected);
    machine.close();
  });
});
