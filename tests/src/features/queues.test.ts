import { cpuRelax } from '@nvme-stack/kernel';
import type { Machine } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { firstDifference, interrupts, KIB, leftBehind, log, machineWith, pattern, running } from './bench.js';

/** Writes and reads back from every CPU in turn. */
async function usesEveryCpu(machine: Machine): Promise<void> {
  const disk = machine.disk('nvme0n1');
  for (let cpu = 0; cpu < machine.description.cpus; cpu++) {
    await ioOn(machine, cpu, 1, cpu * 8, pattern(4 * KIB, cpu));
  }
  for (let cpu = 0; cpu < machine.description.cpus; cpu++) {
    expect(firstDifference(await disk.read(cpu * 4 * KIB, 4 * KIB), pattern(4 * KIB, cpu))).toBe(-1);
  }
}

/** One bio of one page from a task on `cpu`. */
async function ioOn(
  machine: Machine,
  cpu: number,
  opf: number,
  sector: number,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  const buffer = machine.allocBuffer(bytes.length);
  buffer.write(0, bytes);
  const status = await machine.task(
    'io',
    async ({ blkMq }) => {
      const bio = blkMq.allocBio(1);
      bio.disk = blkMq.lookup('nvme0n1')?.disk ?? null;
      bio.opf = opf;
      bio.sector = sector;
      bio.vecAddr[0] = buffer.pages[0] as number;
      bio.vecLengthBytes[0] = bio.sizeBytes = bytes.length;
      bio.vcnt = 1;
      return blkMq.submitBioWait(bio);
    },
    cpu,
  );
  expect(status).toBe(0);
  const after = buffer.read(0, bytes.length);
  buffer.free();
  return after;
}

function queuesLine(machine: Machine): string | undefined {
  return log(machine).find((line) => line.endsWith('default/read/poll queues'));
}

