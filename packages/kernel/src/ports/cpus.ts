/** CPUs that come and go. Counterpart: kernel/cpu.c. Types and constants only. */

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
