/**
 * The front door's types: a machine, its disks, its parts, its journal.
 */
/// <reference lib="esnext.disposable" preserve="true" />
import type { Bio, BlkMq, BlkStatus, Partition } from '@nvme-stack/blk-mq/ports';
import type { DeviceCore, Dmi, OpenFlags, SuspendState, Uevent } from '@nvme-stack/device-core/ports';
import type { Irqs } from '@nvme-stack/irq/ports';
import type {
  Clock,
  Costs,
  HostLoop,
  Kernel,
  KernelInstance,
  KernelOptions,
  Leak,
  TraceEntry,
  TraceLevel,
} from '@nvme-stack/kernel';
import type { ModuleDefinition, Modules } from '@nvme-stack/modules/ports';
import type {
  FaultPlanDescription,
  FaultRule,
  NvmeControllerDeps,
  NvmeControllerDescription,
} from '@nvme-stack/nvme-controller';
import type { BlockStore, FaultPlan, FaultRuleReport } from '@nvme-stack/nvme-controller/ports';
import type {
  NVME_IOCTL_ADMIN_CMD,
  NVME_IOCTL_ADMIN64_CMD,
  NVME_IOCTL_IO_CMD,
  NVME_IOCTL_IO64_CMD,
  NVME_IOCTL_IO64_CMD_VEC,
  NVME_IOCTL_SUBMIT_IO,
  NvmeCore,
  NvmePassthruCmd,
  NvmeUserIo,
} from '@nvme-stack/nvme-core/ports';
import type { NvmePciDriver, NvmePciDriverDeps, NvmeQueueInfo } from '@nvme-stack/nvme-pci-driver/ports';
import type { PciBus, PciDev } from '@nvme-stack/pci-bus/ports';
import type { PciFunction } from '@nvme-stack/pci-function';
import type { PlatformSim, PlatformSimDeps } from '@nvme-stack/platform-sim/ports';
import type { Workqueues } from '@nvme-stack/workqueue/ports';
import type { MachineDescription, MachineNvme, ResolvedMachine } from './description.js';

/** Every subsystem of a machine, for those who look inside. */
export interface Subsystems {
  readonly kernel: Kernel;
  readonly workqueues: Workqueues;
  readonly irqs: Irqs;
  readonly deviceCore: DeviceCore;
  readonly dmi: Dmi;
  readonly modules: Modules;
  readonly pciBus: PciBus;
  readonly blkMq: BlkMq;
  readonly nvmeCore: NvmeCore;
  readonly nvmePciDriver: NvmePciDriver;
  readonly platform: PlatformSim;
}

/** A board outside this process: it has its own devices, and time passes there by itself. */
export interface ExternalBoard {
  readonly clock: Clock;
  /** What CPU time costs beside the time that passes. */
  readonly costs: Partial<Costs>;
  /** The host's loop, as the machine is to use it: a wait also ends when the board has something to say. */
  host(loop: HostLoop): HostLoop;
  platform(deps: { readonly kernel: Kernel; readonly irqs: Irqs }): PlatformSim;
  /** Puts a controller of the board's own into the slot of a port, for `machine.plug`. Throws a RangeError for what it cannot be. Left out: none can be put in. */
  plug?(platform: PlatformSim, port: string, nvme: MachineNvme): void;
  /** Calls `listener` once, with the reason, when the board is no more; the machine then refuses and rejects every call. */
  onFailure(listener: (reason: string) => void): void;
}

