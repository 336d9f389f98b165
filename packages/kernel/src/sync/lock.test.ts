import { describe, expect, it } from 'vitest';
import type { Kernel } from '../ports.js';
import { createTestKernel } from '../testing/test-kernel.js';
import { Mutex, mutexLock, mutexTrylock, mutexUnlock, withMutex } from './mutex.js';
import { sleepNs } from './sleep.js';
import { SpinLock, spinLock, spinLockIrq, spinUnlock, spinUnlockIrq } from './spinlock.js';

/** Runs `body` as a task and returns the message of the BUG it made. */
async function bugOf(body: (kernel: Kernel) => Promise<void>, options = {}): Promise<string> {
  const { kernel, door } = createTestKernel(options);
  await door.call('main', () => body(kernel)).catch(() => {});
  return door.halted?.message ?? 'no BUG';
}

/** Runs `body` in hard interrupt context, on CPU 1. */
async function inIrq({ ex }: Kernel, body: () => void): Promise<void> {
  ex.post(ex.item('hardirq', 1, body, null));
  await ex.park('the interrupt', null, 10_000);
  ex.awake();
}

describe('mutex', () => {
  it('is refused to its owner, and kept from whoever does not hold it', async () => {
    const twice = bugOf(async (kernel) => {
      const lock = new Mutex(kernel, 'm');
      await mutexLock(lock);
      await mutexLock(lock);
    });
    expect(await twice).toMatch(/^BUG: mutex m taken twice by main/);
    const stranger = bugOf(async (kernel) => {
      const lock = new Mutex(kernel, 'm');
      await mutexLock(lock);
      kernel.ex.spawn('thief', async () => mutexUnlock(lock));
      await sleepNs(kernel, 1000);
    });
    expect(await stranger).toMatch(/^BUG: mutex m unlocked by thief, which does not hold it/);
  });

  it('may not be touched in an interrupt, nor slept for under a spin lock', async () => {
    const trylock = bugOf((kernel) => inIrq(kernel, () => void mutexTrylock(new Mutex(kernel, 'm'))));
    expect(await trylock).toMatch(/^BUG: mutex_trylock of m in hardirq context/);
    const atomic = bugOf(async (kernel) => {
      spinLock(new SpinLock(kernel, 's'));
      await mutexLock(new Mutex(kernel, 'm'));
    });
    expect(await atomic).toMatch(/^BUG: sleeping function \(mutex_lock\) called in atomic context/);
  });

  it('is missed when a task ends with it', async () => {
    const bug = bugOf(async (kernel) => {
      await mutexLock(new Mutex(kernel, 'a'));
      mutexTrylock(new Mutex(kernel, 'b'));
    });
    expect(await bug).toMatch(/^BUG: task main ended holding a, b \(a forgotten unlock\)/);
  });

  it('is let go by withMutex when the body throws', async () => {
    const { kernel, door } = createTestKernel();
    const lock = new Mutex(kernel, 'm');
    const fail = (): Promise<void> => Promise.reject(new RangeError('no'));
    await expect(door.call('main', () => withMutex(lock, fail))).rejects.toThrow('no');
    expect(lock.owner).toBe(null);
    await door.call('next', async () => {
      expect(mutexTrylock(lock)).toBe(true);
      mutexUnlock(lock);
    });
  });
});

describe('spin lock', () => {
  it('is let go only by its holder', async () => {
    expect(await bugOf(async (kernel) => spinUnlock(new SpinLock(kernel, 's')))).toMatch(/^BUG: spin lock s let go by/);
    const bug = bugOf(async (kernel) => spinUnlockIrq(new SpinLock(kernel, 's')));
    expect(await bug).toMatch(/^BUG: spin_unlock_irq of s while interrupts are on/);
  });

  it('is missed when a task or an interrupt ends with it, at every level of checks', async () => {
    const full = bugOf(async (kernel) => spinLock(new SpinLock(kernel, 's')));
    expect(await full).toMatch(/^BUG: task main ended holding s \(a forgotten unlock\)/);
    const off = bugOf(async (kernel) => spinLock(new SpinLock(kernel, 's')), { checks: 'off' });
    expect(await off).toMatch(/^BUG: task main ended in atomic context \(a forgotten unlock\)/);
    const irq = bugOf((kernel) => inIrq(kernel, () => spinLock(new SpinLock(kernel, 's'))));
    expect(await irq).toMatch(/^BUG: hardirq handler ended in atomic context \(a forgotten unlock\)/);
  });

  it('must be taken with interrupts off where an interrupt takes it too', async () => {
    const use = (take: typeof spinLock, give: typeof spinUnlock) => async (kernel: Kernel) => {
      const lock = new SpinLock(kernel, 's');
      take(lock);
      give(lock);
      await inIrq(kernel, () => {
        spinLock(lock);
        spinUnlock(lock);
      });
    };
    expect(await bugOf(use(spinLockIrq, spinUnlockIrq))).toBe('no BUG');
    expect(await bugOf(use(spinLock, spinUnlock))).toMatch(/^BUG: spin lock s is taken in hard interrupt context and/);
  });

  it('keeps interrupts out of a busy wait with interrupts off, and other CPUs’ out of one with a lock', async () => {
    const run = async (take: typeof spinLock, give: typeof spinUnlock) => {
      const { kernel, door } = createTestKernel();
      const { ex } = kernel;
      const seen: string[] = [];
      await door.call('main', async () => {
        const lock = new SpinLock(kernel, 's');
        ex.arm(
          ex.item('hardirq', 0, () => seen.push('own'), null),
          10,
        );
        ex.arm(
          ex.item('hardirq', 1, () => seen.push('other'), null),
          20,
        );
        ex.arm(
          ex.item('device', -1, () => seen.push('device'), null),
          30,
        );
        take(lock);
        ex.udelay(100);
        seen.push('unlock');
        give(lock);
        await sleepNs(kernel, 1000);
      });
      return seen.join(' ');
    };
    expect(await run(spinLockIrq, spinUnlockIrq)).toBe('device unlock other own');
    expect(await run(spinLock, spinUnlock)).toBe('own device unlock other');
  });
});

