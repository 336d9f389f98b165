/**
 * Interrupt descriptors: all that is known of one interrupt, and the handlers that share it.
 * Kernel counterpart: include/linux/irqdesc.h (irq_desc), include/linux/interrupt.h (irqaction).
 */
import {
  Completion,
  type HasKernel,
  type Item,
  type Kernel,
  type Task,
  type WaitList,
  WaitQueue,
} from '@nvme-stack/kernel';
import type { IrqChip, IrqData, IrqDomain, IrqHandler, IrqReturn, IrqTrigger, MsiDevice } from './ports.js';

/** Flow handlers. An edge is an event; a level is asserted until its device is content. */
export const FLOW_EDGE = 0;
export const FLOW_LEVEL = 1;
export const FLOW_FASTEOI = 2;
export type IrqFlow = 0 | 1 | 2;

/** As /proc/interrupts names the flow. */
export const FLOW_NAMES: readonly string[] = ['edge', 'level', 'fasteoi'];

/** A handler that runs in a task of its own. */
export type IrqThreadFn = (irq: number, devId: unknown) => Promise<IrqReturn>;

/** One handler of an interrupt. @kernel include/linux/interrupt.h irqaction */
export class IrqAction implements HasKernel {
  readonly kernel: Kernel;
  readonly desc: IrqDesc;
  readonly handler: IrqHandler<unknown>;
  readonly threadFn: IrqThreadFn | null;
  readonly flags: number;
  readonly name: string;
  readonly devId: unknown;
  next: IrqAction | null = null;
  thread: Task | null = null;
  /** Where the thread waits for the next interrupt, apart from whatever its handler waits for. */
  readonly threadWait: WaitList;
  /** Its bit in the descriptor's `threadsOneshot`. */
  threadMask = 0;
  /** The thread is to run the handler once more. */
  runThread = false;
  stopping = false;
  readonly stopped: Completion;

  constructor(desc: IrqDesc, request: IrqRequest) {
    this.kernel = desc.kernel;
    this.desc = desc;
    this.handler = request.handler;
    this.threadFn = request.threadFn;
    this.flags = request.flags;
    this.name = request.name;
    this.devId = request.devId;
    this.threadWait = desc.kernel.ex.waitList();
    this.stopped = new Completion(desc.kernel, `the end of irq/${desc.irq}-${request.name}`);
  }
}

/** What `requestThreadedIrq` is asked for. */
export interface IrqRequest {
  readonly irq: number;
  readonly handler: IrqHandler<unknown>;
  readonly threadFn: IrqThreadFn | null;
  readonly flags: number;
  readonly name: string;
  readonly devId: unknown;
}

/** The MSI side of a descriptor. @kernel include/linux/msi.h msi_desc */
export interface MsiBinding {
  readonly domain: IrqDomain;
  readonly device: MsiDevice;
  readonly index: number;
}

/** @kernel include/linux/irqdesc.h irq_desc */
export class IrqDesc implements IrqData, HasKernel {
  readonly kernel: Kernel;
  readonly irq: number;
  readonly hwirq: number;
  readonly chip: IrqChip;
  readonly flow: IrqFlow;
  /** Null for a line of the platform. */
  readonly msi: MsiBinding | null;
  /** The kernel spreads it; userland may not move it. */
  readonly managed: boolean;
  affinity: readonly number[];
  effectiveCpu = 0;
  chipData: unknown = null;

  action: IrqAction | null = null;
  /** Above zero: disabled. Without a handler it is 1. */
  depth = 1;
  masked = true;
  inProgress = false;
  /** It came while it could not be handled: it will be replayed. */
  pending = false;
  spuriousDisabled = false;
  /** Managed, and every CPU it may go to is off: counts once in `depth`. @kernel include/linux/irq.h IRQD_MANAGED_SHUTDOWN */
  managedShutdown = false;
  /** Threads that must run before the line is unmasked, and how many run at all. */
  oneshot = false;
  threadsOneshot = 0;
  threadsActive = 0;
  threadsHandled = 0;
  threadsHandledLast = -1;
  irqCount = 0;
  irqsUnhandled = 0;
  lastUnhandledNs = Number.NEGATIVE_INFINITY;
  /** Interrupts by CPU. */
  readonly kstat: Float64Array;
  /** Tasks that wait for its threads. */
  readonly waiters: WaitQueue;
  /** Replays a pending edge. */
  readonly resend: Item;
  readonly procFiles: (() => void)[] = [];

  constructor(kernel: Kernel, setup: IrqDescSetup) {
    this.kernel = kernel;
    this.irq = setup.irq;
    this.hwirq = setup.hwirq;
    this.chip = setup.chip;
    this.flow = setup.flow;
    this.msi = setup.msi;
    this.managed = setup.managed;
    this.affinity = setup.affinity;
    this.kstat = new Float64Array(kernel.nrCpus);
    this.waiters = new WaitQueue(kernel, `synchronize_irq ${setup.irq}`);
    this.resend = kernel.ex.item('hardirq', 0, setup.onResend, this as IrqDesc);
  }
}

/** What a descriptor is made of. */
export interface IrqDescSetup {
  readonly irq: number;
  readonly hwirq: number;
  readonly chip: IrqChip;
  readonly flow: IrqFlow;
  readonly msi: MsiBinding | null;
  readonly managed: boolean;
  readonly affinity: readonly number[];
  readonly onResend: (desc: IrqDesc) => void;
}

/** The flow of a line: Linux's choice on x86. */
export function flowOfLine(trigger: IrqTrigger, chip: IrqChip): IrqFlow {
  if (trigger === 'edge') return FLOW_EDGE;
  return chip.irqEoi === undefined ? FLOW_LEVEL : FLOW_FASTEOI;
}