/** What the factory of each subsystem is given. */
export interface MachineParts {
  /** Executor, memory, trace: the whole floor. */
  readonly kernel?: (options: KernelOptions) => KernelInstance;
  readonly workqueue?: (deps: { readonly kernel: Kernel }) => Workqueues;
  readonly irq?: (deps: { readonly kernel: Kernel }) => Irqs;
  readonly deviceCore?: (deps: { readonly kernel: Kernel; readonly workqueues: Workqueues }) => DeviceCore;
  readonly modules?: (deps: {
    readonly kernel: Kernel;
    readonly deviceCore: DeviceCore;
    readonly workqueues: Workqueues;
  }) => Modules;
  readonly pciBus?: (deps: {
    readonly kernel: Kernel;
    readonly deviceCore: DeviceCore;
    readonly irqs: Irqs;
    readonly workqueues: Workqueues;
  }) => PciBus;
  readonly blkMq?: (deps: {
    readonly kernel: Kernel;
    readonly deviceCore: DeviceCore;
    readonly workqueues: Workqueues;
    readonly irqs: Irqs;
  }) => BlkMq;
  readonly nvmeCore?: (deps: {
    readonly kernel: Kernel;
    readonly blkMq: BlkMq;
    readonly deviceCore: DeviceCore;
    readonly workqueues: Workqueues;
  }) => NvmeCore;
  readonly nvmePciDriver?: (deps: NvmePciDriverDeps) => NvmePciDriver;
  readonly platform?: (deps: PlatformSimDeps) => PlatformSim;
  /** Takes the place of the platform; the controllers are the board's own, `nvme` of the description is not built. */
  readonly board?: ExternalBoard;
  /** The hardware in a slot; any `PciFunction` will do. */
  readonly controller?: (description: NvmeControllerDescription, deps: NvmeControllerDeps) => PciFunction;
  /** The medium of a namespace; null: the machine's own memory. */
  readonly blockStore?: (namespace: StoreRequest) => BlockStore | null;
}

/** The namespace a store is asked for. */
export interface StoreRequest {
  /** Index of the controller in the description. */
  readonly controller: number;
  readonly nsid: number;
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Path of its image, when the description names one. */
  readonly file: string | null;
}

/** What comes beside the description. */
export interface MachineOptions {
  readonly parts?: MachineParts;
  /** Scripted misbehaviour of each controller, by its index in the description. */
  readonly faultPlans?: readonly (FaultPlan | undefined)[];
}

/** A buffer of scattered pages in the machine's RAM. */
export interface IoBuffer {
  readonly sizeBytes: number;
  /** Physical address of each page. */
  readonly pages: readonly number[];
  /** Copies in and out; offsets and lengths in bytes. */
  write(offsetBytes: number, bytes: Uint8Array): void;
  read(offsetBytes: number, lengthBytes: number): Uint8Array;
  free(): void;
}

/** How a user's buffer lies in RAM. */
export interface BufferLayout {
  /** Lengths of its physically contiguous pieces, whole pages; default: every page stands alone. */
  readonly pieceBytes?: readonly number[];
}

/** How long written data are expected to live, as fcntl(F_SET_RW_HINT) says it. @kernel include/uapi/linux/fcntl.h RWH_WRITE_LIFE_NONE */
export type WriteHint = 'none' | 'short' | 'medium' | 'long' | 'extreme';

/** How a write is done. */
export interface WriteLayout extends BufferLayout {
  /** Not set unless told. Kernels 4.13 and 6.12 hand it to the block layer, 6.1 keeps it to itself, 4.10 knows none. */
  readonly writeHint?: WriteHint;
}

/** A disk or partition by its name. Offsets and lengths are in bytes and multiples of the logical block. */
export interface Disk {
  readonly name: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly partitions: readonly Partition[];
  /** Rejects with KernelError: EINVAL (range), EIO and the block layer's other errors, ENODEV (gone). */
  read(offsetBytes: number, lengthBytes: number): Promise<Uint8Array>;
  write(offsetBytes: number, bytes: Uint8Array, layout?: WriteLayout): Promise<void>;
  flush(): Promise<void>;
  discard(offsetBytes: number, lengthBytes: number): Promise<void>;
  writeZeroes(offsetBytes: number, lengthBytes: number): Promise<void>;
}

