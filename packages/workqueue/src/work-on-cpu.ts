/**
 * Calling a function on a certain CPU and waiting for what it returns.
 * Kernel counterpart: kernel/workqueue.c (work_on_cpu_key, work_for_cpu_fn).
 */
import { BugError, KernelError, traced } from '@nvme-stack/kernel';
import { flushWork } from './flush.js';
import { queueWorkOn } from './queue.js';
import type { WorkqueueSystem } from './system.js';
import { Work } from './work.js';
import type { Workqueue } from './workqueue.js';

/** A call under way; what it throws goes to its caller, not to the worker. */
interface CpuCall {
  readonly kernel: WorkqueueSystem['kernel'];
  readonly wq: Workqueue;
  readonly cpu: number;
  readonly fn: () => Promise<unknown>;
  outcome: { readonly value: unknown } | { readonly error: unknown } | null;
}

const workForCpu = traced('work_for_cpu_fn', async (call: CpuCall): Promise<void> => {
  try {
    call.outcome = { value: await call.fn() };
  } catch (error) {
    if (BugError.is(error)) throw error;
    call.outcome = { error };
  }
});

const runOnCpu = traced('work_on_cpu', async (system: WorkqueueSystem, call: CpuCall): Promise<void> => {
  if (call.cpu < 0 || call.cpu >= system.kernel.nrCpus) throw new KernelError('EINVAL', `work_on_cpu ${call.cpu}`);
  const work = new Work(system, 'work_for_cpu_fn', call, (owner) => workForCpu(owner as CpuCall));
  queueWorkOn(system, call.cpu, call.wq, work);
  await flushWork(system, work);
});

/** Runs `fn` on a CPU and returns or throws what it does; EINVAL: no such CPU. Task context. @kernel kernel/workqueue.c work_on_cpu_key */
export async function workOnCpu<T>(
  system: WorkqueueSystem,
  wq: Workqueue,
  cpu: number,
  fn: () => Promise<T>,
): Promise<T> {
  const call: CpuCall = { kernel: system.kernel, wq, cpu, fn, outcome: null };
  await runOnCpu(system, call);
  const { outcome } = call;
  if (outcome === null) system.kernel.ex.bug('work_on_cpu: the work was flushed and has not run');
  if ('error' in outcome) throw outcome.error;
  return outcome.value as T;
}
