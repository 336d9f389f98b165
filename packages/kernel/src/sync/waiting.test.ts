import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTestKernel } from '../testing/test-kernel.js';
import {
  Completion,
  complete,
  completeAll,
  reinitCompletion,
  waitForCompletion,
  waitForCompletionTimeout,
} from './completion.js';
import { Mutex, mutexLock, mutexUnlock } from './mutex.js';
import { downRead, downWrite, RwSemaphore, upRead, upWrite } from './rwsem.js';
import { sleepNs } from './sleep.js';
import { WaitQueue, waitEvent, waitEventTimeout, wakeUpAll } from './wait-queue.js';

const gaps = fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 12 });
const seeds = fc.integer({ min: 1, max: 1000 });

describe('completion', () => {
  it('lets as many waits return as it was completed, whatever comes first', async () => {
    const law = async (waits: number[], completes: number[], seed: number) => {
      const { kernel, door } = createTestKernel({ seed, interleave: true, trace: 'off' });
      let returned = 0;
      const x = new Completion(kernel, 'x');
      await door.call('main', async () => {
        waits.forEach((ns, n) => {
          const wait = async (): Promise<void> => {
            await sleepNs(kernel, ns);
            await waitForCompletion(x);
            returned++;
          };
          kernel.ex.spawn(`w${n}`, wait, n % 4);
        });
        for (const ns of completes) {
          await sleepNs(kernel, ns);
          complete(x);
        }
        await sleepNs(kernel, 1_000_000);
      });
      expect(returned).toBe(Math.min(waits.length, completes.length));
      expect(x.done).toBe(Math.max(0, completes.length - waits.length));
      expect(x.waiters.size).toBe(Math.max(0, waits.length - completes.length));
    };
    await fc.assert(fc.asyncProperty(gaps, gaps, seeds, law), { numRuns: 40 });
  });

  it('lets everybody pass after complete_all, until it is made to wait again', async () => {
    const { kernel, door } = createTestKernel();
    const x = new Completion(kernel, 'x');
    await door.call('main', async () => {
      let passed = 0;
      for (let n = 0; n < 3; n++) kernel.ex.spawn(`w${n}`, () => waitForCompletion(x).then(() => void passed++));
      await sleepNs(kernel, 10_000);
      completeAll(x);
      await waitForCompletion(x);
      await sleepNs(kernel, 10_000);
      expect(passed).toBe(3);
      reinitCompletion(x);
      expect(await waitForCompletionTimeout(x, 100)).toBe(false);
      complete(x);
      expect(await waitForCompletionTimeout(x, 100)).toBe(true);
      expect(await waitForCompletionTimeout(x, 0)).toBe(false);
    });
  });

  it('does not lose a completion that comes when the time-out has just won', async () => {
    const { kernel, door } = createTestKernel();
    const x = new Completion(kernel, 'x');
    await door.call('main', async () => {
      const { ex } = kernel;
      const late = ex.item('softirq', 0, () => complete(x), null);
      const atNs = ex.now() + 100;
      ex.arm(
        ex.item('device', -1, () => ex.arm(late, atNs), null),
        atNs - 1,
      );
      expect(await waitForCompletionTimeout(x, 100)).toBe(false);
      expect(await waitForCompletionTimeout(x, 1)).toBe(true);
    });
  });
});

describe('wait queue', () => {
  it('returns only when the condition holds', async () => {
    const { kernel, door } = createTestKernel();
    await door.call('main', async () => {
      const queue = new WaitQueue(kernel, 'state');
      let state = 0;
      const step = kernel.ex.item(
        'softirq',
        1,
        () => {
          wakeUpAll(queue);
          if (++state < 5) kernel.ex.arm(step, kernel.ex.now() + 1000);
          wakeUpAll(queue);
        },
        null,
      );
      kernel.ex.arm(step, 1000);
      await waitEvent(queue, () => state >= 3);
      expect(state).toBe(3);
      expect(await waitEventTimeout(queue, () => state >= 4, 100)).toBe(false);
      expect(await waitEventTimeout(queue, () => state >= 5, 10_000)).toBe(true);
      const before = kernel.ex.now();
      expect(await waitEventTimeout(queue, () => false, 5000)).toBe(false);
      expect(kernel.ex.now() - before).toBe(5000 + kernel.costs.wakeNs);
    });
  });

  it('is woken from inside the machine only', () => {
    const { kernel } = createTestKernel();
    expect(() => wakeUpAll(new WaitQueue(kernel, 'q'))).toThrow(/BUG: wake_up_all called while nothing/);
  });
});