/** A PCI device as the bench sees it: the hardware, and the hand that pulls it out. */
export interface MachineDevice {
  /** Its address as it is numbered now: `0000:01:00.0`. */
  readonly bdf: string;
  /** Null while the kernel does not know it. */
  readonly pdev: PciDev | null;
  /** The hardware; a `NvmeController` unless `parts.controller` made it. */
  readonly function: PciFunction;
  /** Misbehaviour of an NVMe controller; throws EOPNOTSUPP for any other function. */
  readonly faults: MachineFaults;
  /** Surprise removal: it is pulled out, its driver learns of it from its slot. Rejects with a RangeError for a part of a switch or a port. */
  unplug(): Promise<void>;
  /**
   * Orderly removal: its slot is powered off, as by `echo 0 > /sys/bus/pci/slots/<n>/power`, or without such a slot it is
   * removed by its own file; then it is taken out. Rejects as `unplug` does, and with what the slot refuses.
   */
  eject(): Promise<void>;
}

/** A hot-plug slot behind a port. */
export interface MachineSlot {
  /** The port's name. */
  readonly port: string;
  /** What stands in it, whether it has power or not; null: it is empty. */
  readonly device: MachineDevice | null;
  /** As a hand does: five seconds later the slot is powered on or off, unless it is pressed again. Rejects with a RangeError for a slot without. */
  pressAttentionButton(): Promise<void>;
}

/** The fault plan of a controller at run time; changes are in the journal. Rejects with a RangeError for a bad rule. */
export interface MachineFaults {
  /** Rules in force, and how often each has acted. */
  readonly rules: readonly FaultRuleReport[];
  /** Replaces all rules. */
  set(plan: FaultPlanDescription): Promise<void>;
  add(rule: FaultRule): Promise<void>;
  /** Takes all rules back. */
  clear(): Promise<void>;
}

/** A CPU, and the switch it has. */
export interface MachineCpu {
  readonly cpu: number;
  readonly isOnline: boolean;
  /**
   * Takes it off, as `echo 0 > /sys/devices/system/cpu/cpuN/online` does: its hardware queues drain, its interrupts, works,
   * timers and tasks go to other CPUs. Nothing happens when it is off. Rejects with KernelError: EPERM for CPU 0, EBUSY for
   * the last one.
   */
  offline(): Promise<void>;
  /** Brings it back; nothing happens when it is on. */
  online(): Promise<void>;
}

/** Structures of the ioctls that send a command, by the ioctl's number. */
export interface IoctlArguments {
  readonly [NVME_IOCTL_ADMIN_CMD]: NvmePassthruCmd;
  readonly [NVME_IOCTL_ADMIN64_CMD]: NvmePassthruCmd;
  readonly [NVME_IOCTL_IO_CMD]: NvmePassthruCmd;
  readonly [NVME_IOCTL_IO64_CMD]: NvmePassthruCmd;
  readonly [NVME_IOCTL_IO64_CMD_VEC]: NvmePassthruCmd;
  readonly [NVME_IOCTL_SUBMIT_IO]: NvmeUserIo;
}

/** What an ioctl takes: its structure where it is known here, else whatever the node's driver expects. */
export type IoctlArgument<C extends number> = C extends keyof IoctlArguments ? IoctlArguments[C] : unknown;

/** One call at the front door. */
export interface JournalCall {
  /** The moment: items run before it. */
  readonly items: number;
  readonly timeNs: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** Everything a run is made of: replaying it gives the same run. */
export interface Journal {
  readonly description: MachineDescription;
  readonly calls: readonly JournalCall[];
}

/** The trace as the front door shows it. */
export interface MachineTrace {
  readonly level: TraceLevel;
  readonly entries: readonly TraceEntry[];
  /** Rolling hash of all but function events. */
  hash(): string;
  subscribe(listener: (entry: TraceEntry) => void): () => void;
}

/** One controller as its driver has it. */
export interface ControllerInfo {
  /** `nvme0`. */
  readonly name: string;
  /** Of the function behind it: `0000:00:04.0`. */
  readonly address: string;
  /** `live`, `resetting` and the like, also where the kernel has no file that shows it (before 4.11). */
  readonly state: string;
}

/** A machine that has booted. Calls may be awaited one by one or run at the same time. */
export interface Machine {
  readonly description: ResolvedMachine;
  readonly subsystems: Subsystems;
  /** Virtual nanoseconds since power-on. */
  readonly nowNs: number;
  readonly trace: MachineTrace;

