/** The core on real lower layers, with fake transports: what this package's own tests run on. */
import { createBlkMq } from '@nvme-stack/blk-mq';
import type { BlkMq, BlkStatus } from '@nvme-stack/blk-mq/ports';
import { createDeviceCore } from '@nvme-stack/device-core';
import type { DeviceCore } from '@nvme-stack/device-core/ports';
import { type KernelInstance, type KernelOptions, PAGE_SIZE } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import { createWorkqueues } from '@nvme-stack/workqueue';
import type { Workqueues } from '@nvme-stack/workqueue/ports';
import { createNvmeCore } from '../index.js';
import type { NvmeCore } from '../ports.js';
import { FakeNvmeTransport } from './fake-transport.js';
import { TinyController, type TinyControllerOptions } from './tiny-controller.js';

/** A machine without buses. */
export interface TestMachine extends KernelInstance {
  readonly core: NvmeCore;
  readonly blkMq: BlkMq;
  readonly deviceCore: DeviceCore;
  readonly workqueues: Workqueues;
  /** Runs a body as a task. */
  run<T>(body: () => Promise<T>): Promise<T>;
  transport(options: TinyControllerOptions, name?: string): FakeNvmeTransport;
  /** Moves whole sectors; data is returned for reads, status for both. */
  io(disk: string, opf: number, sector: number, data: Uint8Array): Promise<BlkStatus>;
  dmesg(): string[];
  /** Function symbols of the trace below the first `root`, indented. */
  tree(root: string): string[];
}

type BlkMqDeps = Parameters<typeof createBlkMq>[0];

/** All CPUs in order, a share for each group. */
function groupCpusEvenly(nrCpus: number, groups: number): number[][] {
  const shares: number[][] = Array.from({ length: groups }, () => []);
  for (let cpu = 0; cpu < nrCpus; cpu++) shares[Math.floor((cpu * groups) / nrCpus)].push(cpu);
  return shares;
}

/** Makes one; nvme_core is not loaded yet. */
export function createTestMachine(options: Partial<KernelOptions> = {}): TestMachine {
  const instance = createTestKernel(options);
  const { kernel, door } = instance;
  const workqueues = createWorkqueues({ kernel });
  const deviceCore = createDeviceCore({ kernel, workqueues });
  const irqs = { groupCpusEvenly: (groups: number) => groupCpusEvenly(kernel.nrCpus, groups) } as BlkMqDeps['irqs'];
  const blkMq = createBlkMq({ kernel, deviceCore, workqueues, irqs });
  const core = createNvmeCore({ kernel, blkMq, deviceCore, workqueues });
  const deps = { kernel, core, blkMq, deviceCore, workqueues };
  return {
    ...instance,
    ...deps,
    run: (body) => door.call('test', body),
    transport: (controller, name) => new FakeNvmeTransport(deps, new TinyController(controller), name),
    io: (disk, opf, sector, data) => submit(kernel, blkMq, { disk, opf, sector, data }),
    dmesg: () => kernel.printk.lines.map((line) => line.text),
    tree: (root) => tree(kernel, root),
  };
}

interface Io {
  readonly disk: string;
  readonly opf: number;
  readonly sector: number;
  readonly data: Uint8Array;
}

async function submit(
  kernel: KernelInstance['kernel'],
  blkMq: BlkMq,
  { disk, opf, sector, data }: Io,
): Promise<BlkStatus> {
  const target = blkMq.lookup(disk);
  if (target === null) throw new Error(`no disk ${disk}`);
  const pages = Math.max(1, Math.floor((data.length + PAGE_SIZE - 1) / PAGE_SIZE));
  const addr = kernel.memory.allocPages(pages, 'test');
  kernel.memory.bytes.set(data, addr);
  const bio = blkMq.allocBio(1);
  bio.disk = target.disk;
  bio.opf = opf;
  bio.sector = sector;
  bio.sizeBytes = data.length;
  bio.vcnt = data.length === 0 ? 0 : 1;
  bio.vecAddr[0] = addr;
  bio.vecLengthBytes[0] = data.length;
  const status = await blkMq.submitBioWait(bio);
  data.set(kernel.memory.bytes.subarray(addr, addr + data.length));
  kernel.memory.freePages(addr, pages);
  return status;
}

function tree(kernel: KernelInstance['kernel'], root: string): string[] {
  const { entries } = kernel.trace;
  const start = entries.findIndex((entry) => entry.kind === 'function' && entry.symbol === root);
  if (start < 0) return [];
  const { pid, depth } = entries[start];
  const lines = [root];
  for (const entry of entries.slice(start + 1)) {
    if (entry.kind !== 'function' || entry.pid !== pid || entry.context !== 'task') continue;
    if (entry.depth <= depth) break;
    lines.push('  '.repeat(entry.depth - depth) + entry.symbol);
  }
  return lines;
}
