/**
 * The interfaces the kernel package owns: time, execution, memory, DMA, trace, and the instance that holds them.
 * Types and constants only. Counterparts: kernel/sched, kernel/time, mm/, kernel/dma, kernel/trace.
 */
import type { Costs } from './costs.js';

// ---------------------------------------------------------------------------------------------- contexts

/** Where code runs. Device context belongs to hardware and to no CPU. */
export type Context = 'device' | 'hardirq' | 'softirq' | 'task';

/** How much is checked at run time: everything, only DMA mappings and tags, or nothing. */
export type Checks = 'full' | 'dma' | 'off';

/** The kernel whose flow, symbols and formats a machine follows. */
export type KernelProfile = '6.12' | '6.1' | '4.13' | '4.10';

/** The CPU of an item that belongs to no CPU (device context). */
export const NO_CPU = -1;

// ---------------------------------------------------------------------------------------------- executor

/** A unit of work the executor can run; made once, posted many times. Its fields are the executor's. */
export interface Item {
  readonly context: Context;
  /** The CPU it runs on; may be changed while the item is idle. */
  cpu: number;
  /** True from `post` or `arm` until it runs or is disarmed. */
  readonly pending: boolean;
}

/** A thread of execution: a kernel thread or a system call. @kernel include/linux/sched.h task_struct */
export interface Task {
  readonly pid: number;
  readonly name: string;
  /** The CPU it runs on from its next resumption. */
  cpu: number;
  readonly state: 'ready' | 'running' | 'parked' | 'dead';
  /** preempt_count: above zero the task may not sleep. */
  atomic: number;
  /** Above zero: interrupts of its CPU wait, also inside `udelay`. @kernel include/linux/irqflags.h local_irq_disable */
  irqsOff: number;
  /** Names of the locks it holds, outermost first; kept by the lock checker, else empty. @kernel include/linux/sched.h task_struct.held_locks */
  readonly heldLocks: string[];
  /** What a parked task waits for, in words. */
  readonly waitsFor: string;
  /** Per-task pointer of the block layer. @kernel include/linux/sched.h task_struct.plug */
  plug: unknown;
}

/** Tasks parked on one event, first in, first out. Opaque to all but the executor. */
export interface WaitList {
  readonly size: number;
}

/** Value with which `park` returns when its time-out passed first. */
export const PARK_TIMEOUT = -1;

/** Virtual or real time. */
export interface Clock {
  /** Nanoseconds since the machine was powered on; never goes back. */
  now(): number;
  /** Virtual clocks jump to the deadline and say true; a real clock says whether it has come. */
  reach(deadlineNs: number): boolean;
}

/** The host's two calls; made by the composition root. */
export interface HostLoop {
  /** Runs `fn` as a macrotask of the host, never inside this call. */
  macrotask(fn: () => void): void;
  /** Runs `fn` once after that much real time; returns what cancels it. */
  after(delayNs: number, fn: () => void): () => void;
}

/** Runs everything: interrupts, softirqs, timers and tasks, each on a virtual CPU. */
export interface Executor {
  readonly nrCpus: number;
  /** The running task; in interrupt and device context the one that was interrupted, or the idle task. */
  readonly current: Task;
  /** The CPU that runs now; NO_CPU in device context. */
  readonly cpu: number;
  readonly context: Context;
  /** Items run so far: the address of a moment. */
  readonly items: number;

  /** Virtual nanoseconds since power-on, including what the running item has been charged. */
  now(): number;
  /** Charges CPU time to the running item. */
  charge(ns: number): void;

  /** Makes an item; `fn` runs to completion in `context` on `cpu`. */
  item<A>(context: Exclude<Context, 'task'>, cpu: number, fn: (arg: A) => void, arg: A): Item;
  /** Makes the item ready; never runs anything itself. Returns false when it was ready already. */
  post(item: Item): boolean;
  /** Makes the item ready at `timeNs`, moving it if it was armed or posted. @kernel kernel/time/timer.c mod_timer */
  arm(item: Item, timeNs: number): void;
  /** Takes back `post` or `arm`; returns whether it was pending. @kernel kernel/time/timer.c del_timer */
  disarm(item: Item): boolean;
  /**
   * Busy time: device events that fall due run nested, and so do interrupts, unless this CPU's wait (a hard interrupt,
   * interrupts off) or a lock is held (then other CPUs' wait too); tasks do not. Any context but device.
   */
  udelay(ns: number): void;