  /** Loads a module and what it depends on; parameters under Linux's names. Rejects with KernelError. */
  modprobe(name: string, params?: Readonly<Record<string, unknown>>): Promise<void>;
  /** Loads a module of one's own. */
  insmod(definition: ModuleDefinition, params?: Readonly<Record<string, unknown>>): Promise<void>;
  rmmod(name: string): Promise<void>;

  /** A disk or partition; throws ENODEV when there is none of that name. */
  disk(name: string): Disk;
  allocBuffer(sizeBytes: number, layout?: BufferLayout): IoBuffer;
  allocBio(maxVecs: number): Bio;
  /** Submits a bio in a task of its own and waits for its end; for the hot path use `task` and `subsystems.blkMq`. */
  submitBio(bio: Bio): Promise<BlkStatus>;
  /**
   * Opens a node, sends an ioctl (NVME_IOCTL_ADMIN_CMD and its like, from `@nvme-stack/nvme-core/ports`) and closes it;
   * results are written into `argument`. Resolves to what the ioctl returns: of a passthrough ioctl the command's NVMe
   * status. Rejects with KernelError: ENOENT (no such node), EACCES, EAGAIN (the controller is not live), ENOTTY (no such
   * ioctl), and what is wrong with the argument. `flags` default to an administrator's, reading and writing.
   */
  ioctl<C extends number>(
    path: string,
    command: C,
    argument: IoctlArgument<C>,
    flags?: Partial<OpenFlags>,
  ): Promise<number>;
  /** Permission bits of a node; new ones have 0o600. Rejects with KernelError: ENOENT, EINVAL. */
  chmod(path: string, mode: number): Promise<void>;
  /** Runs `main` as a kernel task; it may await only kernel primitives. Not in the journal. Rejects with EINVAL for a CPU that is off. */
  task<T>(name: string, main: (subsystems: Subsystems) => Promise<T>, cpu?: number): Promise<T>;

  /** Log lines with their time stamps. */
  dmesg(): string[];
  readonly sysfs: {
    /** What the file shows without waiting. */
    read(path: string): string;
    /** What `cat` prints: a file that asks the device (a temperature) does so first. */
    cat(path: string): Promise<string>;
    write(path: string, text: string): Promise<void>;
    list(path: string): string[];
    readlink(path: string): string;
    exists(path: string): boolean;
  };
  readonly procfs: { read(path: string): string; list(): string[] };
  readonly uevents: readonly Uevent[];
  /** The controllers that the driver has, in the order in which it met them. */
  controllers(): readonly ControllerInfo[];
  /** Queues of a controller by its name (`nvme0`). */
  queues(controller: string): readonly NvmeQueueInfo[];

  /** By number, from 0; throws EINVAL. */
  cpu(cpu: number): MachineCpu;
  /** By address (`0000:01:00.0`, or without the domain), with buses as they are numbered now; throws ENODEV. */
  device(bdf: string): MachineDevice;
  /** The slot of a port, by the port's name; throws a RangeError. */
  slot(port: string): MachineSlot;
  /** Puts another controller into a slot of the running machine: of bus 0, or of the port it names. */
  plug(controller: MachineNvme): Promise<MachineDevice>;
  /** Sleeps: `mem` (default) gives the power to firmware, `freeze` leaves it on. Rejects when a driver refuses. */
  suspend(state?: SuspendState): Promise<void>;
  resume(): Promise<void>;
  shutdown(): Promise<void>;

  /** Lets `ns` of virtual time pass. */
  run(ns: number): Promise<void>;
  /** Runs one item; false when nothing can happen. */
  step(): Promise<boolean>;
  /** Runs until nothing is ready and nothing falls due within a second. */
  settle(): Promise<void>;
  /** What is left of what modules made; empty after `rmmod`. */
  leaks(): Leak[];
  journal(): Journal;
  /** Refuses later calls and rejects outstanding ones. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}
