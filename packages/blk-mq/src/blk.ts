/**
 * The block layer's instance: what belongs to one machine and to no disk.
 * Kernel counterpart: the file-scope variables of block/.
 */
import type { DeviceClass, DeviceCore, Kobject } from '@nvme-stack/device-core/ports';
import type { Irqs } from '@nvme-stack/irq/ports';
import { type Executor, type HasKernel, type Kernel, RateLimit, type Trace } from '@nvme-stack/kernel';
import type { WorkqueueStruct, Workqueues, WorkStruct } from '@nvme-stack/workqueue/ports';
import { WQ_HIGHPRI, WQ_MEM_RECLAIM } from '@nvme-stack/workqueue/ports';
import { type BioImpl, BioPool } from './bio.js';
import { BioStack } from './bio-based.js';
import { BlkDone } from './complete-remote.js';
import { delayedFput } from './disk-add.js';
import { BLK_ERAS, type BlkEra } from './eras.js';
import type { Disk } from './gendisk.js';
import { IntegrityState } from './integrity/payload.js';
import { MAX_NESTED, Plug } from './plug.js';
import type { IoSchedulerType } from './ports.js';
import type { TagSet } from './tag-set.js';

/** What the block layer is made from. */
export interface BlkMqDeps {
  readonly kernel: Kernel;
  readonly deviceCore: DeviceCore;
  readonly workqueues: Workqueues;
  readonly irqs: Irqs;
  /** Kernel parameter `gpt`: a backup GPT is believed although the primary one is bad. Default false. */
  readonly forceGpt?: boolean;
}

/** The block layer of one machine. */
export class Blk implements HasKernel {
  readonly kernel: Kernel;
  readonly ex: Executor;
  readonly trace: Trace;
  /** Whether function entries and events are kept, as 1 or 0: the guards of the hot path. */
  readonly functions: number;
  readonly events: number;
  /** Neither: submission and completion may take their short ways. */
  readonly untraced: number;
  readonly deviceCore: DeviceCore;
  readonly workqueues: Workqueues;
  readonly irqs: Irqs;
  readonly era: BlkEra;
  /** Submissions bring a plug: needed only where somebody sees it. */
  readonly ownPlug: boolean;
  readonly forceGpt: boolean;
  readonly blockClass: DeviceClass;
  readonly bdiClass: DeviceClass;
  /** /sys/block. */
  blockDir: Kobject | null = null;
  /** /sys/kernel/debug/block, once a disk has something there. */
  debugRoot: Kobject | null = null;
  readonly disks: Disk[] = [];
  /** Disks whose file a kernel thread has closed, and the work that tells them. @kernel fs/file_table.c delayed_fput_list */
  readonly closing: Disk[] = [];
  readonly delayedFput: WorkStruct;
  readonly tagSets: TagSet[] = [];
  readonly schedulers = new Map<string, IoSchedulerType>();
  readonly bioPool = new BioPool();
  readonly integrity = new IntegrityState();
  /** Bios on their way through disks that take bios themselves. */
  readonly bioStack = new BioStack();
  /** Plugs of nested submissions, made once per depth. */
  readonly plugs: Plug[] = [];
  plugDepth = 0;
  /** Completions sent to other CPUs, per CPU. */
  readonly done: BlkDone[] = [];
  readonly errorLimit: RateLimit;
  readonly eodLimit: RateLimit;
  /** What the last split left. */
  splitRest: BioImpl | null = null;
  nextDiskseq = 1;
  readonly minors: boolean[] = [];
  private kblockdWq: WorkqueueStruct | null = null;

  constructor(deps: BlkMqDeps) {
    const { kernel } = deps;
    this.kernel = kernel;
    this.ex = kernel.ex;
    this.trace = kernel.trace;
    this.functions = kernel.trace.functions ? 1 : 0;
    this.events = kernel.trace.events ? 1 : 0;
    this.deviceCore = deps.deviceCore;
    this.workqueues = deps.workqueues;
    this.irqs = deps.irqs;
    this.era = BLK_ERAS[kernel.profile];
    this.ownPlug = this.era.submitOwnsPlug && this.functions + this.events > 0;
    this.untraced = this.functions + this.events === 0 ? 1 : 0;
    this.forceGpt = deps.forceGpt ?? false;
    this.blockClass = { name: 'block' };
    this.bdiClass = { name: 'bdi' };
    this.delayedFput = deps.workqueues.initWork('delayed_fput', this as Blk, delayedFput);
    this.errorLimit = new RateLimit(kernel, 'blk_print_req_error');
    this.eodLimit = new RateLimit(kernel, 'bio_check_eod');
    for (let cpu = 0; cpu < kernel.nrCpus; cpu++) this.done.push(new BlkDone(this, cpu));
    for (let depth = 0; depth < MAX_NESTED; depth++) this.plugs.push(new Plug());
  }

  /** The block layer's own workqueue, made when the first queue is. @kernel block/blk-core.c kblockd_workqueue */
  get kblockd(): WorkqueueStruct {
    return this.kblockdWq ?? this.initKblockd();
  }

  /** Task context. @kernel block/blk-core.c blk_dev_init */
  initKblockd(): WorkqueueStruct {
    this.kblockdWq ??= this.workqueues.allocWorkqueue('kblockd', WQ_MEM_RECLAIM | WQ_HIGHPRI, 0);
    return this.kblockdWq;
  }
}