  /** Starts a task; its first slice comes from the ready queue. An error it ends with is a BUG. */
  spawn(name: string, main: () => Promise<void>, cpu?: number): Task;
  waitList(): WaitList;
  /** Parks the running task; only primitives call it: `const v = await ex.park(...); ex.awake()`. */
  park(what: string, list: WaitList | null, timeoutNs?: number): Promise<number>;
  /** Checks that the task that just resumed is the one the executor resumed. */
  awake(): void;
  /** Ends a task's park with a value >= 0; false when it was not parked. Any context. */
  wake(task: Task, value: number): boolean;
  /** Wakes the first waiter; returns it, or null when the list is empty. */
  wakeFirst(list: WaitList, value: number): Task | null;
  /** Wakes every waiter; returns how many. */
  wakeAll(list: WaitList, value: number): number;

  /** One compare: a BUG when nothing of this machine runs (a forgotten `await`, or a call from outside). */
  assertAwake(what: string): void;
  /** A BUG when sleeping is not allowed here. @kernel include/linux/kernel.h might_sleep */
  mightSleep(what: string): void;
  /** Records a defect of ours, halts this machine and throws. */
  bug(message: string): never;
  /** Inside a task: waits for a host promise; virtual time stands still until it settles. */
  hostWait<T>(promise: Promise<T>): Promise<T>;
  /** From device context: virtual time stands still until `release` is called; then `fn(arg)` runs in device context. */
  hostHold<A>(fn: (arg: A) => void, arg: A): () => void;
  /** Every parked task in the order of their pids, for reports. */
  parkedTasks(): readonly Task[];

  /**
   * Takes a CPU off: its tasks go to CPU `to` for good; what else waits there, or is armed for it, runs on `to` for as
   * long. Then `spawn` refuses it, and with full checks so does `post`. Only `Kernel.cpus` calls it. Not the running CPU.
   */
  retireCpu(cpu: number, to: number): void;
  /** The CPU runs again what is posted to it or armed for it; tasks stay where they are. Only `Kernel.cpus` calls it. */
  reviveCpu(cpu: number): void;
}

// ---------------------------------------------------------------------------------------------- CPUs

/**
 * Steps of a CPU's way up; on its way down they are taken backwards. Those up to CPUHP_TEARDOWN_CPU run while the CPU is
 * off, those above it while it is on. @kernel include/linux/cpuhotplug.h cpuhp_state
 */
export const CPUHP_BLOCK_SOFTIRQ_DEAD = 1;
export const CPUHP_BLK_MQ_DEAD = 2;
/** The very moment it goes off; may neither sleep nor fail. */
export const CPUHP_TEARDOWN_CPU = 3;
export const CPUHP_AP_IRQ_AFFINITY_ONLINE = 4;
export const CPUHP_AP_BLK_MQ_ONLINE = 5;
export const CPUHP_AP_WORKQUEUE_ONLINE = 6;
/** Everybody else, in the order of registration. */
export const CPUHP_AP_ONLINE_DYN = 7;

/** What a subsystem does when a CPU comes or goes. Task context, not on that CPU; may sleep unless its state forbids it. */
export interface CpuHotplugStep {
  /** As reports name it: `block/mq:online`. */
  readonly name: string;
  /** One of CPUHP_…; default CPUHP_AP_ONLINE_DYN. Steps of one state go up in the order of their registration. */
  readonly state?: number;
  /** The CPU comes. What it throws above CPUHP_TEARDOWN_CPU takes the CPU off again. */
  startup?(cpu: number): Promise<void> | void;
  /** The CPU goes. What it throws above CPUHP_TEARDOWN_CPU keeps the CPU on; it must have undone its own part. */
  teardown?(cpu: number): Promise<void> | void;
}

