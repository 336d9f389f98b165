/**
 * Spin locks. Code that holds one never gives the CPU away, and other contexts run only between items or inside
 * `udelay`, where those that could want the lock wait; so nobody ever has to spin: what is left of a spin lock is its
 * rule, and that is checked.
 * Kernel counterpart: include/linux/spinlock.h, kernel/locking/lockdep.c.
 */
import type { HasKernel, Kernel, Task } from '../ports.js';

/** @kernel include/linux/spinlock_types.h spinlock */
export class SpinLock implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  /** What holds it: the running task, or the one an interrupt interrupted. */
  owner: Task | null = null;
  /** Taken in an interrupt: then every other taker must have interrupts off. */
  usedInIrq = false;
  /** Taken with interrupts on. */
  usedWithIrqsOn = false;

  constructor(kernel: Kernel, name: string) {
    this.kernel = kernel;
    this.name = name;
  }

  get held(): boolean {
    return this.owner !== null;
  }
}

/** Takes the lock; a BUG when it is held (it would spin for ever). Any context. @kernel include/linux/spinlock.h spin_lock */
export function spinLock(lock: SpinLock): void {
  const { ex, checks, lockChecker } = lock.kernel;
  ex.assertAwake('spin_lock');
  if (lock.owner !== null) ex.bug(`spin lock ${lock.name} is held already: this CPU would spin for ever`);
  const { current } = ex;
  if (checks === 'full') {
    noteUse(lock, current.irqsOff > 0);
    lockChecker?.wants(lock.name);
    lockChecker?.holds(lock.name);
  }
  lock.owner = current;
  current.atomic++;
}

/** Lets the lock go; a BUG for whoever does not hold it. @kernel include/linux/spinlock.h spin_unlock */
export function spinUnlock(lock: SpinLock): void {
  const { ex, lockChecker } = lock.kernel;
  const { current } = ex;
  if (lock.owner !== current) ex.bug(`spin lock ${lock.name} let go by ${current.name}, which does not hold it`);
  lockChecker?.released(lock.name);
  lock.owner = null;
  current.atomic--;
}

/** Takes the lock with this CPU's interrupts off. Any context. @kernel include/linux/spinlock.h spin_lock_irq */
export function spinLockIrq(lock: SpinLock): void {
  const { current } = lock.kernel.ex;
  current.irqsOff++;
  spinLock(lock);
}

/** Lets the lock go and interrupts come. @kernel include/linux/spinlock.h spin_unlock_irq */
export function spinUnlockIrq(lock: SpinLock): void {
  const { ex } = lock.kernel;
  if (ex.current.irqsOff === 0) ex.bug(`spin_unlock_irq of ${lock.name} while interrupts are on`);
  spinUnlock(lock);
  ex.current.irqsOff--;
}

function noteUse(lock: SpinLock, irqsOff: boolean): void {
  const { ex } = lock.kernel;
  if (ex.context === 'hardirq') lock.usedInIrq = true;
  else if (!irqsOff) lock.usedWithIrqsOn = true;
  if (lock.usedInIrq && lock.usedWithIrqsOn)
    ex.bug(`spin lock ${lock.name} is taken in hard interrupt context and elsewhere with interrupts on`);
}
