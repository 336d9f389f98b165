/** The log, /proc, what is alive, and random streams. Counterpart: kernel/printk, fs/proc. Types and constants only. */

/** @kernel include/linux/kern_levels.h */
export type LogLevel = 'emerg' | 'alert' | 'crit' | 'err' | 'warn' | 'notice' | 'info' | 'debug';

/** One line of the kernel log; `text` has no time stamp. */
export interface LogLine {
  readonly timeNs: number;
  readonly level: LogLevel;
  readonly text: string;
}

/** @kernel kernel/printk/printk.c */
export interface Printk {
  print(level: LogLevel, text: string): void;
  readonly lines: readonly LogLine[];
  /** The log as `dmesg` prints it: `[    1.234567] text`. */
  dmesg(): string[];
}

/** Files under /proc whose text is made when read. */
export interface Procfs {
  /** Registers a file, e.g. `/proc/interrupts`; returns what removes it. */
  register(path: string, show: () => string): () => void;
  /** The file's text; throws KernelError ENOENT. */
  read(path: string): string;
  list(): string[];
}

/** Kinds of things that must be gone after `rmmod`. */
export type LeakKind = 'pages' | 'mappings' | 'regions' | 'pools' | 'vectors' | 'work' | 'kobjects' | 'tags';

/** Something left behind: how many of a kind, under which name. */
export interface Leak {
  readonly kind: LeakKind;
  readonly name: string;
  readonly count: number;
}

/** Counts live objects by kind and name. */
export interface LiveObjects {
  add(kind: LeakKind, name: string, count?: number): void;
  remove(kind: LeakKind, name: string, count?: number): void;
  /** What is live now and was not when `baseline` was last called. */
  leaks(): Leak[];
  /** Declares what is live now to be no leak (boot-time objects). */
  baseline(): void;
}

/** Seeded random streams by name: the same seed and name give the same numbers. */
export interface RandomStreams {
  /** A uint32 of the named stream. */
  next(stream: string): number;
}

/** Remembers in which order locks are taken, by name; an order that could deadlock is a BUG. @kernel kernel/locking/lockdep.c */
export interface LockChecker {
  /** Before waiting for a lock: checks it against every lock held here. */
  wants(name: string): void;
  /** The lock is held. */
  holds(name: string): void;
  released(name: string): void;
}
