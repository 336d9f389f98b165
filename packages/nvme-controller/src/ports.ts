// The ports of nvme-controller: what it needs (block stores, a latency model, a fault plan) and what it offers.
// Kernel counterpart: none (the hardware). Spec: [NVMe] 2.0 base, [NVM] 1.0 command set.
import type { PciFunction } from '@nvme-stack/pci-function';

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
  /** Writes zeroes; calls done() only. */
  writeZeroes(offset: number, length: number, client: BlockStoreClient): void;
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

/** What a fault plan may do to a command that was fetched. */
export type CommandFault =
  | { readonly kind: typeof FAULT_STATUS; readonly status: number }
  | { readonly kind: typeof FAULT_DROP }
  | { readonly kind: typeof FAULT_DELAY; readonly delayNs: number };

/** What a fault plan may do to a completion entry before it is posted; what is absent stays. */
export interface CompletionFault {
  readonly drop?: boolean;
  readonly cid?: number;
  readonly sqid?: number;
  readonly sqhd?: number;
  readonly status?: number;
}

/** Script of misbehaviour, consulted at named points; null means behave. Device context; must not call back. */
export interface FaultPlan {
  /** A command was fetched and is about to be executed. */
  command?(sqid: number, cid: number, opcode: number, nsid: number, slba: number): CommandFault | null;
  /** A completion is about to be posted. */
  completion?(cqid: number, sqid: number, cid: number, status: number): CompletionFault | null;
  /** An interrupt of a completion queue is about to be raised; true to lose it. */
  interrupt?(cqid: number, vector: number): boolean;
  /** The host enabled the controller: false keeps CSTS.RDY at 0 for good. */
  ready?(): boolean;
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
  /** Commands fetched and not yet completed; asynchronous event requests included. */
  readonly outstandingCommands: number;
}
