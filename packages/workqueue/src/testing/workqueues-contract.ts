/** The contract of `Workqueues`, for any implementation: speaks the port and nothing else. */
import { Completion, complete, type FrontDoor, type Kernel, sleepNs, waitForCompletion } from '@nvme-stack/kernel';
import { type Workqueues, WQ_MEM_RECLAIM, WQ_ORDERED, WQ_UNBOUND } from '../ports.js';

/** A subsystem under test, on a kernel of at least two CPUs with a full trace. */
export interface WorkqueuesFixture {
  readonly kernel: Kernel;
  readonly door: FrontDoor;
  readonly workqueues: Workqueues;
}

/** What the suite needs of a test runner; vitest's functions fit. */
export interface WorkqueuesContractRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
  expect(actual: unknown): { toBe(expected: unknown): void; toEqual(expected: unknown): void };
}

/** Runs the contract; `make` gives a fresh subsystem each time. */
export function workqueuesContract(
  { describe, it, expect }: WorkqueuesContractRunner,
  name: string,
  make: () => WorkqueuesFixture,
): void {
  const test = (name: string, body: (fixture: WorkqueuesFixture) => Promise<void>): void => {
    it(name, async () => {
      const fixture = make();
      await fixture.door.call('test', () => body(fixture), 0);
    });
  };

  describe(`Workqueues contract: ${name}`, () => {
    test('runs a pending work once, however often it is queued', async ({ workqueues }) => {
      let runs = 0;
      const work = workqueues.initWork('f', null, () => {
        runs++;
      });
      expect(workqueues.scheduleWork(work)).toBe(true);
      expect(workqueues.scheduleWork(work)).toBe(false);
      expect(work.pending).toBe(true);
      expect(await workqueues.flushWork(work)).toBe(true);
      expect(runs).toBe(1);
      expect(work.pending || work.running).toBe(false);
      expect(await workqueues.flushWork(work)).toBe(false);
    });

    test('runs a work again that was queued while it ran, never beside itself', async ({ kernel, workqueues }) => {
      let runs = 0;
      let inside = 0;
      let most = 0;
      const work = workqueues.initWork('f', null, async () => {
        most = Math.max(most, ++inside);
        runs++;
        await sleepNs(kernel, 1000);
        inside--;
      });
      for (const wq of [workqueues.systemWq, workqueues.systemUnboundWq]) {
        workqueues.queueWork(wq, work);
        await sleepNs(kernel, 900);
        expect(work.running).toBe(true);
        expect(workqueues.queueWork(wq, work)).toBe(true);
        await workqueues.flushWork(work);
      }
      expect([runs, most]).toEqual([4, 1]);
    });

    test('runs the works of an ordered queue one by one, in order', async ({ kernel, workqueues }) => {
      const wq = workqueues.allocWorkqueue('ordered', WQ_UNBOUND | WQ_ORDERED, 1);
      const log: string[] = [];
      for (const n of [1, 2, 3]) {
        const work = workqueues.initWork('f', n, async (id) => {
          log.push(`+${id}`);
          await sleepNs(kernel, 1000 * (4 - id));
          log.push(`-${id}`);
        });
        workqueues.queueWorkOn(n % 2, wq, work);
      }
      await workqueues.destroyWorkqueue(wq);
      expect(log).toEqual(['+1', '-1', '+2', '-2', '+3', '-3']);
    });

    test('lets a sleeping work make room for the next, up to max_active', async ({ kernel, workqueues }) => {
      for (const [flags, maxActive] of [
        [0, 2],
        [WQ_UNBOUND, 2],
        [0, 1],
      ]) {
        const wq = workqueues.allocWorkqueue('limited', flags, maxActive);
        let inside = 0;
        let most = 0;
        for (let n = 0; n < 5; n++) {
          const work = workqueues.initWork('f', null, async () => {
            most = Math.max(most, ++inside);
            await sleepNs(kernel, 10_000);
            inside--;
          });
          workqueues.queueWorkOn(1, wq, work);
        }
        await workqueues.flushWorkqueue(wq);
        expect(most).toBe(maxActive);
        await workqueues.destroyWorkqueue(wq);
      }
    });

    test('cancels a pending work, and waits for a running one', async ({ kernel, workqueues }) => {
      let done = 0;
      const work = workqueues.initWork('f', null, async () => {
        await sleepNs(kernel, 5000);
        done++;
        // What cancels it keeps it from coming back.
        workqueues.scheduleWork(work);
      });
      workqueues.scheduleWork(work);
      expect(await workqueues.cancelWorkSync(work)).toBe(true);
      expect(done).toBe(0);
      workqueues.scheduleWork(work);
      await sleepNs(kernel, 2000);
      expect(await workqueues.cancelWorkSync(work)).toBe(false);
      expect([done, work.pending, work.running]).toEqual([1, false, false]);
    });

    test('lets the next work go on when the one before it is cancelled', async ({ workqueues }) => {
      const wq = workqueues.allocWorkqueue('one', WQ_UNBOUND, 1);
      const log: string[] = [];
      const [first, second] = ['first', 'second'].map((name) =>
        workqueues.initWork(name, name, (owner) => {
          log.push(owner);
        }),
      );
      workqueues.queueWork(wq, first);
      workqueues.queueWork(wq, second);
      expect(await workqueues.cancelWorkSync(first)).toBe(true);
      await workqueues.flushWork(second);
      expect(log).toEqual(['second']);
    });

    test('queues delayed work when its time has come, moves it and takes it back', async ({ kernel, workqueues }) => {
      const at: number[] = [];
      const work = workqueues.initDelayedWork('f', null, () => {
        at.push(kernel.ex.now());
      });
      const start = kernel.ex.now();
      const { systemWq } = workqueues;
      expect(workqueues.queueDelayedWork(systemWq, work, 1_000_000)).toBe(true);
      expect(workqueues.queueDelayedWork(systemWq, work, 1)).toBe(false);
      expect(work.pending).toBe(true);
      expect(workqueues.modDelayedWork(systemWq, work, 2_000_000)).toBe(true);
      await sleepNs(kernel, 3_000_000);
      expect(at.length === 1 && at[0] >= start + 2_000_000 && at[0] < start + 2_100_000).toBe(true);
      workqueues.queueDelayedWork(systemWq, work, 1_000_000);
      expect(workqueues.cancelDelayedWork(work)).toBe(true);
      expect(workqueues.cancelDelayedWork(work)).toBe(false);
      workqueues.queueDelayedWork(systemWq, work, 1_000_000);
      expect(await workqueues.flushDelayedWork(work)).toBe(true);
      expect([at.length, work.pending]).toEqual([2, false]);
      workqueues.queueDelayedWork(systemWq, work, 1_000_000);
      expect(await workqueues.cancelDelayedWorkSync(work)).toBe(true);
      await sleepNs(kernel, 3_000_000);
      expect(at.length).toBe(2);
    });

    test('flushes what was queued before, not what comes later', async ({ kernel, workqueues }) => {
      const wq = workqueues.allocWorkqueue('q', WQ_UNBOUND, 0);
      const log: string[] = [];
      const late = workqueues.initWork('late', null, async () => {
        await sleepNs(kernel, 100_000);
        log.push('late');
      });
      const early = workqueues.initWork('early', null, async () => {
        await sleepNs(kernel, 1000);
        workqueues.queueWork(wq, late);
        log.push('early');
      });
      workqueues.queueWork(wq, early);
      await workqueues.flushWorkqueue(wq);
      expect(log).toEqual(['early']);
      await workqueues.destroyWorkqueue(wq);
      expect(log).toEqual(['early', 'late']);
    });

    test('runs a bound work on the CPU it was queued on', async ({ kernel, workqueues }) => {
      const cpus: number[] = [];
      for (const cpu of [1, 0]) {
        const work = workqueues.initWork('f', null, () => {
          cpus.push(kernel.ex.cpu);
        });
        workqueues.queueWorkOn(cpu, workqueues.systemWq, work);
        await workqueues.flushWork(work);
      }
      expect(cpus).toEqual([1, 0]);
      expect(await workqueues.workOnCpu(1, async () => kernel.ex.cpu)).toBe(1);
    });

    test('waits for asynchronous calls of a domain and of all', async ({ kernel, workqueues }) => {
      const log: number[] = [];
      const domain = workqueues.asyncDomain();
      const call = async (ns: number): Promise<void> => {
        await sleepNs(kernel, ns);
        log.push(ns);
      };
      workqueues.asyncScheduleNode(call, 50_000, 0);
      workqueues.asyncScheduleDomain(call, 20_000, domain);
      workqueues.asyncScheduleDomain(call, 10_000, domain);
      expect(domain.pending).toBe(2);
      await workqueues.asyncSynchronizeFullDomain(domain);
      expect([domain.pending, log]).toEqual([0, [10_000, 20_000]]);
      await workqueues.asyncSynchronizeFull();
      expect(log).toEqual([10_000, 20_000, 50_000]);
    });

    test('reports a queue until it is destroyed, and a work until it has run', async ({ kernel, workqueues }) => {
      kernel.live.baseline();
      const wq = workqueues.allocWorkqueue('mine', WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
      expect(wq.hasRescuer).toBe(true);
      const gate = new Completion(kernel, 'gate');
      const work = workqueues.initWork('my_work', null, () => waitForCompletion(gate));
      workqueues.queueWork(wq, work);
      expect(kernel.live.leaks()).toEqual([
        { kind: 'work', name: 'mine', count: 1 },
        { kind: 'work', name: 'my_work', count: 1 },
      ]);
      complete(gate);
      await workqueues.destroyWorkqueue(wq);
      expect(kernel.live.leaks()).toEqual([]);
      expect(workqueues.list().includes(wq)).toBe(false);
    });
  });
}
