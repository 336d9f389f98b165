/**
 * What the irq package owns: interrupt descriptors, the domain and chip a platform implements, affinity spreading.
 * Types and constants only. Counterparts: include/linux/irq.h, irqdomain.h, interrupt.h, msi.h.
 */
import type { Kernel, KernelProfile } from '@nvme-stack/kernel';

/** @kernel include/linux/irqreturn.h irqreturn */
export const IRQ_NONE = 0 as const;
export const IRQ_HANDLED = 1 as const;
export const IRQ_WAKE_THREAD = 2 as const;
export type IrqReturn = 0 | 1 | 2;

/** @kernel include/linux/interrupt.h IRQF_SHARED */
export const IRQF_SHARED = 0x80;
export const IRQF_ONESHOT = 0x2000;

/** A handler; hard interrupt context: never sleeps, throws or allocates. @kernel include/linux/interrupt.h irq_handler_t */
export type IrqHandler<T> = (irq: number, devId: T) => IrqReturn;

/** How an interrupt line behaves. */
export type IrqTrigger = 'edge' | 'level';

/** An interrupt as its domain and chip see it. @kernel include/linux/irq.h irq_data */
export interface IrqData {
  readonly irq: number;
  /** Number within its domain, as /proc/interrupts shows it. */
  readonly hwirq: number;
  /** CPUs it may be delivered to. */
  affinity: readonly number[];
  /** The CPU it is delivered to at present; set by the domain. */
  effectiveCpu: number;
  /** The domain's own data. */
  chipData: unknown;
}

/** The operations on one interrupt line. Any context. @kernel include/linux/irq.h irq_chip */
export interface IrqChip {
  /** As /proc/interrupts prints it: `PCI-MSIX-0000:00:01.0`, `IO-APIC`. */
  readonly name: string;
  irqAck?(data: IrqData): void;
  irqMask(data: IrqData): void;
  irqUnmask(data: IrqData): void;
  irqEoi?(data: IrqData): void;
  /** Moves delivery to one of `cpus`. */
  irqSetAffinity?(data: IrqData, cpus: readonly number[]): void;
}

/** What a device writes to memory to interrupt a CPU; made once, refilled. @kernel include/linux/msi.h msi_msg */
export interface MsiMsg {
  addressLo: number;
  addressHi: number;
  data: number;
}

/** Hands out CPU vectors; implemented by the platform. @kernel include/linux/irqdomain.h irq_domain (x86_vector_domain) */
export interface IrqDomain {
  readonly name: string;
  /** Reserves a vector on one of `data.affinity`; false when none is left. Task context. */
  activate(data: IrqData): boolean;
  deactivate(data: IrqData): void;
  /** Fills what must be written to the device. @kernel include/linux/irq.h irq_compose_msi_msg */
  composeMsiMsg(data: IrqData, msg: MsiMsg): void;
  /** Moves the vector; the caller writes the new message. */
  setAffinity(data: IrqData, cpus: readonly number[]): boolean;
  /** Acknowledges at the CPU's interrupt controller; trace irq_chip_ack_parent. */
  ack(data: IrqData): void;
}

/** A device's side of its MSI vectors, implemented by pci-bus. */
export interface MsiDevice {
  readonly name: string;
  readonly chip: IrqChip;
  /** hwirq of a vector index. */
  hwirq(index: number): number;
  writeMsg(index: number, msg: MsiMsg): void;
}

/** @kernel include/linux/interrupt.h irq_affinity */
export interface IrqAffinity {
  preVectors: number;
  postVectors: number;
  nrSets: number;
  readonly setSize: number[];
  calcSets?(affd: IrqAffinity, nvecs: number): void;
  priv?: unknown;
}

/** @kernel include/linux/interrupt.h irq_affinity_desc */
export interface IrqAffinityDesc {
  readonly cpus: readonly number[];
  readonly isManaged: boolean;
}

/** The interrupt subsystem of one machine. */
export interface Irqs {
  readonly kernel: Kernel;

