/** What a kernel instance asks of an executor beyond the port that everybody sees: its front door drives it, its trace looks into it. Types only. */
import type { Clock, Executor, Task } from './executor.js';
import type { TraceEntry } from './trace.js';

/** The open function entries of one task, or of one interrupt; the trace keeps them, the executor says whose they are. */
export interface FunctionFrames {
  readonly open: (TraceEntry | null)[];
  depth: number;
}

/** What the executor asks of the front door. */
export interface ExecutorPump {
  /** True when the slice must end before the next item. */
  mustStop(): boolean;
  /** Whether time may go on to an event at `timeNs`. */
  mayAdvance(timeNs: number): boolean;
  /** The slice is over: `idle` says that nothing can happen without the host. */
  sliceEnded(idle: boolean): void;
  /** Runs the executor again after a task has parked or ended. */
  continueAfterTask(): void;
  /** A BUG was recorded. */
  onHalt(error: Error): void;
}

/** What an executor is made of. */
export interface ExecutorOptions {
  /** 1 to 256. */
  readonly nrCpus: number;
  /** Null: virtual time. */
  readonly clock: Clock | null;
  /** Charged for each wake-up. */
  readonly wakeNs: number;
  /** Posting to a CPU that is off is a BUG; else its stand-in runs the item. */
  readonly checkPosts: boolean;
  /** Chooses one of n ready items, 0 to n - 1; null: first in, first out. */
  readonly choose: ((n: number) => number) | null;
}

/** An executor as its kernel instance sees it. */
export interface KernelExecutor extends Executor {
  /** Set by the front door before anything runs. */
  pump: ExecutorPump | null;
  /** Lets the front door go on when the host has settled something; set by the front door. */
  hostSettled: () => void;
  /** Names the open functions of what runs, for reports; set by the trace. */
  describeStack: () => string;
  /** The open function entries of whatever runs. */
  readonly frames: FunctionFrames;
  /** The recorded BUG. */
  readonly halted: Error | null;
  /** Time passes by itself. */
  readonly realTime: boolean;
  /** Runs items until a task has been resumed or the slice is over. Called with nothing of this machine on the stack. */
  run(): void;
  /** Time of the next event that is not due yet; Infinity: none. For a host that waits. */
  nextTimeNs(): number;
  /** The host is still to answer: nothing makes virtual time go on meanwhile. */
  holdsOutstanding(): boolean;
  /** The task that runs although the executor is not on the stack: it awaits something foreign. */
  strayTask(): Task | null;
  /** A BUG found where nobody could catch it: halts the machine and does not throw. */
  quietBug(message: string): void;
}