/** Which CPUs are on, and their coming and going. @kernel kernel/cpu.c */
export interface CpuHotplug {
  /** Any context. @kernel include/linux/cpumask.h cpu_online */
  isOnline(cpu: number): boolean;
  /** No CPU is off: the guard before anything that asks further. */
  readonly allOnline: boolean;
  /** In ascending order; a new list after each change. @kernel include/linux/cpumask.h cpu_online_mask */
  onlineCpus(): readonly number[];
  /** Called from then on, not for what is on already; returns what ends it. @kernel include/linux/cpuhotplug.h cpuhp_setup_state_nocalls */
  register(step: CpuHotplugStep): () => void;
  /** Takes a CPU off; does nothing when it is. Throws EINVAL (no such CPU), EBUSY (the last one), EPERM (CPU 0), or what a step threw. Task context. @kernel kernel/cpu.c cpu_down */
  cpuDown(cpu: number): Promise<void>;
  /** Brings a CPU back; does nothing when it is on. Throws EINVAL, or what a step threw. Task context. @kernel kernel/cpu.c cpu_up */
  cpuUp(cpu: number): Promise<void>;
}

/** How the host calls into a machine. What is outstanding rejects when the machine halts or is closed. */
export interface FrontDoor {
  /** Runs `main` as a task and resolves or rejects with it; the machine is pumped while calls are outstanding. */
  call<T>(name: string, main: () => Promise<T>, cpu?: number): Promise<T>;
  /** Pumps until the item counter reaches `items`, then stands still until it is asked again. */
  runUntilItems(items: number): Promise<void>;
  /** Pumps until the next event lies after `timeNs`, then stands still until it is asked again. */
  runUntilTime(timeNs: number): Promise<void>;
  /** Runs exactly one ready item (advancing time when none is ready) and stands still; false when nothing can happen. */
  step(): Promise<boolean>;
  /** Pumps until nothing is ready and the next event is more than `horizonNs` away. */
  settle(horizonNs: number): Promise<void>;
  /** Refuses every later call and rejects outstanding ones with `reason`. */
  close(reason: string): void;
  /** The recorded BUG, once there is one. */
  readonly halted: Error | null;
}

// ---------------------------------------------------------------------------------------------- memory

/** Bytes of a page. */
export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;

/** RAM by physical address. Addresses are numbers below 2^53; a failed allocation is `NO_PAGE`. */
export interface PhysicalMemory {
  /** The array RAM lives in; byte `address` of RAM is `bytes[address]`. Memory stores may share it beyond `sizeBytes`. */
  readonly bytes: Uint8Array;
  /** The same as 32-bit words (little-endian hosts only); word `address >>> 2`. */
  readonly u32: Uint32Array;
  /** Bytes of RAM; pages exist below it. */
  readonly sizeBytes: number;
  /** Physically contiguous, page-aligned, zeroed pages. Any context. @kernel mm/page_alloc.c __alloc_pages */
  allocPages(count: number, owner: string, node?: number): number;
  /** Pages that are pairwise not adjacent, as a user's buffer often is; null when RAM is short. */
  allocScattered(count: number, owner: string): number[] | null;
  /** @kernel mm/page_alloc.c free_pages */
  freePages(address: number, count: number): void;
  /** NUMA node of an address. */
  nodeOf(address: number): number;
  readonly freePageCount: number;
}

/** What `allocPages` returns when RAM is short. */
export const NO_PAGE = -1;

/** Memory that CPU and device both see. `publish` before a doorbell, `acquire` where Linux has dma_rmb. */
export interface CoherentMemory {
  readonly busAddr: number;
  readonly sizeBytes: number;
  readonly bytes: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  publish(offset: number, lengthBytes: number): void;
  acquire(offset: number, lengthBytes: number): void;
}

