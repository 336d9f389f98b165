/**
 * Pools of a CPU that goes off serve on as unbound ones: what is queued there, now or later, runs on other CPUs. When
 * the CPU is back they are bound to it again.
 * Kernel counterpart: kernel/workqueue.c (workqueue_offline_cpu, unbind_workers, workqueue_online_cpu, rebind_workers).
 */
import { CPUHP_AP_WORKQUEUE_ONLINE } from '@nvme-stack/kernel';
import { kickPool, type WorkerPool } from './pool.js';
import type { WorkqueueSystem } from './system.js';

/** Called once, when the subsystem is made. */
export function followCpus(system: WorkqueueSystem): void {
  system.kernel.cpus.register({
    name: 'workqueue:online',
    state: CPUHP_AP_WORKQUEUE_ONLINE,
    startup: (cpu) => {
      for (const pool of system.pools) if (pool.cpu === cpu) rebindWorkers(pool);
    },
    teardown: (cpu) => {
      for (const pool of system.pools) if (pool.cpu === cpu) unbindWorkers(pool);
    },
  });
}

/** From here on nobody holds works back because another one runs. @kernel kernel/workqueue.c unbind_workers */
function unbindWorkers(pool: WorkerPool): void {
  pool.disassociated = true;
  kickPool(pool);
}

/** Workers return as they go on: those that sleep inside a work when it wakes. @kernel kernel/workqueue.c rebind_workers */
function rebindWorkers(pool: WorkerPool): void {
  pool.disassociated = false;
  for (const { task } of pool.workers) {
    if (task !== null && task.state !== 'dead') task.cpu = pool.cpu;
  }
}
