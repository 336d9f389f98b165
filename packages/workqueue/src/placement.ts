/**
 * Where the scheduler puts a worker of an unbound pool. By default on an idle CPU of the node, looked for from the CPU
 * behind the one that queues; when power is to be saved, on a CPU that is awake already, so that no idle one must wake.
 * Kernel counterpart: kernel/sched/fair.c (select_task_rq_fair), as far as unbound works need it.
 */
import { NO_CPU } from '@nvme-stack/kernel';
import type { WorkerPool } from './pool.js';
import type { WorkqueueSystem } from './system.js';

/** The CPU for a worker of an unbound pool. Any context. */
export function placeUnbound(pool: WorkerPool): number {
  const { system, kernel } = pool;
  const { ex, nrCpus, cpus } = kernel;
  const here = ex.cpu === NO_CPU ? 0 : ex.cpu;
  const saving = system.options.powerEfficient === true;
  if (saving && ex.current.pid !== 0 && ex.context !== 'device' && kernel.cpuToNode(here) === pool.node) return here;
  let fallback = -1;
  for (let step = 1; step <= nrCpus; step++) {
    const cpu = (here + step) % nrCpus;
    if (kernel.cpuToNode(cpu) !== pool.node || !cpus.isOnline(cpu)) continue;
    if (fallback < 0 || cpu === here) fallback = cpu;
    if (cpu === here && !saving) continue;
    if (cpuIsIdle(system, cpu) !== saving) return cpu;
  }
  return fallback < 0 ? here : fallback;
}

/** Whether nothing is known to run on a CPU. @kernel kernel/sched/syscalls.c idle_cpu */
function cpuIsIdle(system: WorkqueueSystem, cpu: number): boolean {
  const { ex } = system.kernel;
  if (system.options.cpuIsIdle !== undefined && !system.options.cpuIsIdle(cpu)) return false;
  if (ex.cpu === cpu && ex.current.pid !== 0) return false;
  for (const pool of system.pools) {
    for (const { task } of pool.workers) {
      if (task !== null && task.cpu === cpu && (task.state === 'ready' || task.state === 'running')) return false;
    }
  }
  return true;
}
