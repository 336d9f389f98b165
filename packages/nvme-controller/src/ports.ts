// The ports of nvme-controller: what it needs (block stores, a latency model, a fault plan) and what it offers.
// Kernel counterpart: none (the hardware). Spec: [NVMe] 2.0 base, [NVM] 1.0 command set.
import type { PciFunction } from '@nvme-stack/pci-function';
import type { FaultPlanDescription, FaultRule } from './faults/rule.js';
import type { ControllerSnapshot } from './snapshot.js';

/** Store status: done. */
export const BLOCK_STORE_OK = 0;
/** Store status: the medium could not be read or written. */
export const BLOCK_STORE_IO_ERROR = 1;
/** Store status: the store is read-only. */
export const BLOCK_STORE_READ_ONLY = 2;
/** Store status: the client refused a piece. */
export const BLOCK_STORE_ABORTED = 3;
/** Store status: the medium is full. */
export const BLOCK_STORE_NO_SPACE = 4;

/** Who asked a store for something; told pieces in order, then once that it is done. */
export interface BlockStoreClient {
  /**
   * Hands over `length` bytes at (bytes, offset), the next piece of the range in order: of a read they hold the data,
   * of a write they are to be filled. Valid during the call only. Returns 0, or anything else to stop the request.
   */
  piece(bytes: Uint8Array, offset: number, length: number): number;
  /** The request is over, with a BLOCK_STORE_* status; may come before the request's call returns. */
  done(status: number): void;
}

/**
 * The medium under a namespace. Offsets and lengths are in bytes, within sizeBytes, lengths above 0; every request ends
 * with exactly one done(), now or later. Stores hand out memory, never copies, so that one copy moves the data.
 */
export interface BlockStore {
  readonly sizeBytes: number;
  readonly readOnly: boolean;
  /** Hands out pieces that hold the range's data. */
  read(offset: number, length: number, client: BlockStoreClient): void;
  /** Hands out pieces to fill with the range's new data; what was filled before an error may have been stored. */
  write(offset: number, length: number, client: BlockStoreClient): void;
  /** Makes all completed writes durable; calls done() only. */
  flush(client: BlockStoreClient): void;
  /** Deallocates the range; it reads as zeroes afterwards; calls done() only. */
  discard(offset: number, length: number, client: BlockStoreClient): void;
  /** Makes the range read as zeroes, deallocated where the store can; calls done() only. */
  writeZeroes(offset: number, length: number, client: BlockStoreClient): void;
  /**
   * True if all of the range holds data; false if a part of it was never written, or not since it was discarded or
   * zeroed. Sectors of 512 bytes are known one by one. Absent: the store does not know, and all of it counts as written.
   */
  isAllocated?(offset: number, length: number): boolean;
  /** A hint: a read of the range follows at once, or not at all. Changes nothing and completes nothing. Absent: not wanted. */
  willRead?(offset: number, length: number): void;
}

/** How long commands take. */
export interface LatencyModel {
  /** Virtual nanoseconds from fetch to execution of a command; 0 for at once. sqid 0 is the admin queue. */
  latencyNs(sqid: number, opcode: number, nsid: number, lengthBytes: number): number;
}

/** Fault: complete the command with `status` (15-bit status field: SCT, SC, More, DNR) without executing it. */
export const FAULT_STATUS = 'status';
/** Fault: never complete the command. */
export const FAULT_DROP = 'drop';
/** Fault: execute the command `delayNs` later. */
export const FAULT_DELAY = 'delay';

/** Fault: execute the command, but alter its data or its completion entry. */
export const FAULT_ALTER = 'alter';

/** What a fault plan may do to a command that was fetched. */
export type CommandFault =
  | { readonly kind: typeof FAULT_STATUS; readonly status: number }
  | { readonly kind: typeof FAULT_DROP }
  | { readonly kind: typeof FAULT_DELAY; readonly delayNs: number }
  | { readonly kind: typeof FAULT_ALTER; readonly data?: DataFault; readonly completion?: CompletionFault };

/** What happens to the data of a command on their way between host and controller. */
export interface DataFault {
  /** First byte, within the command's data. */
  readonly offset: number;
  /** Bytes from there on that are altered; 1 unless told. */
  readonly length?: number;
  /** Exclusive-ored onto each of them; 0xff unless told or replaced. */
  readonly xor?: number;
  /** Bytes that take their place. */
  readonly replace?: readonly number[];
  /** The transfer fails at `offset`: the command ends with Data Transfer Error. */
  readonly fails?: boolean;
}

/** What a fault plan may do to a completion entry before it is posted; what is absent stays. */
export interface CompletionFault {
  readonly drop?: boolean;
  readonly cid?: number;
  readonly sqid?: number;
  readonly sqhd?: number;
  readonly status?: number;
  readonly dw0?: number;
  /** The phase tag of the previous pass, so that the entry does not look new. */
  readonly invertPhase?: boolean;
  /** Posted so many times more; taken from a command's fault only. */
  readonly duplicates?: number;
}

/** What a fault plan may do to an interrupt that it does not lose. */
export interface InterruptFault {
  readonly delayNs?: number | undefined;
  readonly vector?: number | undefined;
}