/** @kernel include/linux/dma-direction.h dma_data_direction */
export const DMA_BIDIRECTIONAL = 0;
export const DMA_TO_DEVICE = 1;
export const DMA_FROM_DEVICE = 2;
export type DmaDirection = 0 | 1 | 2;

/** A bus address no mapping ever has. @kernel include/linux/dma-mapping.h DMA_MAPPING_ERROR */
export const DMA_MAPPING_ERROR = -1;

/** Physical pieces of a request, made once per request and refilled. @kernel include/linux/scatterlist.h scatterlist */
export interface ScatterList {
  readonly capacity: number;
  /** Entries in use before mapping. */
  nents: number;
  readonly physAddr: Float64Array;
  readonly lengthBytes: Float64Array;
  /** Filled by mapping: bus addresses and lengths; `mappedNents` in use. */
  mappedNents: number;
  readonly dmaAddr: Float64Array;
  readonly dmaLengthBytes: Float64Array;
}

/** What the DMA API needs to know of a device. @kernel include/linux/device.h device (dma_ops, dma_mask) */
export interface DmaDevice {
  readonly kernel: Kernel;
  readonly name: string;
  /** Requester id (bus << 8 | devfn): the IOMMU's domain. */
  readonly requesterId: number;
  readonly numaNode: number;
  /** Highest address the device can reach, as a number of bits (64 or 32 …). */
  dmaMaskBits: number;
  coherentDmaMaskBits: number;
  readonly ops: DmaOps;
}

/** How a platform maps memory for a device. Mapping calls may come from any context and never sleep. */
export interface DmaOps {
  /** Zeroed; null when memory is short. @kernel kernel/dma/mapping.c dma_alloc_attrs */
  allocCoherent(dev: DmaDevice, sizeBytes: number): CoherentMemory | null;
  freeCoherent(dev: DmaDevice, memory: CoherentMemory): void;
  /** Returns a bus address or DMA_MAPPING_ERROR. @kernel kernel/dma/mapping.c dma_map_page_attrs */
  mapPage(dev: DmaDevice, physAddr: number, lengthBytes: number, direction: DmaDirection): number;
  unmapPage(dev: DmaDevice, busAddr: number, lengthBytes: number, direction: DmaDirection): void;
  /** Returns the number of mapped entries, 0 on failure. @kernel kernel/dma/mapping.c dma_map_sgtable */
  mapSg(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): number;
  unmapSg(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): void;
  /** Whether this platform can serve a mask of so many bits. @kernel kernel/dma/mapping.c dma_supported */
  supported(dev: DmaDevice, maskBits: number): boolean;
}

/** Told of every mapping; stands behind dma-direct to check device access. Null: nothing is checked. */
export interface DmaMappingObserver {
  map(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): void;
  /** Unmapping what is not mapped, or with another direction, is a defect of the driver: the observer reports it. */
  unmap(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): void;
}

// ---------------------------------------------------------------------------------------------- resources

/** A range of an address space, as in /proc/iomem. @kernel include/linux/ioport.h resource */
export interface Resource {
  readonly name: string;
  readonly start: number;
  /** Inclusive, as in Linux. */
  readonly end: number;
  readonly flags: number;
  readonly children: readonly Resource[];
}

// ---------------------------------------------------------------------------------------------- trace

/** `off` records nothing; `hash` rolls every event but function events into `traceHash`; `full` keeps all. */
export type TraceLevel = 'off' | 'hash' | 'full';

/** Kinds of trace entries. `function` entries come from traced functions. */
export type TraceKind =
  | 'function'
  | 'config'
  | 'mmio'
  | 'dma'
  | 'sqe'
  | 'cqe'
  | 'msi'
  | 'irq'
  | 'sched'
  | 'work'
  | 'block'
  | 'nvme'
  | 'printk';

/** Declares a kind of event: its name and fields, as Linux's or QEMU's where they have one. */
export interface TraceEventType {
  readonly name: string;
  readonly kind: TraceKind;
  /** Names of up to four numeric arguments. */
  readonly fields: readonly string[];
  /** Name of the optional text argument. */
  readonly textField?: string;
}

