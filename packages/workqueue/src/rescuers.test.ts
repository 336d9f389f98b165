import { Completion, complete, type KernelOptions, sleepNs, waitForCompletion } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { functions, setUp } from './fixtures/set-up.js';
import { WQ_HIGHPRI, WQ_MEM_RECLAIM, WQ_UNBOUND } from './index.js';

describe('rescuers', () => {
  it('run a queue that no worker can be made for', async () => {
    let fail = true;
    const { kernel, door, workqueues } = setUp({ createWorkerFails: () => fail });
    const log: string[] = [];
    await door.call('test', async () => {
      const safe = workqueues.allocWorkqueue('nvme-wq', WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
      const bound = workqueues.allocWorkqueue('kblockd', WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
      const note = (name: string) => {
        log.push(`${name} in ${kernel.ex.current.name} on ${kernel.ex.cpu}`);
      };
      const unsafe = workqueues.initWork('unsafe', 'unsafe', note);
      workqueues.queueWorkOn(1, workqueues.systemWq, unsafe);
      const works = [safe, bound].map((wq) => {
        const work = workqueues.initWork('safe', wq.name, note);
        workqueues.queueWorkOn(1, wq, work);
        return work;
      });
      const start = kernel.ex.now();
      for (const work of works) await workqueues.flushWork(work);
      expect(kernel.ex.now() - start).toBeLessThan(20_000_000);
      expect(unsafe.pending).toBe(true);
      fail = false;
      await workqueues.flushWork(unsafe);
      await workqueues.destroyWorkqueue(safe);
      await workqueues.destroyWorkqueue(bound);
    });
    expect(log).toContain('kblockd in kworker/R-kblockd on 1');
    expect(log.slice(0, 2).some((line) => line.startsWith('nvme-wq in kworker/R-nvme-wq'))).toBe(true);
    expect(log[2]).toBe('unsafe in kworker/1:0 on 1');
  });

  it('help a work that waits for another of its queue', async () => {
    let made = 0;
    const { kernel, door, workqueues } = setUp({ createWorkerFails: () => made++ > 0 });
    await door.call('test', async () => {
      const wq = workqueues.allocWorkqueue('reclaim', WQ_MEM_RECLAIM, 0);
      const done = new Completion(kernel, 'inner');
      const inner = workqueues.initWork('inner', null, () => complete(done));
      const outer = workqueues.initWork('outer', null, async () => {
        workqueues.queueWork(wq, inner);
        await waitForCompletion(done);
      });
      workqueues.queueWork(wq, outer);
      await workqueues.flushWork(outer);
      await workqueues.destroyWorkqueue(wq);
    });
    expect(made).toBeGreaterThan(1);
  });

  it('are named as the profile names them', async () => {
    const { kernel, door, workqueues } = setUp({ createWorkerFails: () => true }, { profile: '4.13' });
    await door.call('test', async () => {
      const wq = workqueues.allocWorkqueue('nvme-wq', WQ_MEM_RECLAIM, 0);
      const work = workqueues.initWork('f', null, () => {
        expect(kernel.ex.current.name).toBe('nvme-wq');
      });
      workqueues.queueWork(wq, work);
      await workqueues.flushWork(work);
    });
  });
});

describe('trace', () => {
  it('nests a work beneath process_one_work, and tells when it was queued, activated and executed', async () => {
    const { kernel, door, workqueues } = setUp();
    await door.call('test', async () => {
      const work = workqueues.initWork('nvme_scan_work', null, () => {});
      workqueues.queueWork(workqueues.systemUnboundWq, work);
      await workqueues.flushWork(work);
    });
    expect(functions(kernel)).toEqual(['test: queue_work_on', 'test: flush_work', 'kworker/u8:0: process_one_work']);
    expect(
      kernel.trace.entries.filter(({ kind }) => kind === 'work').map(({ symbol, text }) => [symbol, text]),
    ).toEqual(
      ['queue_work', 'activate_work', 'execute_start', 'execute_end'].map((name) => [
        `workqueue_${name}`,
        'nvme_scan_work',
      ]),
    );
    expect(kernel.trace.entries.every(({ durationNs }) => durationNs >= 0)).toBe(true);
  });

  it('nests asynchronous calls as Linux does', async () => {
    const { kernel, door, workqueues } = setUp();
    await door.call('insmod', async () => {
      const domain = workqueues.asyncDomain();
      workqueues.asyncScheduleNode(async () => {}, null, -1);
      await workqueues.asyncSynchronizeFull();
      workqueues.asyncScheduleDomain(async () => {}, null, domain);
      await workqueues.asyncSynchronizeFullDomain(domain);
    });
    expect(functions(kernel)).toEqual([
      'insmod: async_schedule_node',
      'insmod:   async_schedule_node_domain',
      'insmod:     __async_schedule_node_domain',
      'insmod: async_synchronize_full',
      'insmod:   async_synchronize_cookie_domain',
      'kworker/u8:0: process_one_work',
      'kworker/u8:0:   async_run_entry_fn',
      'insmod: async_schedule_node_domain',
      'insmod:   __async_schedule_node_domain',
      'insmod: async_synchronize_full_domain',
      'insmod:   async_synchronize_cookie_domain',
      'kworker/u8:0: process_one_work',
      'kworker/u8:0:   async_run_entry_fn',
    ]);
  });

  it('has one hash for one run, at every level', async () => {
    const run = async (kernelOptions: Partial<KernelOptions>) => {
      const { kernel, door, workqueues } = setUp({}, kernelOptions);
      await door.call('test', async () => {
        const work = workqueues.initWork('f', null, () => sleepNs(kernel, 10));
        for (let n = 0; n < 5; n++) {
          workqueues.queueWork(workqueues.systemUnboundWq, work);
          await sleepNs(kernel, 1000);
        }
        await workqueues.flushWork(work);
      });
      return kernel.trace.hash();
    };
    expect(await run({})).toBe(await run({ trace: 'hash', strict: true }));
  });
});
