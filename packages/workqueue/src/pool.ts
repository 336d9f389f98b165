/**
 * Worker pools: for each CPU one of normal and one of high priority, and unbound ones for each node. A bound pool runs
 * one work at a time; when that sleeps, the CPU is free for the pool's next worker, which was woken beforehand. An
 * unbound pool gives every active work a worker at once.
 * Kernel counterpart: kernel/workqueue.c (worker_pool, kick_pool, manage_workers).
 */
import { type HasKernel, type Item, type Kernel, NO_CPU } from '@nvme-stack/kernel';
import { placeUnbound } from './placement.js';
import type { WorkqueueSystem } from './system.js';
import { WorkList } from './work-list.js';
import { Worker, workerThread } from './worker.js';

/** A pool that cannot make a worker calls the rescuers after so long, and again at the interval. */
const MAYDAY_INITIAL_NS = 10_000_000;
const MAYDAY_INTERVAL_NS = 100_000_000;
/** Between two attempts to make a worker. @kernel kernel/workqueue.c CREATE_COOLDOWN */
const CREATE_COOLDOWN_NS = 1_000_000_000;

/** @kernel kernel/workqueue.c worker_pool */
export class WorkerPool implements HasKernel {
  readonly kernel: Kernel;
  readonly system: WorkqueueSystem;
  /** As worker names show it: `0`, `u8`. */
  readonly name: string;
  /** Behind a worker's number: `H` for a bound pool of high priority. */
  readonly suffix: string;
  /** NO_CPU for an unbound pool. */
  readonly cpu: number;
  readonly node: number;
  readonly worklist = new WorkList();
  readonly workers: Worker[] = [];
  /** Last in, first out: the worker whose caches are warm. */
  readonly idle: Worker[] = [];
  /** Workers on their way to the worklist. */
  woken = 0;
  /** Workers that let others run between two works. */
  yielding = 0;
  /** Its CPU is off: its works run wherever there is one that is on. @kernel kernel/workqueue.c POOL_DISASSOCIATED */
  disassociated = false;
  private readonly mayday: Item;
  private maydayArmed = false;
  private createAgainNs = 0;

  constructor(system: WorkqueueSystem, name: string, suffix: string, cpu: number, node: number) {
    this.kernel = system.kernel;
    this.system = system;
    this.name = name;
    this.suffix = suffix;
    this.cpu = cpu;
    this.node = node;
    this.mayday = system.kernel.ex.item('softirq', cpu === NO_CPU ? 0 : cpu, maydayTimeout, this);
  }

  get bound(): boolean {
    return this.cpu !== NO_CPU && !this.disassociated;
  }

  /** No worker can be made: help comes from the rescuers. */
  callForHelp(): void {
    if (this.maydayArmed) return;
    this.maydayArmed = true;
    const now = this.kernel.ex.now();
    this.createAgainNs = now + CREATE_COOLDOWN_NS;
    this.kernel.ex.arm(this.mayday, now + MAYDAY_INITIAL_NS);
  }

  /** The mayday timer ran: tries again to make a worker, or calls the rescuers. */
  onMayday(): void {
    this.maydayArmed = false;
    if (this.worklist.size === 0) return;
    const now = this.kernel.ex.now();
    if (this.idle.length > 0 || now >= this.createAgainNs) {
      kickPool(this);
      if (!this.maydayArmed) return;
    } else {
      this.maydayArmed = true;
      this.kernel.ex.arm(this.mayday, now + MAYDAY_INTERVAL_NS);
    }
    for (let work = this.worklist.head; work !== null; work = work.next) {
      if (work.pwq !== null) work.pwq.wq.rescuer?.sendMayday(work.pwq);
    }
  }
}

function maydayTimeout(pool: WorkerPool): void {
  pool.onMayday();
}

/** Makes sure that a worker comes for what is in the worklist. Any context. @kernel kernel/workqueue.c kick_pool */
export function kickPool(pool: WorkerPool): void {
  const coming = pool.woken + pool.yielding;
  if (pool.worklist.size === 0 || (pool.bound ? coming > 0 : coming >= pool.worklist.size)) return;
  const worker = pool.idle.pop();
  const cpu = pool.bound ? pool.cpu : placeUnbound(pool);
  if (worker !== undefined) {
    pool.woken++;
    const { task } = worker;
    if (task === null) return;
    task.cpu = cpu;
    pool.kernel.ex.wake(task, 0);
    return;
  }
  if (!createWorker(pool, cpu)) pool.callForHelp();
}

/** @kernel kernel/workqueue.c create_worker */
function createWorker(pool: WorkerPool, cpu: number): boolean {
  const { system } = pool;
  if (system.options.createWorkerFails?.(pool.name + pool.suffix) === true) return false;
  const worker = new Worker(system, pool, `kworker/${pool.name}:${pool.workers.length}${pool.suffix}`);
  pool.workers.push(worker);
  pool.woken++;
  worker.task = pool.kernel.ex.spawn(worker.name, () => workerThread(worker, pool), cpu);
  system.workerOfTask.set(worker.task, worker);
  return true;
}
