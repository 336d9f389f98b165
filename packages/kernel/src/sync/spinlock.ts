/**
 * Spin locks. Code that holds one never gives the CPU away, and other contexts run only between items or inside
 * `udelay`, so nobody ever has to spin: what is left of a spin lock is its rule, and that is checked.
 * Kernel counterpart: include/linux/spinlock.h, kernel/locking/lockdep.c.
 */
import type { HasKernel, Kernel } from '../ports.js';

/** @kernel include/linux/spinlock_types.h spinlock */
export class SpinLock implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  held = false;
  /** Taken in an interrupt: then every other taker must have interrupts off. */
  usedInIrq = false;
  /** Taken with interrupts on. */
  usedWithIrqsOn = false;

  constructor(kernel: Kernel, name: string) {
    this.kernel = kernel;
    this.name = name;
  }
}

/** Takes the lock; a BUG when it is held (it would spin for ever). Any context. @kernel include/linux/spinlock.h spin_lock */
export function spinLock(lock: SpinLock): void {
  const { ex } = lock.kernel;
  if (lock.held) ex.bug(`spin lock ${lock.name} is held already: this CPU would spin for ever`);
  lock.held = true;
  ex.current.atomic++;
  if (lock.kernel.checks === 'full') noteUse(lock, false);
}

/** Lets the lock go; a BUG when nobody holds it. @kernel include/linux/spinlock.h spin_unlock */
export function spinUnlock(lock: SpinLock): void {
  const { ex } = lock.kernel;
  if (!lock.held) ex.bug(`spin lock ${lock.name} let go by nobody who holds it`);
  lock.held = false;
  ex.current.atomic--;
}

/** Takes the lock with interrupts off. @kernel include/linux/spinlock.h spin_lock_irq */
export function spinLockIrq(lock: SpinLock): void {
  const { ex } = lock.kernel;
  if (lock.held) ex.bug(`spin lock ${lock.name} is held already: this CPU would spin for ever`);
  lock.held = true;
  ex.current.atomic++;
  if (lock.kernel.checks === 'full') noteUse(lock, true);
}

/** @kernel include/linux/spinlock.h spin_unlock_irq */
export const spinUnlockIrq = spinUnlock;

function noteUse(lock: SpinLock, irqsOff: boolean): void {
  const { ex } = lock.kernel;
  if (ex.context === 'hardirq') lock.usedInIrq = true;
  else if (!irqsOff) lock.usedWithIrqsOn = true;
  if (lock.usedInIrq && lock.usedWithIrqsOn)
    ex.bug(`spin lock ${lock.name} is taken in hard interrupt context and elsewhere with interrupts on`);
}
