// Everything a controller remembers, in one place; the other files are functions over it.
// Kernel counterpart: none (the hardware). Spec: [NVMe] 2.0 §3.
import type { PciEndpoint, PciHost } from '@nvme-stack/pci-function';
import { Allotment } from './allotment.js';
import { ControllerMemoryBuffer } from './cmb.js';
import { Coalescing } from './coalescing.js';
import { CommandSlot, SLOT_ACTIVE, SLOT_FREE } from './command-slot.js';
import { MAX_NAMESPACES, type ResolvedController } from './description.js';
import { EventHeap } from './event-heap.js';
import type { FaultInjector } from './faults/injector.js';
import { FeatureState } from './features.js';
import { HealthState } from './health.js';
import { HostMemoryBuffer } from './hmb.js';
import type { Namespace } from './namespace.js';
import type { FaultPlan, LatencyModel, ScratchMemory } from './ports.js';
import { PowerManagement } from './power.js';
import type { CompletionQueue, SubmissionQueue } from './queues.js';
import { RegisterState } from './register-state.js';
import { VirtualResources } from './sriov/resources.js';
import type { VirtualFunctions } from './sriov/virtual-functions.js';
import { Stage } from './stage.js';
import { Streams } from './streams.js';

/** Kinds of timed events. */
export const EVENT_COMMAND = 0;
export const EVENT_READY = 1;
export const EVENT_SHUTDOWN = 2;
/** CC.EN = 0 takes effect late. */
export const EVENT_UNREADY = 3;
/** An interrupt comes late; its argument is the completion queue. */
export const EVENT_INTERRUPT = 4;
/** A rule of the fault plan may be due. */
export const EVENT_FAULT = 5;
/** A function that was gone is back. */
export const EVENT_BACK = 6;

/** Completions of a vector have been held back long enough. */
export const EVENT_COALESCED = 10;

/** Vectors a completion queue may name. */
function vectorsOf({ interrupts, msixVectors, msiVectors }: ResolvedController): number {
  if (interrupts === 'intx') return 1;
  return interrupts === 'msi' ? msiVectors : msixVectors;
}

/** The state of one controller. */
export class ControllerState {
  readonly description: ResolvedController;
  readonly endpoint: PciEndpoint;
  readonly latency: LatencyModel | null;
  /** Null while nothing can go wrong. */
  faults: FaultPlan | null;
  /** Set once, right after construction. */
  injector: FaultInjector | null;
  /** The function does not answer any more, until then. */
  isGone: boolean;
  backAtNs: number;
  /** CNTLID; a virtual function's is its number. */
  readonly controllerId: number;
  /** A virtual function's controller: its primary says what it has, and when it is online. */
  readonly isSecondary: boolean;
  /** A secondary controller that does nothing at present. */
  isOffline: boolean;
  /** Controllers over the same namespaces; this one among them. */
  subsystem: ControllerState[];
  readonly allotment: Allotment;
  readonly resources: VirtualResources;
  /** Set once, right after construction; null: it has no SR-IOV. */
  virtualFunctions: VirtualFunctions | null;
  readonly stage: Stage;
  readonly events: EventHeap;
  readonly registers: RegisterState;
  readonly features: FeatureState;
  readonly health: HealthState;
  readonly power: PowerManagement;
  /** Null: the controller has none. */
  readonly cmb: ControllerMemoryBuffer | null;
  readonly hmb: HostMemoryBuffer | null;
  readonly coalescing: Coalescing | null;
  readonly streams: Streams | null;
  /** Commands may have to wait for the controller's own state. */
  readonly hasDelays: boolean;
  /** By nsid; index 0 is unused. */
  readonly namespaces: (Namespace | null)[];
  /** By queue id. */
  readonly submissionQueues: (SubmissionQueue | null)[];
  readonly completionQueues: (CompletionQueue | null)[];
  readonly slots: CommandSlot[];
  /** Asynchronous event requests waiting. */
  readonly parkedRequests: CommandSlot[];
  /** Submission queues with work, in the order of their turn; linked, so that a turn allocates nothing. */
  firstQueued: SubmissionQueue | null;
  lastQueued: SubmissionQueue | null;
  /** Completion queues with entries to post. */
  firstDirty: CompletionQueue | null;
  lastDirty: CompletionQueue | null;
  freeSlots: CommandSlot | null;
  /** The slot of commands that end within their store's call; null until one is needed. */
  inlineSlot: CommandSlot | null;
  activeSlots: number;
  /** Entries that were given a slot of their own. */
  fetchCount: number;
  /** Somebody listens to trace events; as of the last time the host entered. */
  tracing = false;
  host: PciHost | null;
  /** Counts resets; work begun before one stops. */
  generation: number;
  isInDevice: boolean;
  pageBytes: number;
  /** Largest transfer in bytes. */
  maxTransferBytes: number;
  shadowDoorbells: boolean;
  /** Buffers of Doorbell Buffer Config. */
  shadowBase: number;
  eventIdxBase: number;
  /** Vectors whose INTx is asserted, and those the host masked. */
  intStatus: number;
  intMask: number;

