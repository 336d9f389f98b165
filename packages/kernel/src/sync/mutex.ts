/**
 * Mutexes, handed over first come, first served.
 * Kernel counterpart: kernel/locking/mutex.c.
 */
import type { HasKernel, Kernel, Task, WaitList } from '../ports.js';

/** @kernel include/linux/mutex.h mutex */
export class Mutex implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  owner: Task | null = null;
  readonly waiters: WaitList;
  /** Its order is checked; false as Linux does for the locks of devices. @kernel include/linux/lockdep.h lockdep_set_novalidate_class */
  readonly checked: boolean;

  constructor(kernel: Kernel, name: string, checked = true) {
    this.kernel = kernel;
    this.name = name;
    this.checked = checked;
    this.waiters = kernel.ex.waitList();
  }
}

/** Takes the mutex; taking it twice is a BUG. Task context. @kernel kernel/locking/mutex.c mutex_lock */
export async function mutexLock(lock: Mutex): Promise<void> {
  const { ex, lockChecker } = lock.kernel;
  ex.mightSleep('mutex_lock');
  if (lock.owner === ex.current) ex.bug(`mutex ${lock.name} taken twice by ${ex.current.name}`);
  if (lock.checked) lockChecker?.wants(lock.name);
  if (lock.owner === null) {
    lock.owner = ex.current;
  } else {
    await ex.park(`mutex ${lock.name} held by ${lock.owner.name}`, lock.waiters);
    ex.awake();
  }
  if (lock.checked) lockChecker?.holds(lock.name);
}

/** Takes the mutex if it is free. Task context. @kernel kernel/locking/mutex.c mutex_trylock */
export function mutexTrylock(lock: Mutex): boolean {
  const { ex, lockChecker } = lock.kernel;
  assertTask(lock, 'mutex_trylock');
  if (lock.owner !== null) return false;
  lock.owner = ex.current;
  if (lock.checked) lockChecker?.holds(lock.name);
  return true;
}

/** Gives the mutex to its first waiter. Only its owner may. Task context. @kernel kernel/locking/mutex.c mutex_unlock */
export function mutexUnlock(lock: Mutex): void {
  const { ex, lockChecker } = lock.kernel;
  assertTask(lock, 'mutex_unlock');
  if (lock.owner !== ex.current) ex.bug(`mutex ${lock.name} unlocked by ${ex.current.name}, which does not hold it`);
  if (lock.checked) lockChecker?.released(lock.name);
  lock.owner = ex.wakeFirst(lock.waiters, 0);
}

function assertTask(lock: Mutex, what: string): void {
  const { ex } = lock.kernel;
  ex.assertAwake(what);
  if (ex.context !== 'task') ex.bug(`${what} of ${lock.name} in ${ex.context} context`);
}

/** Runs `body` with the mutex held. @kernel include/linux/mutex.h guard(mutex) */
export async function withMutex<T>(lock: Mutex, body: () => Promise<T>): Promise<T> {
  await mutexLock(lock);
  try {
    return await body();
  } finally {
    if (lock.kernel.ex.current === lock.owner) mutexUnlock(lock);
  }
}
