/**
 * The kernel log.
 * Kernel counterpart: kernel/printk/printk.c; the prefix of device messages is drivers/base/core.c's.
 */
import type { Executor, Kernel, LogLevel, Printk, Trace } from './ports.js';
/** Makes an empty log that takes time from `ex` and tells `trace`. @kernel kernel/printk/printk.c vprintk_emit */
export declare function createPrintk(ex: Pick<Executor, 'now'>, trace: Pick<Trace, 'events' | 'event'>): Printk;
/** Logs `driver device: text`, as in "nvme nvme0: resetting controller". Any context. @kernel drivers/base/core.c _dev_printk */
export declare function devPrintk(kernel: Kernel, level: LogLevel, driver: string, device: string, text: string): void;
/** A number >= 0 as `%#x` prints it, with at least `digits` digits. */
export declare function hexText(value: number, digits?: number): string;
//# sourceMappingURL=printk.d.ts.map