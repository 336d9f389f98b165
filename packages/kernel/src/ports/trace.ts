/** The one stream everything is told in. Counterpart: kernel/trace. Types and constants only. */
import type { Context } from './contexts.js';

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
  /** False: entries are neither kept nor told, as after `echo 0 > tracing_on`; the hash rolls on, the run stays the same. @kernel kernel/trace/trace.c tracing_on */
  tracingOn: boolean;
  /** Entries kept so far (level `full`). */
  readonly entries: readonly TraceEntry[];
  /** Called for every new entry; returns what ends it. Must not call into the machine. */
  subscribe(listener: (entry: TraceEntry) => void): () => void;
  /** Adds a profile's table of function ids that have another symbol, or none (null), in that era. */
  renameSymbols(table: Readonly<Record<string, string | null>>): void;
}
