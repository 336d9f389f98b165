/**
 * What the block layer costs per I/O with an empty driver: depth 32 and depth 1, with and without the caller's plug.
 * Bundle and run: `esbuild bench/hot-path.ts --bundle --platform=node --format=esm --conditions=@nvme-stack/source`.
 */
import { createDeviceCore } from '@nvme-stack/device-core';
import type { Irqs } from '@nvme-stack/irq/ports';
import { createKernel } from '@nvme-stack/kernel';
import { createWorkqueues } from '@nvme-stack/workqueue';
import { createBlkMq } from '../src/index.js';
import type { Bio, BlkMqOps, IoCompBatch, Request } from '../src/ports.js';

declare const process: { hrtime: { bigint(): bigint } };
declare const console: { log(text: string): void };

const host = { macrotask: (fn: () => void) => void setImmediate(fn), after: () => () => {} };
declare const setImmediate: (fn: () => void) => unknown;

const { kernel, door } = createKernel({ host, nrCpus: 4, trace: 'off', checks: 'off' });
const workqueues = createWorkqueues({ kernel });
const deviceCore = createDeviceCore({ kernel, workqueues });
const irqs = { groupCpusEvenly: (n: number) => Array.from({ length: n }, (_, i) => [i]) } as unknown as Irqs;
const blkMq = createBlkMq({ kernel, deviceCore, workqueues, irqs });

class EmptyDriver implements BlkMqOps {
  head: Request | null = null;
  tail: Request | null = null;
  readonly batch: IoCompBatch = blkMq.ioCompBatch();
  private readonly end = (iob: IoCompBatch): void => blkMq.blkMqEndRequestBatch(iob);

  queueRq(): number {
    return 0;
  }

  queueRqs(list: Request): Request | null {
    for (let rq: Request | null = list; rq !== null; ) {
      const next: Request | null = rq.next;
      rq.next = null;
      blkMq.blkMqStartRequest(rq);
      if (this.tail === null) this.head = rq;
      else this.tail.next = rq;
      this.tail = rq;
      rq = next;
    }
    return null;
  }

  completeAll(): void {
    const { batch } = this;
    let rq = this.head;
    this.head = this.tail = null;
    while (rq !== null) {
      const next: Request | null = rq.next;
      if (!blkMq.blkMqCompleteRequestRemote(rq)) blkMq.blkMqAddToBatch(rq, batch, false, this.end);
      rq = next;
    }
    if (batch.first !== null) this.end(batch);
  }
}

const ended = new Float64Array(1);
const endIo = (_bio: Bio): void => {
  ended[0]++;
};

await door.call('bench', async () => {
  const driver = new EmptyDriver();
  const set = blkMq.blkMqAllocTagSet({
    name: 'empty',
    ops: driver,
    nrHwQueues: 4,
    nrMaps: 1,
    queueDepth: 1023,
    reservedTags: 0,
    numaNode: 0,
    timeoutNs: 30e9,
    flags: 0,
    driverData: null,
  });
  const disk = blkMq.blkMqAllocDisk(
    set,
    { maxHwSectors: 1024, virtBoundaryMask: 4095, writeCache: true, fua: true },
    null,
  );
  blkMq.setDiskName(disk, 'bench0', {}, null);
  blkMq.setCapacityAndNotify(disk, 1 << 20);
  const bios = Array.from({ length: 32 }, (_, i) => {
    const bio = blkMq.allocBio(1);
    bio.disk = disk;
    bio.sizeBytes = 4096;
    bio.vcnt = 1;
    bio.vecAddr[0] = 4096 * (i + 1);
    bio.vecLengthBytes[0] = 4096;
    bio.endIo = endIo;
    return bio;
  });
  const round = (depth: number, plugged: boolean): void => {
    const plug = plugged ? blkMq.blkStartPlug() : null;
    for (let i = 0; i < depth; i++) {
      const bio = bios[i];
      bio.opf = 0;
      bio.sector = i * 64;
      blkMq.submitBio(bio);
    }
    if (plug !== null) blkMq.blkFinishPlug(plug);
    driver.completeAll();
  };
  const measure = (name: string, depth: number, plugged: boolean): void => {
    const rounds = Math.floor(200_000 / depth);
    const times: number[] = [];
    for (let run = 0; run < 60; run++) {
      const start = process.hrtime.bigint();
      for (let i = 0; i < rounds; i++) round(depth, plugged);
      times.push(Number(process.hrtime.bigint() - start) / (rounds * depth));
    }
    times.sort((a, b) => a - b);
    console.log(`${name}: best ${times[0].toFixed(1)} median ${times[30].toFixed(1)} ns per I/O`);
  };
  measure('depth 32', 32, false);
  measure('depth 32, plugged', 32, true);
  measure('depth 1', 1, false);
});
