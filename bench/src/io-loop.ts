/** Random 4 KiB reads at a fixed queue depth through the whole stack: bios made once, a plug per batch. */
import { type Bio, BLK_STS_OK, type BlkMq, REQ_OP_READ } from '@nvme-stack/blk-mq/ports';
import { Completion, complete, type Item, type Kernel, waitForCompletion } from '@nvme-stack/kernel';
import { createMachine, type Machine, type MachineParts } from '@nvme-stack/machine';
import type { BlockStore, BlockStoreClient } from '@nvme-stack/nvme-controller/ports';
import { median } from './bounds.js';

const READ_BYTES = 4096;
const SECTORS = READ_BYTES / 512;
const NAMESPACE_MIB = 64;
/** A power of two. */
const READS_IN_NAMESPACE = (NAMESPACE_MIB << 20) / READ_BYTES;
const QUEUE_DEPTH = 32;
const FILL_BYTES = 1 << 20;
/** Reads until the engine has compiled what it will compile. */
const WARM_UP_READS = 400_000;
/** The middle one of so many equal parts counts: other programs disturb some. */
const CHUNKS = 8;

/** A medium that moves nothing: every request succeeds and no memory is handed out. */
class NullStore implements BlockStore {
  readonly sizeBytes: number;
  readonly readOnly = false;

  constructor(sizeBytes: number) {
    this.sizeBytes = sizeBytes;
  }
  read(_offset: number, _length: number, client: BlockStoreClient): void {
    client.done(0);
  }
  write(_offset: number, _length: number, client: BlockStoreClient): void {
    client.done(0);
  }
  flush(client: BlockStoreClient): void {
    client.done(0);
  }
  discard(_offset: number, _length: number, client: BlockStoreClient): void {
    client.done(0);
  }
  writeZeroes(_offset: number, _length: number, client: BlockStoreClient): void {
    client.done(0);
  }
}

/** Keeps as many reads in flight as there are buffers; each completion makes its bio free for the next batch. */
class Reader {
  private readonly machine: Machine;
  private readonly blkMq: BlkMq;
  private readonly kernel: Kernel;
  private readonly next: Item;
  private readonly addresses: readonly number[];
  private readonly bios: Bio[];
  private readonly free: Bio[];
  private readonly depth: number;
  private freeCount: number;
  private left = 0;
  private failed = 0;
  private random = 0x2545f491;
  private readonly done: Completion;

  constructor(machine: Machine, addresses: readonly number[]) {
    const { blkMq, kernel } = machine.subsystems;
    this.machine = machine;
    this.blkMq = blkMq;
    this.kernel = kernel;
    this.next = kernel.ex.item('softirq', 0, (self: Reader) => self.submitFree(), this);
    this.addresses = addresses;
    this.depth = addresses.length;
    this.freeCount = this.depth;
    this.done = new Completion(kernel, 'a read');
    const endIo = (bio: Bio): void => this.ended(bio);
    const found = blkMq.lookup('nvme0n1');
    if (found === null) throw new Error('there is no nvme0n1');
    this.bios = addresses.map((address) => {
      const bio = blkMq.allocBio(1);
      bio.disk = found.disk;
      bio.vecAddr[0] = address;
      bio.vecLengthBytes[0] = READ_BYTES;
      bio.endIo = endIo;
      return bio;
    });
    this.free = this.bios.slice();
  }

  /** In the interrupt: when a batch is over, the next one goes out at once. */
  private ended(bio: Bio): void {
    if (bio.status !== BLK_STS_OK) this.failed++;
    this.free[this.freeCount++] = bio;
    if (this.freeCount < this.depth) return;
    if (this.left === 0) complete(this.done);
    else this.kernel.ex.post(this.next);
  }

  /** Submits the free bios, as far as reads are left, each for a random page, under one plug. Any context. */
  private submitFree(): void {
    const { blkMq, free } = this;
    const count = Math.min(this.left, this.freeCount);
    this.left -= count;
    let { random } = this;
    const plug = blkMq.blkStartPlug();
    for (let i = 0; i < count; i++) {
      const bio = free[--this.freeCount] as Bio;
      random ^= random << 13;
      random ^= random >>> 17;
      random ^= random << 5;
      bio.opf = REQ_OP_READ;
      bio.sector = (random & (READS_IN_NAMESPACE - 1)) * SECTORS;
      bio.vcnt = 1;
      bio.sizeBytes = READ_BYTES;
      blkMq.submitBio(bio);
    }
    this.random = random;
    blkMq.blkFinishPlug(plug);
  }