describe('mutex', () => {
  it('lets one in at a time, in the order of asking', async () => {
    const law = async (holds: number[], seed: number, interleave: boolean) => {
      const { kernel, door } = createTestKernel({ seed, interleave, trace: 'off' });
      const lock = new Mutex(kernel, 'm');
      const asked: number[] = [];
      const got: number[] = [];
      let inside = 0;
      const use = async (n: number, ns: number): Promise<void> => {
        asked.push(n);
        await mutexLock(lock);
        expect(++inside).toBe(1);
        got.push(n);
        await sleepNs(kernel, ns);
        inside--;
        mutexUnlock(lock);
      };
      await Promise.all(holds.map((ns, n) => door.call(`t${n}`, () => use(n, ns), n % 4)));
      expect(got).toEqual(asked);
      expect(lock.owner).toBe(null);
    };
    await fc.assert(fc.asyncProperty(gaps, seeds, fc.boolean(), law), { numRuns: 40 });
  });
});

describe('rw semaphore', () => {
  interface User {
    readonly writer: boolean;
    readonly comesAfterNs: number;
    readonly staysNs: number;
  }
  const ns = fc.integer({ min: 0, max: 500 });
  const users = fc.array(fc.record({ writer: fc.boolean(), comesAfterNs: ns, staysNs: ns }), {
    minLength: 1,
    maxLength: 14,
  });

  it('lets in many readers or one writer, and nobody passes one of the other kind that came before', async () => {
    const law = async (plan: User[], seed: number) => {
      const { kernel, door } = createTestKernel({ seed, interleave: true, trace: 'off' });
      const sem = new RwSemaphore(kernel, 's');
      const arrived: number[] = [];
      const entered: number[] = [];
      const behindReaders = new Set<number>();
      let readers = 0;
      let writers = 0;
      const use = async (n: number, { writer, comesAfterNs, staysNs }: User): Promise<void> => {
        await sleepNs(kernel, comesAfterNs);
        arrived.push(n);
        if (sem.readers.size > 0) behindReaders.add(n);
        await (writer ? downWrite(sem) : downRead(sem));
        entered.push(n);
        if (writer) writers++;
        else readers++;
        expect(writers === 0 || (writers === 1 && readers === 0)).toBe(true);
        await sleepNs(kernel, staysNs);
        if (writer) {
          writers--;
          upWrite(sem);
        } else {
          readers--;
          upRead(sem);
        }
      };
      await Promise.all(plan.map((user, n) => door.call(`u${n}`, () => use(n, user), n % 4)));
      expect([entered.length, sem.count, sem.turns.length]).toEqual([plan.length, 0, 0]);
      const writersOnly = (order: number[]) => order.filter((n) => plan[n]?.writer);
      expect(writersOnly(entered)).toEqual(writersOnly(arrived));
      for (const writer of writersOnly(arrived)) {
        const before = arrived.slice(0, arrived.indexOf(writer));
        const passed = entered.slice(0, entered.indexOf(writer));
        for (const n of before) expect(passed).toContain(n);
        // A reader may join readers that wait already, and with them pass a writer that came behind those.
        if (!behindReaders.has(writer)) expect(passed.length).toBe(before.length);
      }
    };
    await fc.assert(fc.asyncProperty(users, seeds, law), { numRuns: 60 });
  });

  it('is not let go by whoever is not in', async () => {
    for (const up of [upRead, upWrite]) {
      const { kernel, door } = createTestKernel();
      const call = door.call('main', async () => up(new RwSemaphore(kernel, 's')));
      await expect(call).rejects.toThrow(/^BUG: rwsem s: up_(read|write) without down_/);
    }
  });
});