/** One entry of the trace. */
export interface TraceEntry {
  readonly seq: number;
  readonly startNs: number;
  /** Function entries: time until exit, -1 while it runs; 0 for events. */
  durationNs: number;
  readonly cpu: number;
  readonly task: string;
  readonly pid: number;
  readonly context: Context;
  /** Nesting of function entries on their own task or interrupt. */
  readonly depth: number;
  readonly kind: TraceKind;
  /** Kernel symbol of a function entry in this machine's profile, or the event's name. */
  readonly symbol: string;
  readonly fields: readonly string[];
  readonly args: readonly number[];
  readonly text: string;
}

/** The one stream everything is told in. */
export interface Trace {
  readonly schemaVersion: 1;
  readonly level: TraceLevel;
  /** Function entries are kept: the guard before `enter` and `exit`. */
  readonly functions: boolean;
  /** Events are recorded: the guard before `event`. */
  readonly events: boolean;
  /** Opens a function entry of the running task or interrupt; `exit` closes the innermost. */
  enter(id: string): void;
  exit(): void;
  /** Records an event; any context. Guard with `events`. */
  event(type: TraceEventType, a: number, b: number, c: number, d: number, text?: string): void;
  /** Rolling hash of all but function events, 16 hexadecimal digits. */
  hash(): string;
  /** Entries kept so far (level `full`). */
  readonly entries: readonly TraceEntry[];
  /** Called for every new entry; returns what ends it. Must not call into the machine. */
  subscribe(listener: (entry: TraceEntry) => void): () => void;
  /** Adds a profile's table of function ids that have another symbol, or none (null), in that era. */
  renameSymbols(table: Readonly<Record<string, string | null>>): void;
}

// ---------------------------------------------------------------------------------------------- logs, procfs, leaks

/** @kernel include/linux/kern_levels.h */
export type LogLevel = 'emerg' | 'alert' | 'crit' | 'err' | 'warn' | 'notice' | 'info' | 'debug';

/** One line of the kernel log; `text` has no time stamp. */
export interface LogLine {
  readonly timeNs: number;
  readonly level: LogLevel;
  readonly text: string;
}

/** @kernel kernel/printk/printk.c */
export interface Printk {
  print(level: LogLevel, text: string): void;
  readonly lines: readonly LogLine[];
  /** The log as `dmesg` prints it: `[    1.234567] text`. */
  dmesg(): string[];
}

/** Files under /proc whose text is made when read. */
export interface Procfs {
  /** Registers a file, e.g. `/proc/interrupts`; returns what removes it. */
  register(path: string, show: () => string): () => void;
  /** The file's text; throws KernelError ENOENT. */
  read(path: string): string;
  list(): string[];
}

/** Kinds of things that must be gone after `rmmod`. */
export type LeakKind = 'pages' | 'mappings' | 'regions' | 'pools' | 'vectors' | 'work' | 'kobjects' | 'tags';

/** Something left behind: how many of a kind, under which name. */
export interface Leak {
  readonly kind: LeakKind;
  readonly name: string;
  readonly count: number;
}

/** Counts live objects by kind and name. */
export interface LiveObjects {
  add(kind: LeakKind, name: string, count?: number): void;
  remove(kind: LeakKind, name: string, count?: number): void;
  /** What is live now and was not when `baseline` was last called. */
  leaks(): Leak[];
  /** Declares what is live now to be no leak (boot-time objects). */
  baseline(): void;
}

/** Seeded random streams by name: the same seed and name give the same numbers. */
export interface RandomStreams {
  /** A uint32 of the named stream. */
  next(stream: string): number;
}

/** Remembers in which order locks are taken, by name; an order that could deadlock is a BUG. @kernel kernel/locking/lockdep.c */
export interface LockChecker {
  /** Before waiting for a lock: checks it against every lock held here. */
  wants(name: string): void;
  /** The lock is held. */
  holds(name: string): void;
  released(name: string): void;
}

// ---------------------------------------------------------------------------------------------- the instance

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
