/** What the executor and the front door know of each other. */
import type { Clock } from '../ports.js';

/** What the executor asks of the front door. */
export interface Pump {
  /** True when the slice must end before the next item. */
  mustStop(): boolean;
  /** Whether time may go on to an event at `timeNs`. */
  mayAdvance(timeNs: number): boolean;
  /** The slice is over: `idle` says that nothing can happen without the host. */
  sliceEnded(idle: boolean): void;
  /** Runs the executor again after a task has parked. */
  continueAfterTask(): void;
  onHalt(error: Error): void;
}

export interface ExecutorOptions {
  readonly nrCpus: number;
  /** Null: virtual time. */
  readonly clock: Clock | null;
  readonly wakeNs: number;
  /** Posting to a CPU that is off is a BUG; else its stand-in runs the item. */
  readonly checkPosts: boolean;
  /** Chooses one of n ready items; null: first in, first out. */
  readonly choose: ((n: number) => number) | null;
}