/** Script of misbehaviour, consulted at named points; null means behave. Device context; must not call back. */
export interface FaultPlan {
  /** A command was fetched and is about to be executed; `blocks` is that of commands with a range. */
  command?(
    sqid: number,
    cid: number,
    opcode: number,
    nsid: number,
    slba: number,
    blocks: number,
    cdw10: number,
  ): CommandFault | null;
  /** A completion is about to be posted. */
  completion?(cqid: number, sqid: number, cid: number, status: number): CompletionFault | null;
  /** An interrupt of a completion queue is about to be raised; true to lose it. */
  interrupt?(cqid: number, vector: number): boolean | InterruptFault;
  /** The host enabled the controller: false keeps CSTS.RDY at 0 for good, a number delays it by so many nanoseconds. */
  ready?(): boolean | number;
  /** The host disabled the controller: false keeps CSTS.RDY at 1 until the function is reset, a number delays it. */
  unready?(): boolean | number;
  /** The host asked for a shutdown: false keeps CSTS.SHST from saying that it is complete, a number delays it. */
  shutdown?(): boolean | number;
  /** A doorbell was written; true to ignore it. */
  doorbell?(qid: number, isCompletion: boolean, value: number): boolean;
  /** A dword of the registers is read or written; returns what is read or written instead, 0..2^32 - 1. */
  register?(offset: number, value: number, isWrite: boolean): number;
}

/** A rule in force and what it did so far. */
export interface FaultRuleReport {
  readonly rule: FaultRule;
  /** Happenings that the rule fits, whether or not it was its turn. */
  readonly matched: number;
  readonly acted: number;
}

/** The rules of a running controller. Changes take effect at once; bad rules throw a RangeError and change nothing. */
export interface FaultControl {
  readonly rules: readonly FaultRuleReport[];
  /** Replaces all rules. */
  set(plan: FaultPlanDescription): void;
  /** Adds a rule behind the others. */
  add(rule: FaultRule): void;
  /** Takes all rules back; a controller that is gone or has failed stays so. */
  clear(): void;
}

/** Memory for the controller's staging buffers; sharing the RAM's ArrayBuffer makes its copies cheaper. */
export interface ScratchMemory {
  readonly bytes: Uint8Array;
  /** First usable byte, a multiple of 8. */
  readonly offset: number;
  /** NVME_CONTROLLER_SCRATCH_BYTES at least. */
  readonly length: number;
}

/** Bytes of staging memory a controller uses. */
export const NVME_CONTROLLER_SCRATCH_BYTES = 0xb000;

/** Counters that SMART / Health reports, kept since power-on; doubles. */
export interface ControllerCounters {
  readonly hostReadCommands: number;
  readonly hostWriteCommands: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly errorLogEntries: number;
  readonly mediaErrors: number;
}

/** What a controller did with the host memory buffer; counters since power-on. */
export interface HmbReport {
  readonly enabled: boolean;
  /** Bytes that the host lent last. */
  readonly sizeBytes: number;
  /** Reads and writes whose region was found in the buffer, and those that had to be looked up on the medium. */
  readonly hits: number;
  readonly misses: number;
  /** Entries that were not as the controller had left them. */
  readonly corrupted: number;
}

/** What was written to a stream, since power-on. */
export interface StreamReport {
  readonly nsid: number;
  /** The stream identifier, 1 to 65535. */
  readonly id: number;
  readonly isOpen: boolean;
  readonly writes: number;
  readonly bytesWritten: number;
}

/** What a controller did with streams. */
export interface StreamsReport {
  /** Every stream that was ever written to, in the order of their first writes. */
  readonly all: readonly StreamReport[];
  /** Writes whose stream could not be opened, so that they were done like any other. */
  readonly unplacedWrites: number;
}

/** An NVMe controller in a PCI slot, with the knobs a test bench has. */
export interface NvmeController extends PciFunction {
  /** Sets the critical warning bits of SMART / Health; newly set bits raise an asynchronous event if enabled. */
  setCriticalWarning(bits: number): void;
  /** Sets the composite temperature in Kelvin; crossing a threshold sets the warning and raises an event if enabled. */
  setTemperatureKelvin(kelvin: number): void;
  /** Attaches or detaches a described namespace and raises Namespace Attribute Changed if enabled. */
  setNamespaceActive(nsid: number, active: boolean): void;
  /** Changes a namespace's size in bytes (a multiple of its block, within its store) and raises the same event. */
  resizeNamespace(nsid: number, sizeBytes: number): void;
  readonly counters: ControllerCounters;
  /** Null: the controller asks for no host memory. */
  readonly hmb: HmbReport | null;
  /** Null: the controller has no streams. */
  readonly streams: StreamsReport | null;
  /** The power state at present. */
  readonly powerState: number;
  /** The controller as plain data, without its media; throws a RangeError for one that has CMB, HMB, power states or virtual functions. */
  snapshot(): ControllerSnapshot;
  /** Takes a snapshot of a controller of the same description; what it was doing is dropped. Throws a RangeError. */
  restore(snapshot: ControllerSnapshot): void;
  /** Misbehaviour as plain data, at run time. */
  readonly faults: FaultControl;
  /** Commands fetched and not yet completed; asynchronous event requests included. */
  readonly outstandingCommands: number;
}
