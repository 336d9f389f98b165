/**
 * Log lines that come in floods are cut short: ten in five seconds.
 * Kernel counterpart: lib/ratelimit.c.
 */
import type { Kernel } from './ports.js';

const INTERVAL_NS = 5e9;
const BURST = 10;

/** Lines of one place, named in the line that tells how many were left out. @kernel include/linux/ratelimit_types.h ratelimit_state */
export class RateLimit {
  private readonly kernel: Kernel;
  private readonly name: string;
  private beginNs = -INTERVAL_NS;
  private printed = 0;
  private missed = 0;

  constructor(kernel: Kernel, name: string) {
    this.kernel = kernel;
    this.name = name;
  }

  /** Whether another line may be printed now. @kernel lib/ratelimit.c ___ratelimit */
  allow(): boolean {
    const now = this.kernel.ex.now();
    if (now - this.beginNs >= INTERVAL_NS) {
      if (this.missed > 0) this.kernel.printk.print('warn', `${this.name}: ${this.missed} callbacks suppressed`);
      this.beginNs = now;
      this.printed = 0;
      this.missed = 0;
    }
    if (this.printed < BURST) {
      this.printed++;
      return true;
    }
    this.missed++;
    return false;
  }
}
