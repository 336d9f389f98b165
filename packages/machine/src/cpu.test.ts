import { type Bio, BLK_STS_OK, REQ_OP_READ, REQ_OP_WRITE } from '@nvme-stack/blk-mq/ports';
import { cpuRelax, sleepNs } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createMachine, type Machine, type MachineDescription, replay, type Subsystems } from './index.js';

const CHUNK = 4096;
const CPU_DIR = '/sys/devices/system/cpu';

async function running(description: MachineDescription = {}, params: Record<string, unknown> = {}): Promise<Machine> {
  const latency = { kind: 'fixed', readNs: 30_000, writeNs: 40_000 } as const;
  const machine = await createMachine({ nvme: [{ latency, namespaces: [{ sizeMiB: 4 }] }], ...description });
  await machine.modprobe('nvme', params);
  return machine;
}

const interruptsOf = (machine: Machine): string =>
  machine.procfs
    .read('/proc/interrupts')
    .split('\n')
    .filter((line) => line.includes('nvme0q'))
    .join('\n');

describe('CPUs at the front door', () => {
  it('go off and come back, by call or by file', async () => {
    const machine = await running();
    const cpu = machine.cpu(3);
    const files = () => ['cpu3/online', 'online', 'offline'].map((name) => machine.sysfs.read(`${CPU_DIR}/${name}`));
    expect([cpu.cpu, cpu.isOnline, files()]).toEqual([3, true, ['1\n', '0-3\n', '\n']]);
    await cpu.offline();
    await cpu.offline();
    expect([cpu.isOnline, files()]).toEqual([false, ['0\n', '0-2\n', '3\n']]);
    await machine.sysfs.write(`${CPU_DIR}/cpu2/online`, '0');
    expect([machine.cpu(2).isOnline, files()]).toEqual([false, ['0\n', '0-1\n', '2-3\n']]);
    await machine.sysfs.write(`${CPU_DIR}/cpu3/online`, '1\n');
    await machine.cpu(2).online();
    expect([cpu.isOnline, files()]).toEqual([true, ['1\n', '0-3\n', '\n']]);
    const heard = machine.uevents.filter(({ devpath }) => devpath.includes('/cpu/'));
    expect(heard.map(({ action, devpath }) => `${action} ${devpath}`)).toEqual([
      'offline /devices/system/cpu/cpu3',
      'offline /devices/system/cpu/cpu2',
      'online /devices/system/cpu/cpu3',
      'online /devices/system/cpu/cpu2',
    ]);
    expect(
      machine
        .dmesg()
        .filter((line) => line.includes('smpboot'))
        .map((line) => line.slice(line.indexOf(']') + 2)),
    ).toEqual([
      'smpboot: CPU 3 is now offline',
      'smpboot: CPU 2 is now offline',
      'smpboot: Booting Node 0 Processor 3 APIC 0x3',
      'smpboot: Booting Node 0 Processor 2 APIC 0x2',
    ]);
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });

  it.each([
    [4, 'cpu is 4; allowed: a whole number from 0 to 3: EINVAL'],
    [-1, 'cpu is -1; allowed'],
    [0.5, 'cpu is 0.5; allowed'],
    [Number.NaN, 'cpu is NaN; allowed'],
  ])('there is none of number %d', async (cpu, sentence) => {
    const machine = await createMachine();
    expect(() => machine.cpu(cpu)).toThrow(sentence);
  });

  it('refuse what Linux refuses', async () => {
    const machine = await createMachine();
    await expect(machine.cpu(0).offline()).rejects.toThrow('CPU 0 cannot go off: EPERM (-1)');
    await machine.cpu(0).online();
    expect(machine.sysfs.exists(`${CPU_DIR}/cpu0/online`)).toBe(false);
    await expect(machine.sysfs.write(`${CPU_DIR}/cpu1/online`, 'maybe')).rejects.toThrow(
      '"maybe"; allowed: 0, 1: EINVAL',
    );
    const one = await createMachine({ cpus: 1 });
    await expect(one.cpu(0).offline()).rejects.toThrow('CPU 0 is the last one online: EBUSY (-16)');
    await machine.cpu(2).offline();
    await expect(machine.task('late', async () => {}, 2)).rejects.toThrow('late: cpu is 2; online are 0-1,3: EINVAL');
    await expect(machine.task('late', async () => {}, 7)).rejects.toThrow('cpu 7 is not one of 0 to 3');
    expect(await machine.task('there', async ({ kernel }) => kernel.ex.cpu, 3)).toBe(3);
  });

  it('take their queue with them and bring it back', async () => {
    const machine = await running();
    const used = async (cpu: number): Promise<number[]> => {
      const before = columns(machine);
      await machine.task('reader', (subsystems) => readOne(subsystems, 0), cpu);
      return columns(machine).flatMap((count, queue) => (count > before[queue] ? [queue] : []));
    };
    expect([await used(0), await used(3)]).toEqual([[1], [4]]);
    await machine.cpu(3).offline();
    expect(interruptsOf(machine).split('\n')).toHaveLength(5);
    // The stand-in's queue, once it submits: from CPU 0.
    expect([await used(0), await used(2)]).toEqual([[1], [3]]);
    await machine.cpu(3).online();
    expect(await used(3)).toEqual([4]);
  });

  it('may be off while a driver is loaded, resets its controller, and leaves', async () => {
    const machine = await createMachine({ nvme: [{ namespaces: [{ sizeMiB: 4 }] }] });
    await machine.cpu(3).offline();
    await machine.cpu(1).offline();
    await machine.modprobe('nvme', { poll_queues: 1 });
    const disk = machine.disk('nvme0n1');
    await disk.write(0, new Uint8Array(CHUNK).fill(3));
    await machine.cpu(1).online();
    expect(await machine.task('reader', (subsystems) => readOne(subsystems, 0), 1)).toBe(3);
    await machine.cpu(2).offline();
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await machine.settle();
    await machine.cpu(3).online();
    for (const cpu of [0, 1, 3]) {
      expect(await machine.task('reader', (subsystems) => readOne(subsystems, 0), cpu)).toBe(3);
    }
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });
});