  constructor(
    description: ResolvedController,
    endpoint: PciEndpoint,
    latency: LatencyModel | null,
    faults: FaultPlan | null,
    scratch: ScratchMemory | undefined,
    secondaryId = 0,
  ) {
    this.description = description;
    this.endpoint = endpoint;
    this.latency = latency;
    this.faults = faults;
    this.injector = null;
    this.isGone = false;
    this.backAtNs = Number.POSITIVE_INFINITY;
    this.controllerId = secondaryId === 0 ? description.controllerId : secondaryId;
    this.isSecondary = secondaryId !== 0;
    this.isOffline = false;
    this.subsystem = [this];
    this.allotment = new Allotment(description.maxIoQueuePairs);
    this.resources = new VirtualResources(description);
    this.virtualFunctions = null;
    this.stage = new Stage(this, scratch);
    this.events = new EventHeap();
    this.registers = new RegisterState(description);
    this.features = new FeatureState(description, this.allotment);
    this.health = new HealthState();
    this.power = new PowerManagement(description.powerStates);
    this.cmb = description.cmb === null ? null : new ControllerMemoryBuffer(description.cmb, endpoint);
    this.hmb = description.hmb === null ? null : new HostMemoryBuffer(description.hmb);
    this.hasDelays = description.hmb !== null || description.powerStates.length > 1;
    this.coalescing = description.interruptCoalescing ? new Coalescing(vectorsOf(description)) : null;
    this.streams = description.streams === null ? null : new Streams(description.streams);
    this.namespaces = new Array<Namespace | null>(MAX_NAMESPACES + 1).fill(null);
    this.submissionQueues = new Array<SubmissionQueue | null>(description.maxIoQueuePairs + 1).fill(null);
    this.completionQueues = new Array<CompletionQueue | null>(description.maxIoQueuePairs + 1).fill(null);
    this.slots = [];
    this.parkedRequests = [];
    this.firstQueued = null;
    this.lastQueued = null;
    this.firstDirty = null;
    this.lastDirty = null;
    this.freeSlots = null;
    this.inlineSlot = null;
    this.activeSlots = 0;
    this.fetchCount = 0;
    this.host = null;
    this.generation = 0;
    this.isInDevice = false;
    this.pageBytes = 4096;
    this.maxTransferBytes = description.mdts === 0 ? Infinity : 4096 * (1 << description.mdts);
    this.shadowDoorbells = false;
    this.shadowBase = 0;
    this.eventIdxBase = 0;
    this.intStatus = 0;
    this.intMask = 0;
  }

  /** Other controllers may share its namespaces. */
  get isShared(): boolean {
    return this.isSecondary || this.description.sriov !== null || this.description.multiController;
  }

  /** Asks the host whether somebody listens to trace events; called wherever the host enters the controller. */
  lookAtTracing(): void {
    this.tracing = this.host?.tracing === true;
  }

  /** Takes a free slot, or makes one; slots never exceed the entries of all submission queues by more than the inline one. */
  takeSlot(): CommandSlot {
    let slot = this.freeSlots;
    if (slot === null) {
      slot = new CommandSlot(this, this.slots.length);
      this.slots.push(slot);
    } else {
      this.freeSlots = slot.next;
    }
    slot.next = null;
    slot.state = SLOT_ACTIVE;
    slot.ticket = 0;
    this.activeSlots++;
    return slot;
  }

  /** Gives a slot back. */
  freeSlot(slot: CommandSlot): void {
    slot.state = SLOT_FREE;
    slot.sq = null;
    slot.namespace = null;
    slot.ticket = 0;
    slot.next = this.freeSlots;
    this.freeSlots = slot;
    this.activeSlots--;
  }

  /** Arms a timed event and the host's alarm; returns the event's sequence number. */
  schedule(delayNs: number, kind: number, arg: number): number {
    const host = this.host as PciHost;
    const sequence = this.events.push(host.nowNs() + delayNs, kind, arg);
    host.alarmAt(this.events.nextTimeNs);
    return sequence;
  }
}
