import { Completion, complete, waitForCompletion } from '@nvme-stack/kernel';
import type { Machine } from '@nvme-stack/machine';
import type { NvmeController } from '@nvme-stack/nvme-controller/ports';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstDifference, KIB, leftBehind, MIB, NVME_BDF, pattern, running } from './bench.js';

const REQ_OP_WRITE = 1;
const REQ_FUA = 1 << 17;
const SECTOR = 512;

function counters(machine: Machine): NvmeController['counters'] {
  return { ...(machine.device(NVME_BDF).function as NvmeController).counters };
}

describe('data', () => {
  it.each([
    [512, 0],
    [512, 513 * SECTOR],
    [1024, 7 * SECTOR],
    [4 * KIB, 0],
    [4 * KIB, 3 * SECTOR],
    [8 * KIB, SECTOR],
    [12 * KIB, 4 * KIB],
    [33 * 4 * KIB, SECTOR],
    [512 * KIB, 0],
    [513 * KIB, 511 * SECTOR],
    [MIB, 0],
    [MIB + SECTOR, 5 * SECTOR],
    [8 * MIB, 0],
  ])('of %i bytes at %i comes back, and its neighbours stay', async (length, offset) => {
    const machine = await running({ namespaces: [{ sizeMiB: 12 }] }, { checks: 'dma' });
    const disk = machine.disk('nvme0n1');
    const around = pattern(SECTOR, 99);
    if (offset >= SECTOR) await disk.write(offset - SECTOR, around);
    await disk.write(offset + length, around);
    const data = pattern(length, length);
    await disk.write(offset, data);
    await disk.flush();
    expect(firstDifference(await disk.read(offset, length), data)).toBe(-1);
    if (offset >= SECTOR) expect(firstDifference(await disk.read(offset - SECTOR, SECTOR), around)).toBe(-1);
    expect(firstDifference(await disk.read(offset + length, SECTOR), around)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('that is discarded or zeroed reads as zeroes, and only that', async () => {
    const machine = await running();
    const disk = machine.disk('nvme0n1');
    const data = pattern(2 * MIB);
    await disk.write(0, data);
    await disk.discard(64 * KIB, 256 * KIB);
    await disk.writeZeroes(MIB + SECTOR, 700 * KIB);
    data.fill(0, 64 * KIB, 320 * KIB);
    data.fill(0, MIB + SECTOR, MIB + SECTOR + 700 * KIB);
    expect(firstDifference(await disk.read(0, data.length), data)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([true, false])('of blocks of 4 KiB (shadow doorbells %s)', async (dbbuf) => {
    const machine = await running({ dbbuf, namespaces: [{ sizeMiB: 8, logicalBlockSize: 4096 }] });
    const disk = machine.disk('nvme0n1');
    expect(disk.blockSizeBytes).toBe(4096);
    expect(machine.sysfs.read('/sys/block/nvme0n1/queue/logical_block_size')).toBe('4096\n');
    const data = pattern(MIB + 4096, 4);
    await disk.write(12 * KIB, data);
    await disk.discard(16 * KIB, 8 * KIB);
    data.fill(0, 4 * KIB, 12 * KIB);
    expect(firstDifference(await disk.read(12 * KIB, data.length), data)).toBe(-1);
    await expect(disk.write(512, pattern(4096))).rejects.toThrow('offset is 512; allowed: a multiple of 4096');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is the same with shadow doorbells and without, and doorbells are rung less with them', async () => {
    const rings: number[] = [];
    for (const dbbuf of [true, false]) {
      const machine = await running({ dbbuf, latency: { kind: 'fixed', writeNs: 20_000 } }, { cpus: 1, trace: 'full' });
      const from = machine.trace.entries.length;
      const plans = Array.from({ length: 64 }, (_, i) => ({ sector: i * 8, sectors: 8 }));
      await submitAll(machine, plans, REQ_OP_WRITE, false, 0);
      rings.push(
        machine.trace.entries
          .slice(from)
          .filter(({ symbol, args }) => symbol === 'pci_nvme_mmio_write' && (args[0] as number) >= 0x1008).length,
      );
      const data = await machine.disk('nvme0n1').read(0, 256 * KIB);
      for (let i = 0; i < 64; i++) {
        expect(firstDifference(data.subarray(i * 4 * KIB, (i + 1) * 4 * KIB), pattern(4 * KIB, i))).toBe(-1);
      }
      expect(await leftBehind(machine)).toEqual([]);
    }
    expect(rings[0] as number).toBeLessThan(rings[1] as number);
  });

  it('needs one command for 8 MiB in pieces of 64 KiB, when the controller has no limit: PRP lists are chained', async () => {
    const machine = await running({ mdts: 0, namespaces: [{ sizeMiB: 16 }] }, { checks: 'full' });
    const queue = '/sys/block/nvme0n1/queue';
    expect(machine.sysfs.read(`${queue}/max_hw_sectors_kb`)).toBe('8192\n');
    await machine.sysfs.write(`${queue}/max_sectors_kb`, '8192');
    const data = pattern(8 * MIB, 5);
    const buffer = machine.allocBuffer(8 * MIB, { pieceBytes: new Array<number>(128).fill(64 * KIB) });
    const one = async (opf: number): Promise<void> => {
      const bio = machine.allocBio(128);
      bio.disk = machine.subsystems.blkMq.lookup('nvme0n1')?.disk ?? null;
      bio.opf = opf;
      bio.sector = 8;
      for (let i = 0; i < 128; i++) {
        bio.vecAddr[i] = buffer.pages[i * 16] as number;
        bio.vecLengthBytes[i] = 64 * KIB;
      }
      bio.vcnt = 128;
      bio.sizeBytes = 8 * MIB;
      expect(await machine.submitBio(bio)).toBe(0);
    };
    buffer.write(0, data);
    const before = counters(machine);
    await one(REQ_OP_WRITE);
    const between = counters(machine);
    expect(between.hostWriteCommands - before.hostWriteCommands).toBe(1);
    buffer.write(0, new Uint8Array(8 * MIB));
    await one(0);
    expect(counters(machine).hostReadCommands - between.hostReadCommands).toBe(1);
    expect(firstDifference(buffer.read(0, 8 * MIB), data)).toBe(-1);
    expect(firstDifference(await machine.disk('nvme0n1').read(4 * KIB, 8 * MIB), data)).toBe(-1);
    buffer.free();
    expect(machine.subsystems.platform.dmaFaults).toEqual([]);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each([
    ['one page', [4 * KIB]],
    ['two pages together', [8 * KIB]],
    ['two pages apart', [4 * KIB, 4 * KIB]],
    ['three pages', [4 * KIB, 8 * KIB]],
    ['a small list, full', new Array<number>(33).fill(4 * KIB)],
    ['a list of one page', new Array<number>(34).fill(4 * KIB)],
    ['long pieces', [60 * KIB, 4 * KIB, 64 * KIB]],
  ])('described by PRPs: %s', async (_what, pieceBytes) => {
    const machine = await running();
    const data = pattern(
      pieceBytes.reduce((sum, length) => sum + length, 0),
      pieceBytes.length,
    );
    await machine.disk('nvme0n1').write(SECTOR, data, { pieceBytes });
    expect(firstDifference(await machine.disk('nvme0n1').read(SECTOR, data.length), data)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('written with FUA takes one command, and no flush', async () => {
    const machine = await running({}, { cpus: 1, trace: 'full' });
    const buffer = machine.allocBuffer(4 * KIB);
    buffer.write(0, pattern(4 * KIB, 6));
    const from = machine.trace.entries.length;
    const bio = machine.allocBio(1);
    bio.disk = machine.subsystems.blkMq.lookup('nvme0n1')?.disk ?? null;
    bio.opf = REQ_OP_WRITE | REQ_FUA;
    bio.sector = 0;
    bio.vecAddr[0] = buffer.pages[0] as number;
    bio.vecLengthBytes[0] = bio.sizeBytes = 4 * KIB;
    bio.vcnt = 1;
    expect(await machine.submitBio(bio)).toBe(0);
    buffer.free();
    const commands = machine.trace.entries
      .slice(from)
      .filter(({ kind, symbol }) => kind === 'nvme' && symbol === 'nvme_setup_cmd');
    expect(commands.length).toBe(1);
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 4 * KIB), pattern(4 * KIB, 6))).toBe(-1);
  });
});

interface Plan {
  readonly sector: number;
  readonly sectors: number;
}

/** Submits bios from one task without waiting, under a plug or not, and waits for all; how often each ended. */
async function submitAll(
  machine: Machine,
  plans: readonly Plan[],
  opf: number,
  plugged: boolean,
  salt: number,
): Promise<{ ends: number[]; statuses: number[]; data: Uint8Array[] }> {
  const buffers = plans.map(({ sectors }, i) => {
    const buffer = machine.allocBuffer(sectors * SECTOR);
    if (opf !== 0) buffer.write(0, pattern(sectors * SECTOR, salt + i));
    return buffer;
  });
  const ends = plans.map(() => 0);
  const statuses = await machine.task('load', async ({ blkMq, kernel }) => {
    const done = new Completion(kernel, 'load');
    const plug = plugged ? blkMq.blkStartPlug() : null;
    const bios = plans.map(({ sector, sectors }, i) => {
      const { pages } = buffers[i] as (typeof buffers)[number];
      const bio = blkMq.allocBio(pages.length);
      bio.disk = blkMq.lookup('nvme0n1')?.disk ?? null;
      bio.opf = opf;
      bio.sector = sector;
      pages.forEach((page, at) => {
        bio.vecAddr[at] = page;
        bio.vecLengthBytes[at] = Math.min(4 * KIB, sectors * SECTOR - at * 4 * KIB);
      });
      bio.vcnt = pages.length;
      bio.sizeBytes = sectors * SECTOR;
      bio.endIo = () => {
        ends[i] = (ends[i] as number) + 1;
        complete(done);
      };
      blkMq.submitBio(bio);
      return bio;
    });
    if (plug !== null) blkMq.blkFinishPlug(plug);
    for (let i = 0; i < plans.length; i++) await waitForCompletion(done);
    return bios.map(({ status }) => status);
  });
  const data = buffers.map((buffer) => buffer.read(0, buffer.sizeBytes));
  for (const buffer of buffers) buffer.free();
  return { ends, statuses, data };
}

describe('bios', () => {
  it('under a plug become fewer commands, merged where they touch', async () => {
    const machine = await running({}, { cpus: 1 });
    const plans = Array.from({ length: 16 }, (_, i) => ({ sector: i * 8, sectors: 8 }));
    const before = counters(machine);
    const { ends } = await submitAll(machine, plans, REQ_OP_WRITE, true, 1);
    expect(ends).toEqual(plans.map(() => 1));
    expect(counters(machine).hostWriteCommands - before.hostWriteCommands).toBe(1);
    expect(machine.sysfs.read('/sys/block/nvme0n1/stat').trim().split(/\s+/)[5]).toBe('15');
    const data = await machine.disk('nvme0n1').read(0, 64 * KIB);
    for (let i = 0; i < plans.length; i++) {
      const read = data.subarray(i * 4 * KIB, (i + 1) * 4 * KIB);
      expect(firstDifference(read, pattern(4 * KIB, 1 + i))).toBe(-1);
    }
  });

  it('longer than the controller takes are split, and the trace says where', async () => {
    const machine = await running({ mdts: 5 }, { cpus: 1, trace: 'full' });
    expect(machine.sysfs.read('/sys/block/nvme0n1/queue/max_hw_sectors_kb')).toBe('128\n');
    const from = machine.trace.entries.length;
    const before = counters(machine);
    const data = pattern(512 * KIB, 3);
    await machine.disk('nvme0n1').write(0, data);
    expect(counters(machine).hostWriteCommands - before.hostWriteCommands).toBe(4);
    expect(machine.trace.entries.slice(from).filter(({ symbol }) => symbol === 'block_split').length).toBe(3);
    expect(firstDifference(await machine.disk('nvme0n1').read(0, data.length), data)).toBe(-1);
  });

  it('all end exactly once with their own data, however many there are for the tags', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(2, 3, 8, 33),
        fc.constantFrom(1, 2, 3),
        fc.boolean(),
        fc.integer({ min: 0, max: 3 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 40 }),
        async (io_queue_depth, cpus, plugged, slow, lengths) => {
          const latency = { kind: 'fixed', writeNs: slow * 7000, readNs: slow * 9000 } as const;
          const machine = await running({ mdts: 5, latency }, { cpus, checks: 'full' });
          await machine.rmmod('nvme');
          await machine.modprobe('nvme', { io_queue_depth });
          let sector = 0;
          const plans = lengths.map((sectors) => {
            const plan = { sector, sectors };
            sector += sectors + (sectors % 2);
            return plan;
          });
          const written = await submitAll(machine, plans, REQ_OP_WRITE, plugged, 7);
          const once = plans.map(() => 1);
          expect(written.ends).toEqual(once);
          expect(written.statuses).toEqual(plans.map(() => 0));
          const read = await submitAll(machine, plans, 0, plugged, 0);
          expect(read.ends).toEqual(once);
          plans.forEach(({ sectors }, i) => {
            expect(firstDifference(read.data[i] as Uint8Array, pattern(sectors * SECTOR, 7 + i))).toBe(-1);
          });
          expect(machine.subsystems.platform.dmaFaultCount).toBe(0);
          expect(await leftBehind(machine)).toEqual([]);
        },
      ),
      { numRuns: 25, seed: 20 },
    );
  });
});