/** Interrupts of each queue, on all CPUs. */
function columns(machine: Machine): number[] {
  return interruptsOf(machine)
    .split('\n')
    .map((line) => (line.match(/ \d+(?= )/g) ?? []).slice(0, machine.subsystems.kernel.cpus.onlineCpus().length))
    .map((counts) => counts.reduce((sum, count) => sum + Number(count), 0));
}

/** The first byte of a chunk. */
async function readOne({ blkMq, kernel }: Subsystems, chunk: number): Promise<number> {
  const bio = bioFor({ blkMq, kernel } as Subsystems, REQ_OP_READ, chunk);
  expect(await blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
  const value = kernel.memory.bytes[bio.vecAddr[0]];
  kernel.memory.freePages(bio.vecAddr[0], 1);
  return value;
}

function bioFor({ blkMq, kernel }: Subsystems, opf: number, chunk: number): Bio {
  const bio = blkMq.allocBio(1);
  bio.disk = blkMq.lookup('nvme0n1')?.disk ?? null;
  bio.opf = opf;
  bio.sector = chunk * 8;
  bio.sizeBytes = CHUNK;
  bio.vcnt = 1;
  bio.vecAddr[0] = kernel.memory.allocPages(1, 'test');
  bio.vecLengthBytes[0] = CHUNK;
  return bio;
}

const ROUNDS = 10;
const DEPTH = 6;

/** Writes its own part of the disk in batches and reads it back; counts the ends of each bio. */
async function hammer(subsystems: Subsystems, writer: number, ends: number[]): Promise<void> {
  const { kernel, blkMq } = subsystems;
  for (let round = 0; round < ROUNDS; round++) {
    let left = DEPTH;
    for (let n = 0; n < DEPTH; n++) {
      const chunk = (writer * ROUNDS + round) * DEPTH + n;
      const bio = bioFor(subsystems, REQ_OP_WRITE, chunk);
      kernel.memory.bytes.fill(1 + (chunk % 251), bio.vecAddr[0], bio.vecAddr[0] + CHUNK);
      bio.endIo = (ended) => {
        expect(ended.status).toBe(BLK_STS_OK);
        ends[chunk] = (ends[chunk] ?? 0) + 1;
        kernel.memory.freePages(bio.vecAddr[0], 1);
        left--;
      };
      blkMq.submitBio(bio);
    }
    while (left > 0) await cpuRelax(kernel);
    const chunk = (writer * ROUNDS + round) * DEPTH;
    expect(await readOne(subsystems, chunk)).toBe(1 + (chunk % 251));
    await sleepNs(kernel, 20_000);
  }
}

/** I/O from every CPU while all but CPU 0 go and come; returns the trace's hash. */
async function underLoad(
  seed: number,
  interleave: boolean,
  params: Record<string, unknown> = {},
  strict = false,
): Promise<string> {
  const machine = await running({ seed, interleave, strict, trace: 'hash' }, params);
  const ends: number[] = [];
  const writers = [0, 1, 2, 3].map((cpu) =>
    machine.task(`writer ${cpu}`, (subsystems) => hammer(subsystems, cpu, ends), cpu),
  );
  const plug = machine.task('plug', async ({ kernel }) => {
    for (let n = 0; n < 9; n++) {
      await kernel.cpus.cpuDown(1 + (n % 3));
      await sleepNs(kernel, 50_000);
      if (n % 3 === 2) for (let cpu = 1; cpu < 4; cpu++) await kernel.cpus.cpuUp(cpu === 2 ? 3 : cpu === 3 ? 2 : cpu);
    }
  });
  await Promise.all([...writers, plug]);
  const total = 4 * ROUNDS * DEPTH;
  expect(ends).toEqual(new Array(total).fill(1));
  const data = await machine.disk('nvme0n1').read(0, total * CHUNK);
  for (let chunk = 0; chunk < total; chunk++) {
    const wanted = 1 + (chunk % 251);
    expect([chunk, data[chunk * CHUNK], data[(chunk + 1) * CHUNK - 1]]).toEqual([chunk, wanted, wanted]);
  }
  // Once more, from each CPU to its own queue.
  for (let cpu = 0; cpu < 4; cpu++) expect(await machine.task('last', (all) => readOne(all, 0), cpu)).toBe(1);
  await machine.rmmod('nvme');
  await machine.rmmod('nvme_core');
  expect(machine.leaks()).toEqual([]);
  expect(machine.dmesg().join('\n')).not.toMatch(/timeout|warn|bug|abort/i);
  return machine.trace.hash();
}

describe('I/O from every CPU while CPUs go and come', () => {
  it.each(Array.from({ length: 20 }, (_, n) => n + 1))('is right and ends once (seed %i)', async (seed) => {
    await underLoad(seed, true, seed % 4 === 0 ? { write_queues: 1, poll_queues: 1 } : {});
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])('and the controller is reset, and the driver leaves (seed %i)', async (seed) => {
    const cpus = 2 + (seed % 4);
    const description = { seed, interleave: true, cpus, numaNodes: 1 + (seed % 2), trace: 'hash' } as const;
    const machine = await running(description, seed % 3 === 1 ? { poll_queues: 1 } : {});
    const io = [0, 1, 2, 3].map(async (writer) => {
      const disk = machine.disk('nvme0n1');
      for (let n = 0; n < 12; n++) {
        const at = (writer * 12 + n) * CHUNK;
        await disk.write(at, new Uint8Array(CHUNK).fill(writer * 12 + n + 1));
        expect((await disk.read(at, CHUNK))[CHUNK - 1]).toBe(writer * 12 + n + 1);
      }
    });
    const plug = async (): Promise<void> => {
      for (let n = 0; n < 10; n++) {
        const cpu = machine.cpu(1 + ((n * 7 + seed) % (cpus - 1)));
        await ((n * 5 + seed) % 3 === 0 ? cpu.online() : cpu.offline());
        await machine.run(40_000 * (n % 4));
      }
    };
    const reset = async (): Promise<void> => {
      for (let n = 0; n < 3; n++) {
        await machine.run(70_000);
        await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
      }
    };
    await Promise.all([plug(), reset(), ...io]);
    await Promise.all([machine.rmmod('nvme'), machine.cpu(1).offline()]);
    await machine.cpu(1).online();
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
    expect(machine.dmesg().join('\n')).not.toMatch(/timeout|warn|bug|abort/i);
  });

  it('is the same run each time', async () => {
    const hashes = [await underLoad(7, true), await underLoad(7, true), await underLoad(8, true)];
    expect(hashes[0]).toBe(hashes[1]);
    expect(hashes[0]).not.toBe(hashes[2]);
    const plain = await underLoad(1, false);
    expect(await underLoad(1, false)).toBe(plain);
    expect(await underLoad(1, false, {}, true)).toBe(plain);
  });

  it('waits for what is in flight, as sysfs and dmesg show', async () => {
    const latency = { kind: 'fixed', readNs: 12_000_000, writeNs: 12_000_000 } as const;
    const machine = await running({ nvme: [{ latency, namespaces: [{ sizeMiB: 4 }] }] });
    const reading = machine.task('reader', (subsystems) => readOne(subsystems, 1), 3);
    await machine.run(1000);
    const off = machine.cpu(3).offline();
    await machine.run(1_000_000);
    expect(machine.cpu(3).isOnline).toBe(true);
    await off;
    expect(await reading).toBe(0);
    expect(machine.cpu(3).isOnline).toBe(false);
  });

  it('is replayed from the journal, entry for entry', async () => {
    const machine = await running({ seed: 5, interleave: true });
    const disk = machine.disk('nvme0n1');
    const writing = Array.from({ length: 8 }, (_, n) => disk.write(n * CHUNK, new Uint8Array(CHUNK).fill(n + 1)));
    const off = machine.cpu(2).offline();
    await Promise.all([...writing, off]);
    await machine.sysfs.write(`${CPU_DIR}/cpu3/online`, '0');
    await machine.cpu(2).online();
    await machine
      .cpu(0)
      .offline()
      .catch(() => {});
    expect((await disk.read(7 * CHUNK, CHUNK))[0]).toBe(8);
    const again = await replay(machine.journal());
    expect(machine.journal().calls.map(({ method }) => method)).toContain('cpu.offline');
    expect(again.trace.entries).toEqual(machine.trace.entries);
    expect([again.cpu(2).isOnline, again.cpu(3).isOnline]).toEqual([true, false]);
  });
});