  /** Runs `reads` reads as one kernel task. */
  async run(reads: number): Promise<void> {
    await this.machine.task('reader', async () => {
      this.left = reads - (reads % this.depth);
      this.submitFree();
      await waitForCompletion(this.done);
    });
    if (this.failed > 0) throw new Error(`${this.failed} reads failed`);
  }

  /** Throws unless each buffer holds the page that was read into it last. */
  verify(): void {
    const { memory } = this.machine.subsystems.kernel;
    this.addresses.forEach((address, index) => {
      const page = (this.bios[index] as Bio).sector / SECTORS;
      for (let at = 0; at < READ_BYTES; at++) {
        if (memory.bytes[address + at] === patternByte(page, at)) continue;
        throw new Error(`buffer ${index} does not hold page ${page} at byte ${at}`);
      }
    });
  }
}

function patternByte(page: number, at: number): number {
  return (page * 31 + (page >>> 8) + at * 7) & 0xff;
}

async function fill(machine: Machine): Promise<void> {
  const disk = machine.disk('nvme0n1');
  const pages = FILL_BYTES / READ_BYTES;
  for (let first = 0; first < READS_IN_NAMESPACE; first += pages) {
    const bytes = Uint8Array.from({ length: FILL_BYTES }, (_, i) => patternByte(first + (i >>> 12), i & 4095));
    await disk.write(first * READ_BYTES, bytes);
  }
}

/** Nanoseconds of host time per read, after warming up; with `data` every byte is copied and the last ones checked. */
export async function measureReads(data: boolean, reads: number): Promise<number> {
  const parts: MachineParts = data ? {} : { blockStore: ({ sizeBytes }) => new NullStore(sizeBytes) };
  const machine = await createMachine(
    {
      cpus: 1,
      memoryMiB: 32,
      checks: 'off',
      trace: 'off',
      nvme: [{ preset: 'qemu-7.2', dbbuf: false, namespaces: [{ sizeMiB: NAMESPACE_MIB }] }],
    },
    { parts },
  );
  await machine.modprobe('nvme');
  await withoutScheduler(machine);
  if (data) await fill(machine);
  const reader = new Reader(machine, machine.allocBuffer(QUEUE_DEPTH * READ_BYTES).pages);
  // What was made so far is old then, as in a program that has run for a while.
  globalThis.gc?.();
  globalThis.gc?.();
  await reader.run(WARM_UP_READS);
  const ns: number[] = [];
  for (let chunk = 0; chunk < CHUNKS; chunk++) {
    const start = performance.now();
    await reader.run(reads / CHUNKS);
    ns.push(((performance.now() - start) * 1e6 * CHUNKS) / reads);
  }
  if (data) reader.verify();
  machine.close();
  return median(ns);
}

/** Random reads of a machine whose driver is loaded, at a depth: nanoseconds of host time per read. Verified. */
export async function measureDepth(machine: Machine, depth: number, reads: number): Promise<number> {
  await withoutScheduler(machine);
  await fill(machine);
  const buffer = machine.allocBuffer(depth * READ_BYTES);
  const reader = new Reader(machine, buffer.pages);
  await reader.run(Math.floor(reads / 4));
  const start = performance.now();
  await reader.run(reads);
  const ns = ((performance.now() - start) * 1e6) / reads;
  reader.verify();
  buffer.free();
  return ns;
}

async function withoutScheduler(machine: Machine): Promise<void> {
  // With one hardware queue the default is mq-deadline; what is measured is the way of a queue without a scheduler.
  await machine.sysfs.write('/sys/block/nvme0n1/queue/scheduler', 'none');
  await machine.sysfs.write('/sys/block/nvme0n1/queue/iostats', '0');
  await machine.sysfs.write('/sys/block/nvme0n1/queue/nomerges', '2');
  await machine.sysfs.write('/sys/block/nvme0n1/queue/wbt_lat_usec', '0');
}