  /** Trace request_threaded_irq. Throws EINVAL, EBUSY. Task context. @kernel include/linux/interrupt.h request_irq */
  requestIrq<T>(irq: number, handler: IrqHandler<T>, flags: number, name: string, devId: T): void;
  /** `threadFn` runs in a task of its own (`irq/24-nvme0q1`). Task context. @kernel kernel/irq/manage.c request_threaded_irq */
  requestThreadedIrq<T>(
    irq: number,
    handler: IrqHandler<T> | null,
    threadFn: ((irq: number, devId: T) => Promise<IrqReturn>) | null,
    flags: number,
    name: string,
    devId: T,
  ): void;
  /** Waits for running handlers; returns the name it was requested with. Task context. @kernel kernel/irq/manage.c free_irq */
  freeIrq(irq: number, devId: unknown): Promise<string>;
  /** Masks and waits for handlers. Task context. @kernel kernel/irq/manage.c disable_irq */
  disableIrq(irq: number): Promise<void>;
  enableIrq(irq: number): void;
  /** Has the thread of a handler run, as its hard handler would; nothing happens when there is none. Any context. @kernel kernel/irq/manage.c irq_wake_thread */
  irqWakeThread(irq: number, devId: unknown): void;
  /** @kernel kernel/irq/manage.c synchronize_irq */
  synchronizeIrq(irq: number): Promise<void>;

  /** Runs the flow handler of an interrupt; hard interrupt context; called by the platform. Trace handle_edge_irq / handle_fasteoi_irq → handle_irq_event → __handle_irq_event_percpu. @kernel kernel/irq/irqdesc.c generic_handle_irq */
  genericHandleIrq(irq: number): void;

  /** A line of the platform (INTx); returns its irq number. @kernel kernel/irq/irqdomain.c irq_create_mapping */
  createMapping(hwirq: number, trigger: IrqTrigger, chip: IrqChip): number;
  disposeMapping(irq: number): void;

  /** Makes `nvec` interrupts on `domain` for a device and writes their messages; returns the irq of each index. Throws ENOSPC. Task context. @kernel kernel/irq/msi.c msi_domain_alloc_irqs_range */
  msiAllocIrqs(
    domain: IrqDomain,
    device: MsiDevice,
    nvec: number,
    affinity: readonly IrqAffinityDesc[] | null,
  ): number[];
  msiFreeIrqs(domain: IrqDomain, device: MsiDevice, irqs: readonly number[]): void;

  /** Spreads vectors over CPUs; calls `affd.calcSets`. Null: no spreading needed. @kernel kernel/irq/affinity.c irq_create_affinity_masks */
  irqCreateAffinityMasks(nvecs: number, affd: IrqAffinity): IrqAffinityDesc[] | null;
  /** @kernel kernel/irq/affinity.c irq_calc_affinity_vectors */
  irqCalcAffinityVectors(minvec: number, maxvec: number, affd: IrqAffinity): number;
  /** CPUs evenly in groups, as queue mapping uses it. @kernel lib/group_cpus.c group_cpus_evenly */
  groupCpusEvenly(groups: number): number[][];
  irqGetAffinity(irq: number): readonly number[];
  /** Throws EINVAL for no online CPU, EIO for a managed interrupt. Task context. @kernel kernel/irq/manage.c irq_set_affinity */
  irqSetAffinity(irq: number, cpus: readonly number[]): void;

  /** /proc/interrupts' text; the package registers it with procfs. */
  showInterrupts(): string;
}

/** What the log says of a message that no interrupt waits for; %v stands for CPU and vector. @kernel arch/x86/kernel/irq.c */
export const NO_IRQ_HANDLER: Readonly<Record<KernelProfile, string>> = {
  '6.12': 'No irq handler for %v',
  '6.1': '__common_interrupt: %v No irq handler for vector',
  '4.13': 'do_IRQ: %v No irq handler for vector',
  '4.10': 'do_IRQ: %v No irq handler for vector',
};
