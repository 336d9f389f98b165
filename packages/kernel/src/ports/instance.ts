/** One machine's kernel instance. Types and constants only. */
import type { Costs } from '../costs.js';
import type { Checks, KernelProfile } from './contexts.js';
import type { CpuHotplug } from './cpus.js';
import type { Executor } from './executor.js';
import type { PhysicalMemory } from './memory.js';
import type { LiveObjects, LockChecker, Printk, Procfs, RandomStreams } from './reports.js';
import type { Resource } from './resources.js';
import type { Trace } from './trace.js';

/** One machine's kernel instance: what every traced function reaches from its first argument. */
export interface Kernel {
  /** Itself, so that a kernel can be a traced function's first argument. */
  readonly kernel: Kernel;
  readonly profile: KernelProfile;
  readonly checks: Checks;
  /** CPUs there are, on or off; @kernel include/linux/cpumask.h nr_cpu_ids */
  readonly nrCpus: number;
  /** Which of them are on. */
  readonly cpus: CpuHotplug;
  readonly nrNodes: number;
  readonly costs: Costs;
  /** Wall-clock milliseconds at power-on. */
  readonly bootTimeMs: number;
  readonly ex: Executor;
  readonly memory: PhysicalMemory;
  /** Root of /proc/iomem. */
  readonly iomem: ResourceTree;
  readonly trace: Trace;
  readonly printk: Printk;
  readonly procfs: Procfs;
  readonly live: LiveObjects;
  readonly random: RandomStreams;
  /** Only with `checks: 'full'`. */
  readonly lockChecker: LockChecker | null;
  /** NUMA node of a CPU. @kernel include/linux/topology.h cpu_to_node */
  cpuToNode(cpu: number): number;
}

/** @kernel kernel/resource.c */
export interface ResourceTree {
  readonly root: Resource;
  /** Claims [start, start + size) under `parent` (default: the root); null when it is taken. */
  request(name: string, start: number, sizeBytes: number, flags: number, parent?: Resource): Resource | null;
  release(resource: Resource): void;
  /** /proc/iomem's text. */
  show(): string;
}

/** What a traced function's first argument must offer. */
export interface HasKernel {
  readonly kernel: Kernel;
}
