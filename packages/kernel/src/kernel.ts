/**
 * Builds one machine's kernel instance from its parts. Nothing here is global: many instances run side by side.
 */
import { type Costs, DEFAULT_COSTS } from './costs.js';
import { CpuHotplugImpl } from './cpu-hotplug.js';
import { ExecutorImpl } from './executor/executor.js';
import { FrontDoorImpl } from './executor/front-door.js';
import { createLiveObjects } from './live-objects.js';
import { createPhysicalMemory } from './memory/physical-memory.js';
import type {
  Checks,
  Clock,
  CpuHotplug,
  Executor,
  ExecutorOptions,
  FrontDoor,
  HostLoop,
  Kernel,
  KernelExecutor,
  KernelProfile,
  LiveObjects,
  PhysicalMemory,
  TraceLevel,
} from './ports.js';
import { createPrintk } from './printk.js';
import { createProcfs } from './procfs.js';
import { createRandomStreams } from './random.js';
import { createResourceTree } from './resource.js';
import { createLockChecker } from './sync/lock-checker.js';
import { TraceImpl } from './trace/trace.js';

/** Bytes of the physical address space that /proc/iomem describes (2^46, as many x86-64 CPUs have). */
const PHYSICAL_ADDRESS_SPACE_BYTES = 2 ** 46;

/** What a kernel instance is made of; everything has a default but the host's loop. */
export interface KernelOptions {
  readonly host: HostLoop;
  readonly profile?: KernelProfile;
  /** 1 to 256. */
  readonly nrCpus?: number;
  readonly nrNodes?: number;
  readonly memoryBytes?: number;
  readonly seed?: number;
  /** The seed chooses among ready items; otherwise first in, first out. */
  readonly interleave?: boolean;
  readonly checks?: Checks;
  readonly trace?: TraceLevel;
  readonly bootTimeMs?: number;
  readonly costs?: Partial<Costs>;
  /** Test mode: what runs behind a forgotten `await` is caught. */
  readonly strict?: boolean;
  /** A real clock; default: virtual time. */
  readonly clock?: Clock;
  /** Makes the executor itself; default: the one of this package. */
  readonly makeExecutor?: (options: ExecutorOptions) => KernelExecutor;
  /** Wraps the executor that everything but the kernel's own loop is given, as `tracedExecutor` does. */
  readonly executor?: (inner: Executor) => Executor;
  /** Makes the RAM; default: an arena of `memoryBytes`. */
  readonly memory?: (live: LiveObjects, bug: (message: string) => never) => PhysicalMemory;
}

/** A kernel instance and the way in for its host. */
export interface KernelInstance {
  readonly kernel: Kernel;
  readonly door: FrontDoor;
}

/** Makes a kernel instance. */
export function createKernel(options: KernelOptions): KernelInstance {
  const nrCpus = options.nrCpus ?? 4;
  const nrNodes = options.nrNodes ?? 1;
  const costs = { ...DEFAULT_COSTS, ...options.costs };
  const random = createRandomStreams(options.seed ?? 1);
  const checks = options.checks ?? 'full';
  const makeExecutor = options.makeExecutor ?? ((own: ExecutorOptions) => new ExecutorImpl(own));
  const loop = makeExecutor({
    nrCpus,
    clock: options.clock ?? null,
    wakeNs: costs.wakeNs,
    checkPosts: checks === 'full',
    choose: options.interleave === true ? (n) => random.next('interleave') % n : null,
  });
  const trace = new TraceImpl(loop, options.trace ?? 'off');
  const ex = options.executor?.(loop) ?? loop;
  const live = createLiveObjects();
  const bug = (message: string): never => ex.bug(message);
  const memory =
    options.memory?.(live, bug) ??
    createPhysicalMemory({ sizeBytes: options.memoryBytes ?? 64 << 20, nrNodes, live, onBug: bug });
  const base = {
    profile: options.profile ?? '6.12',
    checks,
    nrCpus,
    nrNodes,
    costs,
    bootTimeMs: options.bootTimeMs ?? 0,
    ex,
    memory,
    iomem: createResourceTree('PCI mem', PHYSICAL_ADDRESS_SPACE_BYTES),
    trace,
    printk: createPrintk(ex, trace),
    procfs: createProcfs(),
    live,
    random,
    lockChecker: checks === 'full' ? createLockChecker(ex) : null,
    cpuToNode: (cpu: number) => Math.floor((cpu * nrNodes) / nrCpus),
  } as const;
  const kernel = Object.assign(base, { kernel: null as unknown as Kernel, cpus: null as unknown as CpuHotplug });
  kernel.kernel = kernel;
  kernel.cpus = new CpuHotplugImpl(kernel);
  kernel.procfs.register('/proc/iomem', () => kernel.iomem.show());
  const door = new FrontDoorImpl(loop, options.host, options.strict ?? false);
  return { kernel, door };
}
