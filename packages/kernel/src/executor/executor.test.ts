import { describe, expect, it } from 'vitest';
import { Completion, complete, waitForCompletion } from '../sync/completion.js';
import { Mutex, mutexLock, mutexUnlock } from '../sync/mutex.js';
import { sleepNs } from '../sync/sleep.js';
import { SpinLock, spinLock, spinUnlock } from '../sync/spinlock.js';
import { createTestKernel, testHostLoop } from '../testing/test-kernel.js';

describe('executor', () => {
  it('runs a call as a task in virtual time and returns its value', async () => {
    const { kernel, door } = createTestKernel();
    const value = await door.call('test', async () => {
      await sleepNs(kernel, 5000);
      return kernel.ex.now();
    });
    expect(value).toBe(5000 + kernel.costs.wakeNs);
    expect(kernel.ex.items).toBe(3);
  });

  it('lets other CPUs go on while one is busy', async () => {
    const { kernel, door } = createTestKernel();
    const seen: string[] = [];
    const note = (what: string) => seen.push(`${what}@${kernel.ex.now()} cpu${kernel.ex.cpu}`);
    await door.call('test', async () => {
      const done = new Completion(kernel, 'done');
      const on = (cpu: number, work: number) =>
        kernel.ex.spawn(
          `t${cpu}`,
          async () => {
            note('start');
            kernel.ex.charge(work);
            await sleepNs(kernel, 10);
            note('end');
            complete(done);
          },
          cpu,
        );
      on(1, 1000);
      on(2, 10);
      on(1, 5);
      for (let i = 0; i < 3; i++) await waitForCompletion(done);
    });
    expect(seen).toEqual([
      'start@0 cpu1',
      'start@0 cpu2',
      'end@320 cpu2',
      'start@1000 cpu1',
      'end@1610 cpu1',
      'end@1910 cpu1',
    ]);
  });

  it('runs interrupts before tasks and device events before both', async () => {
    const { kernel, door } = createTestKernel();
    const seen: string[] = [];
    await door.call('test', async () => {
      const { ex } = kernel;
      const done = new Completion(kernel, 'done');
      ex.spawn('task', async () => void seen.push('task'), 1);
      ex.post(ex.item('softirq', 1, () => seen.push('softirq'), null));
      ex.post(ex.item('hardirq', 1, () => seen.push('hardirq'), null));
      ex.post(ex.item('device', -1, () => seen.push('device'), null));
      ex.arm(
        ex.item('device', -1, () => complete(done), null),
        1000,
      );
      await waitForCompletion(done);
    });
    expect(seen).toEqual(['device', 'hardirq', 'softirq', 'task']);
  });

  it('lets interrupts run inside udelay, and tasks not', async () => {
    const { kernel, door } = createTestKernel();
    const seen: string[] = [];
    await door.call('test', async () => {
      const { ex } = kernel;
      const other = new Completion(kernel, 'other');
      ex.spawn(
        'other',
        async () => {
          seen.push(`task@${ex.now()}`);
          complete(other);
        },
        0,
      );
      ex.arm(
        ex.item('hardirq', 0, () => seen.push(`irq@${ex.now()}`), null),
        300,
      );
      ex.udelay(1000);
      seen.push(`after@${ex.now()}`);
      await waitForCompletion(other);
    });
    expect(seen).toEqual(['irq@300', 'after@1000', 'task@1000']);
  });

  it('names each parked task and what it waits for when nothing can go on', async () => {
    const { kernel, door } = createTestKernel();
    const never = new Completion(kernel, 'the day that never comes');
    await expect(door.call('dd', () => waitForCompletion(never))).rejects.toThrow(
      'deadlock: dd cannot return; dd-1 waits for completion the day that never comes',
    );
  });

  it('finds a task that awaits something foreign', async () => {
    const { door } = createTestKernel();
    await expect(
      door.call('bad', async () => {
        await new Promise(() => {});
      }),
    ).rejects.toThrow('task bad awaits something that is not a kernel primitive');
  });

  it('finds a forgotten await at the next kernel call', async () => {
    const { kernel, door } = createTestKernel();
    const lock = new Mutex(kernel, 'm');
    await expect(
      door.call('bad', async () => {
        void sleepNs(kernel, 10);
        await mutexLock(lock);
      }),
    ).rejects.toThrow(/BUG: mutex_lock called while nothing of this machine runs/);
  });

  it('finds a forgotten await behind host code in strict mode', async () => {
    const { kernel, door } = createTestKernel({ strict: true });
    await expect(
      door.call('bad', async () => {
        void sleepNs(kernel, 10);
      }),
    ).rejects.toThrow(/a forgotten await/);
  });

  it('refuses to sleep under a spin lock, and a second lock of the same', async () => {
    const atomic = createTestKernel();
    const lock = new SpinLock(atomic.kernel, 'q_lock');
    await expect(
      atomic.door.call('bad', async () => {
        spinLock(lock);
        await sleepNs(atomic.kernel, 1);
        spinUnlock(lock);
      }),
    ).rejects.toThrow(/called in atomic context/);
    const twice = createTestKernel();
    const other = new SpinLock(twice.kernel, 'q_lock');
    await expect(
      twice.door.call('bad', async () => {
        spinLock(other);
        spinLock(other);
      }),
    ).rejects.toThrow(/q_lock is held already/);
  });

  it('hands a mutex over in order', async () => {
    const { kernel, door } = createTestKernel();
    const order: number[] = [];
    const lock = new Mutex(kernel, 'm');
    const use = (n: number) =>
      door.call(`t${n}`, async () => {
        await mutexLock(lock);
        await sleepNs(kernel, 100);
        order.push(n);
        mutexUnlock(lock);
      });
    await Promise.all([use(1), use(2), use(3)]);
    expect(order).toEqual([1, 2, 3]);
  });

  it('gives the same trace hash for the same seed, strict or not, and another for another seed', async () => {
    const run = async (seed: number, strict: boolean) => {
      const { kernel, door } = createTestKernel({ seed, strict, interleave: true });
      const order: number[] = [];
      await door.call('main', async () => {
        const done = new Completion(kernel, 'done');
        for (let n = 0; n < 12; n++) {
          kernel.ex.spawn(
            `t${n}`,
            async () => {
              for (let i = 0; i < 3; i++) {
                await sleepNs(kernel, 10);
                order.push(n);
              }
              complete(done);
            },
            n % 4,
          );
        }
        for (let n = 0; n < 12; n++) await waitForCompletion(done);
      });
      return order.join();
    };
    expect(await run(1, false)).toBe(await run(1, true));
    expect(await run(1, false)).not.toBe(await run(2, false));
  });

  it('keeps virtual time still while the host is asked', async () => {
    const { kernel, door } = createTestKernel();
    const result = await door.call('main', async () => {
      const before = kernel.ex.now();
      const value = await kernel.ex.hostWait(
        new Promise<string>((resolve) => testHostLoop.after(5e6, () => resolve('yes'))),
      );
      return { value, passed: kernel.ex.now() - before };
    });
    expect(result).toEqual({ value: 'yes', passed: 0 });
  });

  it('stops at an item count, and steps one by one', async () => {
    const { kernel, door } = createTestKernel();
    let ticks = 0;
    const call = door.call('main', async () => {
      for (let i = 0; i < 10; i++) {
        await sleepNs(kernel, 10);
        ticks++;
      }
    });
    await call;
    expect(ticks).toBe(10);
    expect(await door.step()).toBe(false);
  });
});