describe('lock order', () => {
  const both = async (first: Mutex, second: Mutex): Promise<void> => {
    await mutexLock(first);
    await mutexLock(second);
    mutexUnlock(second);
    mutexUnlock(first);
  };

  it('is a BUG with both places when two locks are taken in both orders, though nothing hung', async () => {
    const bug = await bugOf(async (kernel) => {
      const [a, b] = [new Mutex(kernel, 'A'), new Mutex(kernel, 'B')];
      kernel.ex.spawn('early', () => both(a, b));
      await sleepNs(kernel, 1000);
      await both(b, a);
    });
    expect(bug).toMatch(/^BUG: possible circular locking: main-1 takes A while it holds B:\n/);
    expect(bug).toMatch(/\nbut before, early-2 took B while it held A:\n/);
    expect(bug.match(/at both .*lock\.test/g)?.length).toBe(2);
  });

  it('finds circles over three locks and over kinds of locks', async () => {
    const three = bugOf(async (kernel) => {
      const [a, b, c] = ['A', 'B', 'C'].map((name) => new Mutex(kernel, name)) as [Mutex, Mutex, Mutex];
      await both(a, b);
      await both(b, c);
      await both(c, a);
    });
    expect(await three).toMatch(
      /takes A while it holds C:[\s\S]*took B while it held A:[\s\S]*and main-1 took C while it held B:/,
    );
    const spin = bugOf(async (kernel) => {
      const [a, b] = [new SpinLock(kernel, 'A'), new SpinLock(kernel, 'B')];
      for (const [first, second] of [
        [a, b],
        [b, a],
      ] as const) {
        spinLock(first);
        spinLock(second);
        spinUnlock(first);
        spinUnlock(second);
      }
    });
    expect(await spin).toMatch(/^BUG: possible circular locking: main-1 takes A while it holds B/);
  });

  it('lets be what cannot deadlock', async () => {
    const fine = bugOf(async (kernel) => {
      const [a, b] = [new Mutex(kernel, 'A'), new Mutex(kernel, 'B')];
      await both(a, b);
      await both(a, b);
      await mutexLock(b);
      mutexTrylock(a);
      mutexUnlock(a);
      mutexUnlock(b);
      await both(new Mutex(kernel, 'same'), new Mutex(kernel, 'same'));
    });
    expect(await fine).toBe('no BUG');
    const unchecked = bugOf(async (kernel) => {
      const [a, b] = [new Mutex(kernel, 'A', false), new Mutex(kernel, 'B', false)];
      await both(a, b);
      await both(b, a);
    });
    expect(await unchecked).toBe('no BUG');
  });

  it('counts what an interrupt takes while it keeps the holder of a lock waiting', async () => {
    const irq = bugOf(async (kernel) => {
      const [a, b] = [new SpinLock(kernel, 'A'), new SpinLock(kernel, 'B')];
      const handler = (): void => {
        spinLock(b);
        spinUnlock(b);
      };
      kernel.ex.arm(kernel.ex.item('hardirq', 0, handler, null), 10);
      spinLock(a);
      kernel.ex.udelay(100);
      spinUnlock(a);
      spinLockIrq(b);
      spinLock(a);
    });
    expect(await irq).toMatch(/^BUG: possible circular locking: main-1 takes A while it holds B/);
  });

  it('is not kept when checks are not full', async () => {
    const bug = bugOf(
      async (kernel) => {
        const [a, b] = [new Mutex(kernel, 'A'), new Mutex(kernel, 'B')];
        await both(a, b);
        await both(b, a);
        expect(kernel.lockChecker).toBe(null);
      },
      { checks: 'dma' },
    );
    expect(await bug).toBe('no BUG');
  });
});