describe('queues', () => {
  // @acceptance 35 94
  it.each([1, 2, 4, 8])('one per CPU on a machine of %i CPUs, each with its own vector and CPU', async (cpus) => {
    const machine = await running({}, { cpus });
    const queues = machine.queues('nvme0');
    expect(queues.map(({ qid }) => qid)).toEqual(Array.from({ length: cpus + 1 }, (_, qid) => qid));
    expect(queues.map(({ vector }) => vector)).toEqual(queues.map(({ qid }) => qid));
    expect(queues.slice(1).map((queue) => queue.cpus)).toEqual(Array.from({ length: cpus }, (_, cpu) => [cpu]));
    expect(queuesLine(machine)).toBe(`nvme nvme0: ${cpus}/0/0 default/read/poll queues`);

    const before = interrupts(machine);
    expect([...before.keys()].filter((name) => name.startsWith('nvme'))).toEqual(
      queues.map(({ qid }) => `nvme0q${qid}`),
    );
    await usesEveryCpu(machine);
    const after = interrupts(machine);
    for (let cpu = 0; cpu < cpus; cpu++) {
      const gained = (after.get(`nvme0q${cpu + 1}`) as number[]).map(
        (count, at) => count - (before.get(`nvme0q${cpu + 1}`) as number[])[at],
      );
      expect(gained.findIndex((count) => count > 0)).toBe(cpu);
      expect(gained.filter((count) => count > 0).length).toBe(1);
    }
    for (const [name, irq] of Object.entries(irqNumbers(machine))) {
      const cpu = Number(name.slice('nvme0q'.length)) - 1;
      if (cpu < 0) continue;
      expect(machine.procfs.read(`/proc/irq/${irq}/effective_affinity_list`)).toBe(`${cpu}\n`);
    }
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([
    [1, [0, 0], '1/0/0'],
    [2, [0, 1], '1/0/0'],
    [3, [0, 1, 2], '2/0/0'],
  ])('fewer, when the controller has %i vectors', async (msixVectors, vectors, line) => {
    const machine = await running({ msixVectors });
    expect(machine.queues('nvme0').map(({ vector }) => vector)).toEqual(vectors);
    expect(queuesLine(machine)).toBe(`nvme nvme0: ${line} default/read/poll queues`);
    await usesEveryCpu(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('share the CPUs out when the controller grants fewer queues than there are CPUs', async () => {
    const machine = await running({ maxIoQueuePairs: 3 }, { cpus: 8 });
    const queues = machine.queues('nvme0').slice(1);
    expect(queues.length).toBe(3);
    expect(queues.flatMap(({ cpus }) => cpus).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(Math.max(...queues.map(({ cpus }) => cpus.length))).toBeLessThanOrEqual(3);
    await usesEveryCpu(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 75 101
  it.each([
    [{ mqes: 1 }, {}, 2],
    [{ mqes: 0xff }, {}, 256],
    [{}, { io_queue_depth: 2 }, 2],
    [{}, { io_queue_depth: 17 }, 17],
    [{ mqes: 7 }, { io_queue_depth: 4095 }, 8],
    [{}, {}, 1024],
  ])('are as deep as controller %j and parameters %j allow', async (nvme, params, depth) => {
    const machine = await machineWith(nvme);
    await machine.modprobe('nvme', params);
    expect(machine.queues('nvme0').map((queue) => queue.depth)).toEqual([32, depth, depth, depth, depth]);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/sqsize')).toBe(`${depth - 1}\n`);
    expect(machine.sysfs.read('/sys/block/nvme0n1/queue/nr_requests')).toBe(`${depth - 1}\n`);
    const disk = machine.disk('nvme0n1');
    const data = pattern(1100 * KIB);
    await disk.write(512, data);
    expect(firstDifference(await disk.read(512, data.length), data)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 76 103
  it.each([1, 4])('have their doorbells where a stride of 4 << %i bytes puts them', async (dstrd) => {
    const machine = await running({ dstrd, dbbuf: false }, { trace: 'full' });
    await usesEveryCpu(machine);
    const written = new Set(
      machine.trace.entries
        .filter(({ kind, symbol }) => kind === 'mmio' && symbol === 'pci_nvme_mmio_write')
        .map(({ args }) => args[0]),
    );
    for (let qid = 1; qid <= 4; qid++) {
      expect(written).toContain(0x1000 + 2 * qid * (4 << dstrd));
      expect(written).toContain(0x1000 + (2 * qid + 1) * (4 << dstrd));
    }
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([0, 3, 8])('have their shadow doorbells as far apart as a stride of 4 << %i bytes says', async (dstrd) => {
    const machine = await running({ dstrd }, { cpus: 8 });
    await usesEveryCpu(machine);
    expect(machine.subsystems.platform.dmaFaults).toEqual([]);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 111 112 113
  it('wrap around many times', async () => {
    const machine = await running({ mqes: 4 }, { cpus: 1 });
    const phases = new Set<number>();
    for (let round = 0; round < 24; round++) {
      await machine.disk('nvme0n1').write(round * 512, pattern(512, round));
      const queue = machine.queues('nvme0')[1];
      expect(queue?.sqTail).toBe(queue?.cqHead);
      phases.add(queue?.cqPhase as number);
    }
    expect(phases).toEqual(new Set([0, 1]));
    for (let round = 0; round < 24; round++) {
      expect(firstDifference(await machine.disk('nvme0n1').read(round * 512, 512), pattern(512, round))).toBe(-1);
    }
  });
});

const REQ_POLLED = 1 << 22;

describe('polled queues', () => {
  it.each([1, 2])('serve polled reads without an interrupt (poll_queues=%i)', async (count) => {
    const machine = await machineWith({}, { cpus: 4 });
    await machine.modprobe('nvme', { poll_queues: count });
    expect(queuesLine(machine)).toBe(`nvme nvme0: 4/0/${count} default/read/poll queues`);
    const polled = machine.queues('nvme0').filter((queue) => queue.polled);
    expect(polled.map(({ vector }) => vector)).toEqual(Array.from({ length: count }, () => -1));
    expect(polled.flatMap(({ cpus }) => cpus).sort()).toEqual([0, 1, 2, 3]);
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB, 3));
    const before = [...interrupts(machine)].filter(([name]) => name.startsWith('nvme'));

    const buffer = machine.allocBuffer(4 * KIB);
    const outcome = await machine.task('polled read', async ({ blkMq, kernel }) => {
      const bio = blkMq.allocBio(1);
      bio.disk = blkMq.lookup('nvme0n1')?.disk ?? null;
      bio.opf = REQ_POLLED;
      bio.sector = 0;
      bio.vecAddr[0] = buffer.pages[0] as number;
      bio.vecLengthBytes[0] = bio.sizeBytes = 4 * KIB;
      bio.vcnt = 1;
      let ended = 0;
      bio.endIo = () => {
        ended++;
      };
      blkMq.submitBio(bio);
      let polls = 0;
      while (ended === 0 && polls < 1000) {
        blkMq.bioPoll(bio);
        polls++;
        await cpuRelax({ kernel });
      }
      return { ended, status: bio.status };
    });
    expect(outcome).toEqual({ ended: 1, status: 0 });
    expect(firstDifference(buffer.read(0, 4 * KIB), pattern(4 * KIB, 3))).toBe(-1);
    buffer.free();
    expect([...interrupts(machine)].filter(([name]) => name.startsWith('nvme'))).toEqual(before);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('write queues', () => {
  it('carry writes, and reads go to the others', async () => {
    const machine = await machineWith({}, { cpus: 4 });
    await machine.modprobe('nvme', { write_queues: 2 });
    const line = queuesLine(machine) as string;
    expect(line).toBe('nvme nvme0: 2/4/0 default/read/poll queues');
    const tails = (): number[] =>
      machine
        .queues('nvme0')
        .slice(1)
        .map(({ sqTail }) => sqTail);
    const idle = tails();
    for (let cpu = 0; cpu < 4; cpu++) await ioOn(machine, cpu, 1, 8 * cpu, pattern(4 * KIB, cpu));
    const written = tails();
    expect(written.map((tail, at) => tail - (idle[at] as number))).toEqual([2, 2, 0, 0, 0, 0]);
    for (let cpu = 0; cpu < 4; cpu++) {
      expect(
        firstDifference(await ioOn(machine, cpu, 0, 8 * cpu, new Uint8Array(4 * KIB)), pattern(4 * KIB, cpu)),
      ).toBe(-1);
    }
    expect(tails().map((tail, at) => tail - (written[at] as number))).toEqual([0, 0, 1, 1, 1, 1]);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

/** Linux's interrupt number of each handler. */
function irqNumbers(machine: Machine): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const line of machine.procfs.read('/proc/interrupts').split('\n')) {
    const match = /^\s*(\d+):.*\s(nvme0q\d+)$/.exec(line);
    if (match !== null) numbers[match[2] as string] = Number(match[1]);
  }
  return numbers;
}
