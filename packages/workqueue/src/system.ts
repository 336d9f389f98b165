/**
 * What one machine's workqueue subsystem holds: its pools, its queues and which task is which worker.
 * Kernel counterpart: the file-scope variables of kernel/workqueue.c, and workqueue_init_early.
 */
import { type HasKernel, type Kernel, KernelError, NO_CPU, type Task, traced } from '@nvme-stack/kernel';
import { WORKQUEUE_ERAS, type WorkqueueEra } from './eras.js';
import { drainWorkqueue } from './flush.js';
import { WorkerPool } from './pool.js';
import { WQ_HIGHPRI, WQ_MEM_RECLAIM, WQ_ORDERED, WQ_POWER_EFFICIENT, WQ_UNBOUND } from './ports.js';
import { Rescuer } from './rescuer.js';
import type { Worker } from './worker.js';
import { Workqueue } from './workqueue.js';

/** @kernel include/linux/workqueue.h WQ_MAX_ACTIVE */
export const WQ_MAX_ACTIVE = 512;
/** @kernel include/linux/workqueue.h WQ_DFL_ACTIVE */
export const WQ_DFL_ACTIVE = WQ_MAX_ACTIVE / 2;

/** What may be chosen when the subsystem is made. */
export interface WorkqueueOptions {
  /** Makes queues with WQ_POWER_EFFICIENT unbound, and keeps unbound works off idle CPUs. @kernel kernel/workqueue.c wq_power_efficient */
  readonly powerEfficient?: boolean;
  /** True makes the creation of a worker fail; `pool` is `0`, `0H`, `u8`. */
  readonly createWorkerFails?: (pool: string) => boolean;
  /** True makes `allocWorkqueue` fail with ENOMEM. */
  readonly allocWorkqueueFails?: (name: string) => boolean;
  /** What the scheduler knows of a CPU beyond its workers; default: nothing. */
  readonly cpuIsIdle?: (cpu: number) => boolean;
}

/** Parameters of `allocWorkqueue`. */
export interface WorkqueueRequest {
  readonly name: string;
  readonly flags: number;
  readonly maxActive: number;
}

export class WorkqueueSystem implements HasKernel {
  readonly kernel: Kernel;
  readonly options: WorkqueueOptions;
  readonly era: WorkqueueEra;
  /** Bound ones first, two for each CPU; then the unbound ones, two for each node. */
  readonly pools: readonly WorkerPool[];
  readonly queues: Workqueue[] = [];
  readonly workerOfTask = new WeakMap<Task, Worker>();
  nextWorkId = 1;

  constructor(kernel: Kernel, options: WorkqueueOptions) {
    this.kernel = kernel;
    this.options = options;
    this.era = WORKQUEUE_ERAS[kernel.profile];
    const pools: WorkerPool[] = [];
    for (let cpu = 0; cpu < kernel.nrCpus; cpu++) {
      for (const suffix of ['', 'H']) pools.push(new WorkerPool(this, `${cpu}`, suffix, cpu, kernel.cpuToNode(cpu)));
    }
    for (let node = 0; node < kernel.nrNodes; node++) {
      for (let priority = 0; priority < 2; priority++) {
        pools.push(new WorkerPool(this, `u${pools.length}`, '', NO_CPU, node));
      }
    }
    this.pools = pools;
  }
}

/** A queue as it is made at boot: no leak, never destroyed. @kernel kernel/workqueue.c workqueue_init_early */
export function makeWorkqueue(system: WorkqueueSystem, request: WorkqueueRequest, boot: boolean): Workqueue {
  const { kernel, options } = system;
  let { flags } = request;
  if ((flags & WQ_POWER_EFFICIENT) !== 0 && options.powerEfficient === true) flags |= WQ_UNBOUND;
  // Order needs one place for all CPUs.
  if ((flags & WQ_ORDERED) !== 0) flags |= WQ_UNBOUND;
  const maxActive = (flags & WQ_ORDERED) !== 0 ? 1 : clampMaxActive(kernel, request);
  const wq = new Workqueue(kernel, request.name, flags, maxActive, poolsFor(system, flags), boot);
  system.queues.push(wq);
  return wq;
}

function poolsFor({ kernel, pools }: WorkqueueSystem, flags: number): WorkerPool[] {
  const priority = (flags & WQ_HIGHPRI) !== 0 ? 1 : 0;
  const unbound = (flags & WQ_UNBOUND) !== 0;
  const first = unbound ? kernel.nrCpus * 2 : 0;
  const ordered = (flags & WQ_ORDERED) !== 0;
  const count = unbound ? (ordered ? 1 : kernel.nrNodes) : kernel.nrCpus;
  return Array.from({ length: count }, (_, n) => pools[first + n * 2 + priority]);
}

/** @kernel kernel/workqueue.c wq_clamp_max_active */
function clampMaxActive(kernel: Kernel, { name, maxActive }: WorkqueueRequest): number {
  if (maxActive === 0) return WQ_DFL_ACTIVE;
  const clamped = Math.min(Math.max(maxActive, 1), WQ_MAX_ACTIVE);
  if (clamped !== maxActive) {
    kernel.printk.print(
      'warn',
      `workqueue: max_active ${maxActive} requested for ${name} is out of range, clamping between 1 and ${WQ_MAX_ACTIVE}`,
    );
  }
  return clamped;
}

/** Throws ENOMEM. Task context. @kernel kernel/workqueue.c alloc_workqueue */
export const allocWorkqueue = traced('alloc_workqueue', (system: WorkqueueSystem, request: WorkqueueRequest) => {
  const { kernel, options } = system;
  if (options.allocWorkqueueFails?.(request.name) === true) {
    throw new KernelError('ENOMEM', `alloc_workqueue ${request.name}`);
  }
  const wq = makeWorkqueue(system, request, false);
  if ((wq.flags & WQ_MEM_RECLAIM) !== 0) wq.rescuer = new Rescuer(system, wq);
  kernel.live.add('work', wq.name);
  return wq;
});

/** Drains and removes a queue. Task context. @kernel kernel/workqueue.c destroy_workqueue */
export const destroyWorkqueue = traced('destroy_workqueue', async (system: WorkqueueSystem, wq: Workqueue) => {
  const { ex, live } = system.kernel;
  if (wq.boot) ex.bug(`destroy_workqueue of the system's own ${wq.name}`);
  if (wq.destroyed) ex.bug(`workqueue ${wq.name} destroyed twice`);
  await drainWorkqueue(system, wq);
  wq.destroyed = true;
  if (wq.rescuer !== null) await wq.rescuer.stop();
  wq.rescuer = null;
  system.queues.splice(system.queues.indexOf(wq), 1);
  live.remove('work', wq.name);
});
