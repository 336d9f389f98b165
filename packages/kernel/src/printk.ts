/**
 * The kernel log.
 * Kernel counterpart: kernel/printk/printk.c; the prefix of device messages is drivers/base/core.c's.
 */
import type { Executor, Kernel, LogLevel, LogLine, Printk, Trace, TraceEventType } from './ports.js';

const CONSOLE: TraceEventType = { name: 'console', kind: 'printk', fields: ['level'], textField: 'msg' };

const LEVEL_NUMBERS: Readonly<Record<LogLevel, number>> = {
  emerg: 0,
  alert: 1,
  crit: 2,
  err: 3,
  warn: 4,
  notice: 5,
  info: 6,
  debug: 7,
};

class PrintkImpl implements Printk {
  readonly lines: LogLine[] = [];
  private readonly ex: Pick<Executor, 'now'>;
  private readonly trace: Pick<Trace, 'events' | 'event'>;

  constructor(ex: Pick<Executor, 'now'>, trace: Pick<Trace, 'events' | 'event'>) {
    this.ex = ex;
    this.trace = trace;
  }

  print(level: LogLevel, text: string): void {
    const line = text.endsWith('\n') ? text.slice(0, -1) : text;
    this.lines.push({ timeNs: this.ex.now(), level, text: line });
    if (this.trace.events) this.trace.event(CONSOLE, LEVEL_NUMBERS[level], 0, 0, 0, line);
  }

  dmesg(): string[] {
    // Each line of a record gets the record's stamp.
    return this.lines.flatMap(({ timeNs, text }) => text.split('\n').map((line) => `[${stamp(timeNs)}] ${line}`));
  }
}

/** Seconds, five wide, and six digits of microseconds. */
function stamp(timeNs: number): string {
  const us = Math.floor(timeNs / 1000);
  const seconds = Math.floor(us / 1_000_000);
  return `${String(seconds).padStart(5)}.${String(us - seconds * 1_000_000).padStart(6, '0')}`;
}

/** Makes an empty log that takes time from `ex` and tells `trace`. @kernel kernel/printk/printk.c vprintk_emit */
export function createPrintk(ex: Pick<Executor, 'now'>, trace: Pick<Trace, 'events' | 'event'>): Printk {
  return new PrintkImpl(ex, trace);
}

/** Logs `driver device: text`, as in "nvme nvme0: resetting controller". Any context. @kernel drivers/base/core.c _dev_printk */
export function devPrintk(kernel: Kernel, level: LogLevel, driver: string, device: string, text: string): void {
  kernel.printk.print(level, `${driver} ${device}: ${text}`);
}

/** A number >= 0 as `%#x` prints it, with at least `digits` digits. */
export function hexText(value: number, digits = 1): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}
