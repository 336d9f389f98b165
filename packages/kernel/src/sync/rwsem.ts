/**
 * Reader/writer semaphores, first come, first served: a reader that comes behind a waiting writer waits too, and when a
 * turn is the readers', all that wait go in together.
 * Kernel counterpart: kernel/locking/rwsem.c.
 */
import type { HasKernel, Kernel, WaitList } from '../ports.js';

/** @kernel include/linux/rwsem.h rw_semaphore */
export class RwSemaphore implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  /** Readers inside; -1 while a writer is. */
  count = 0;
  readonly readers: WaitList;
  readonly writers: WaitList;
  /** Whose turn is next, one entry per group of readers and per writer. */
  readonly turns: ('readers' | 'writer')[] = [];

  constructor(kernel: Kernel, name: string) {
    this.kernel = kernel;
    this.name = name;
    this.readers = kernel.ex.waitList();
    this.writers = kernel.ex.waitList();
  }
}

/** Goes in beside other readers. Task context. @kernel kernel/locking/rwsem.c down_read */
export async function downRead(sem: RwSemaphore): Promise<void> {
  const { ex } = sem.kernel;
  ex.mightSleep('down_read');
  if (sem.count >= 0 && sem.turns.length === 0) {
    sem.count++;
    return;
  }
  if (!sem.turns.includes('readers')) sem.turns.push('readers');
  await ex.park(`rwsem ${sem.name} (read)`, sem.readers);
  ex.awake();
}

/** A reader leaves. Any context. @kernel kernel/locking/rwsem.c up_read */
export function upRead(sem: RwSemaphore): void {
  const { ex } = sem.kernel;
  ex.assertAwake('up_read');
  if (sem.count <= 0) ex.bug(`rwsem ${sem.name}: up_read without down_read`);
  sem.count--;
  if (sem.count === 0) handOver(sem);
}

/** Goes in alone. Task context. @kernel kernel/locking/rwsem.c down_write */
export async function downWrite(sem: RwSemaphore): Promise<void> {
  const { ex } = sem.kernel;
  ex.mightSleep('down_write');
  if (sem.count === 0) {
    sem.count = -1;
    return;
  }
  sem.turns.push('writer');
  await ex.park(`rwsem ${sem.name} (write)`, sem.writers);
  ex.awake();
}

/** The writer leaves. Any context. @kernel kernel/locking/rwsem.c up_write */
export function upWrite(sem: RwSemaphore): void {
  const { ex } = sem.kernel;
  ex.assertAwake('up_write');
  if (sem.count !== -1) ex.bug(`rwsem ${sem.name}: up_write without down_write`);
  sem.count = 0;
  handOver(sem);
}

function handOver(sem: RwSemaphore): void {
  const { ex } = sem.kernel;
  const turn = sem.turns.shift();
  if (turn === 'writer') {
    sem.count = -1;
    ex.wakeFirst(sem.writers, 0);
  } else if (turn === 'readers') {
    sem.count = ex.wakeAll(sem.readers, 0);
  }
}
