/**
 * Sleeping locks: mutexes and reader/writer semaphores, handed over first come, first served.
 * Kernel counterpart: kernel/locking/mutex.c, kernel/locking/rwsem.c.
 */
import type { HasKernel, Kernel, Task, WaitList } from '../ports.js';

/** @kernel include/linux/mutex.h mutex */
export class Mutex implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  owner: Task | null = null;
  readonly waiters: WaitList;

  constructor(kernel: Kernel, name: string) {
    this.kernel = kernel;
    this.name = name;
    this.waiters = kernel.ex.waitList();
  }
}

/** Takes the mutex; taking it twice is a BUG. Task context. @kernel kernel/locking/mutex.c mutex_lock */
export async function mutexLock(lock: Mutex): Promise<void> {
  const { ex } = lock.kernel;
  ex.mightSleep('mutex_lock');
  if (lock.owner === null) {
    lock.owner = ex.current;
    return;
  }
  if (lock.owner === ex.current) ex.bug(`mutex ${lock.name} taken twice by ${ex.current.name}`);
  await ex.park(`mutex ${lock.name} held by ${lock.owner.name}`, lock.waiters);
  ex.awake();
}

/** Takes the mutex if it is free. @kernel kernel/locking/mutex.c mutex_trylock */
export function mutexTrylock(lock: Mutex): boolean {
  lock.kernel.ex.assertAwake('mutex_trylock');
  if (lock.owner !== null) return false;
  lock.owner = lock.kernel.ex.current;
  return true;
}

/** Gives the mutex to its first waiter. Only its owner may. @kernel kernel/locking/mutex.c mutex_unlock */
export function mutexUnlock(lock: Mutex): void {
  const { ex } = lock.kernel;
  ex.assertAwake('mutex_unlock');
  if (lock.owner !== ex.current) ex.bug(`mutex ${lock.name} unlocked by ${ex.current.name}, which does not hold it`);
  lock.owner = ex.wakeFirst(lock.waiters, 0);
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

/** @kernel include/linux/rwsem.h rw_semaphore */
export class RwSemaphore implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  /** Readers inside; -1 while a writer is. */
  count = 0;
  readonly readers: WaitList;
  readonly writers: WaitList;

  constructor(kernel: Kernel, name: string) {
    this.kernel = kernel;
    this.name = name;
    this.readers = kernel.ex.waitList();
    this.writers = kernel.ex.waitList();
  }
}

/** @kernel kernel/locking/rwsem.c down_read */
export async function downRead(sem: RwSemaphore): Promise<void> {
  const { ex } = sem.kernel;
  ex.mightSleep('down_read');
  if (sem.count >= 0 && sem.writers.size === 0) {
    sem.count++;
    return;
  }
  await ex.park(`rwsem ${sem.name} (read)`, sem.readers);
  ex.awake();
}

/** @kernel kernel/locking/rwsem.c up_read */
export function upRead(sem: RwSemaphore): void {
  const { ex } = sem.kernel;
  ex.assertAwake('up_read');
  if (sem.count <= 0) ex.bug(`rwsem ${sem.name}: up_read without down_read`);
  sem.count--;
  if (sem.count === 0 && ex.wakeFirst(sem.writers, 0) !== null) sem.count = -1;
}

/** @kernel kernel/locking/rwsem.c down_write */
export async function downWrite(sem: RwSemaphore): Promise<void> {
  const { ex } = sem.kernel;
  ex.mightSleep('down_write');
  if (sem.count === 0) {
    sem.count = -1;
    return;
  }
  await ex.park(`rwsem ${sem.name} (write)`, sem.writers);
  ex.awake();
}

/** @kernel kernel/locking/rwsem.c up_write */
export function upWrite(sem: RwSemaphore): void {
  const { ex } = sem.kernel;
  ex.assertAwake('up_write');
  if (sem.count !== -1) ex.bug(`rwsem ${sem.name}: up_write without down_write`);
  sem.count = ex.wakeAll(sem.readers, 0);
  if (sem.count === 0 && ex.wakeFirst(sem.writers, 0) !== null) sem.count = -1;
}
