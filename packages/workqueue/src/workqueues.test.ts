import { sleepNs } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { functions, setUp } from './fixtures/set-up.js';
import { type WorkStruct, WQ_HIGHPRI, WQ_MEM_RECLAIM, WQ_POWER_EFFICIENT, WQ_UNBOUND } from './index.js';
import type { WorkqueueOptions } from './system.js';
import { workqueuesContract } from './testing.js';

for (const options of [
  {},
  { strict: true },
  { interleave: true, seed: 7 },
  { nrNodes: 2 },
  { trace: 'off' },
] as const) {
  describe(`with ${JSON.stringify(options)}`, () => {
    workqueuesContract({ describe, it, expect }, 'workers', () => setUp({}, options));
  });
}

describe('workers', () => {
  it('are named after CPU or pool, and priority', async () => {
    const { kernel, door, workqueues } = setUp();
    const names: string[] = [];
    await door.call('test', async () => {
      const unboundHigh = workqueues.allocWorkqueue('uh', WQ_UNBOUND | WQ_HIGHPRI, 0);
      const queues = [workqueues.systemWq, workqueues.systemHighpriWq, workqueues.systemUnboundWq, unboundHigh];
      for (const wq of queues) {
        const work = workqueues.initWork('f', null, () => {
          names.push(kernel.ex.current.name);
        });
        workqueues.queueWorkOn(1, wq, work);
        await workqueues.flushWork(work);
      }
    });
    expect(names).toEqual(['kworker/1:0', 'kworker/1:0H', 'kworker/u8:0', 'kworker/u9:0']);
  });

  it('are kept and used again', async () => {
    const { kernel, door, workqueues } = setUp();
    const names = new Set<string>();
    await door.call('test', async () => {
      for (let n = 0; n < 10; n++) {
        const work = workqueues.initWork('f', null, async () => {
          names.add(kernel.ex.current.name);
          await sleepNs(kernel, 10);
        });
        workqueues.queueWorkOn(2, workqueues.systemWq, work);
        await workqueues.flushWork(work);
      }
    });
    expect([...names]).toEqual(['kworker/2:0']);
  });

  it('of a bound pool run one work at a time, and the next only while it sleeps', async () => {
    const { kernel, door, workqueues } = setUp();
    const log: string[] = [];
    await door.call('test', async () => {
      const sleeper = workqueues.initWork('sleeper', null, async () => {
        log.push('sleeper starts');
        await sleepNs(kernel, 50_000);
        log.push('sleeper ends');
      });
      const busy = workqueues.initWork('busy', null, () => {
        kernel.ex.charge(20_000);
        log.push(`busy in ${kernel.ex.current.name}`);
      });
      workqueues.queueWorkOn(1, workqueues.systemWq, sleeper);
      workqueues.queueWorkOn(1, workqueues.systemWq, busy);
      await workqueues.flushWorkqueue(workqueues.systemWq);
    });
    expect(log).toEqual(['sleeper starts', 'busy in kworker/1:1', 'sleeper ends']);
  });

  it('let interrupts in between two works', async () => {
    const { kernel, door, workqueues } = setUp();
    const at: number[] = [];
    await door.call('test', async () => {
      const { ex } = kernel;
      ex.arm(
        ex.item('hardirq', 1, () => at.push(ex.now()), null),
        ex.now() + 1_500_000,
      );
      for (let n = 0; n < 5; n++) {
        const work = workqueues.initWork('busy', null, () => ex.charge(1_000_000));
        workqueues.queueWorkOn(1, workqueues.systemWq, work);
      }
      await workqueues.flushWorkqueue(workqueues.systemWq);
    });
    expect(at[0]).toBeGreaterThan(1_500_000);
    expect(at[0]).toBeLessThan(2_100_000);
  });
});

describe('placement', () => {
  /** CPU A runs a work until t2 and idles; at t3 there is a new one. */
  async function seedStory(options: WorkqueueOptions, flags: number): Promise<number> {
    const { kernel, door, workqueues } = setUp(options, { nrCpus: 2 });
    const A = 0;
    const B = 1;
    let ran = -1;
    await door.call(
      'on B',
      async () => {
        const wq = workqueues.allocWorkqueue('q', flags, 0);
        const first = workqueues.initWork('t1', null, () => {});
        workqueues.queueWorkOn(A, workqueues.systemWq, first);
        await workqueues.flushWork(first);
        const second = workqueues.initWork('t3', null, () => {
          ran = kernel.ex.cpu;
        });
        workqueues.queueWorkOn(A, wq, second);
        await workqueues.flushWork(second);
      },
      B,
    );
    return ran;
  }

  // @acceptance 46 48
  it('leaves idle CPU A asleep when power counts, and uses it for bound works', async () => {
    expect(await seedStory({ powerEfficient: true }, 0)).toBe(0);
    expect(await seedStory({ powerEfficient: true }, WQ_UNBOUND)).toBe(1);
    expect(await seedStory({ powerEfficient: true }, WQ_POWER_EFFICIENT)).toBe(1);
    expect(await seedStory({}, WQ_POWER_EFFICIENT)).toBe(0);
  });

  // @acceptance 47
  it('runs an unbound work on an idle CPU, a bound one on the queueing CPU', async () => {
    const { kernel, door, workqueues } = setUp();
    const cpus: number[] = [];
    await door.call(
      'on A',
      async () => {
        for (const wq of [workqueues.systemWq, workqueues.systemUnboundWq]) {
          const work = workqueues.initWork('f', null, () => {
            cpus.push(kernel.ex.cpu);
          });
          workqueues.queueWork(wq, work);
          await workqueues.flushWork(work);
        }
      },
      2,
    );
    expect(cpus).toEqual([2, 3]);
  });

  it('spreads unbound works, within the node', async () => {
    const { kernel, door, workqueues } = setUp({}, { nrCpus: 8, nrNodes: 2 });
    const cpus: number[] = [];
    await door.call(
      'test',
      async () => {
        for (let n = 0; n < 3; n++) {
          const work = workqueues.initWork('f', null, () => {
            cpus.push(kernel.ex.cpu);
          });
          workqueues.queueWork(workqueues.systemUnboundWq, work);
        }
        await workqueues.flushWorkqueue(workqueues.systemUnboundWq);
        workqueues.asyncScheduleNode(async () => void cpus.push(kernel.ex.cpu), null, 0);
        await workqueues.asyncSynchronizeFull();
      },
      4,
    );
    expect(cpus.slice(0, 3)).toEqual([5, 6, 7]);
    expect(cpus[3]).toBeLessThan(4);
  });

  it('asks the scheduler which CPUs are idle', async () => {
    const { kernel, door, workqueues } = setUp({ cpuIsIdle: (cpu) => cpu === 3 });
    const cpu = await door.call('test', async () => {
      let ran = -1;
      const note = async () => {
        ran = kernel.ex.cpu;
      };
      workqueues.asyncScheduleNode(note, null, -1);
      await workqueues.asyncSynchronizeFull();
      return ran;
    });
    expect(cpu).toBe(3);
  });
});

describe('workqueues', () => {
  // @acceptance 44
  it.each(['4.10', '4.13', '6.1', '6.12'] as const)(
    'show their flags and have a rescuer when they serve memory reclaim (%s)',
    async (profile) => {
      const { kernel, door, workqueues } = setUp({}, { profile });
      await door.call('test', async () => {
        const boot = workqueues.list().length;
        const nvme = workqueues.allocWorkqueue('nvme', WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
        const plain = workqueues.allocWorkqueue('plain', WQ_UNBOUND, 0);
        await sleepNs(kernel, 1000);
        expect(
          workqueues
            .list()
            .slice(boot)
            .map(({ name, flags, maxActive, hasRescuer }) => [name, flags, maxActive, hasRescuer]),
        ).toEqual([
          ['nvme', WQ_UNBOUND | WQ_MEM_RECLAIM, 256, true],
          ['plain', WQ_UNBOUND, 256, false],
        ]);
        const rescuers = (): string[] =>
          kernel.ex
            .parkedTasks()
            .map(({ name }) => name)
            .filter((name) => name.endsWith('nvme') || name.endsWith('plain'));
        expect(rescuers()).toEqual([profile === '6.12' ? 'kworker/R-nvme' : 'nvme']);
        await workqueues.destroyWorkqueue(nvme);
        await workqueues.destroyWorkqueue(plain);
        expect([rescuers(), workqueues.list().length]).toEqual([[], boot]);
      });
    },
  );

  // @acceptance 45
  it.each([
    ['4.10', '__alloc_workqueue_key'],
    ['4.13', '__alloc_workqueue_key'],
    ['6.1', 'alloc_workqueue'],
    ['6.12', 'alloc_workqueue'],
  ] as const)('on %s are made by %s', async (profile, symbol) => {
    const { kernel, door, workqueues } = setUp({}, { profile });
    await door.call('test', async () => {
      await workqueues.destroyWorkqueue(workqueues.allocWorkqueue('nvme', WQ_UNBOUND | WQ_MEM_RECLAIM, 0));
    });
    expect(functions(kernel).filter((line) => line.includes('alloc_workqueue'))).toEqual([`test: ${symbol}`]);
  });

  // @acceptance 49
  it('are drained before they go: also works that works queue again, and those above max_active', async () => {
    const { kernel, door, workqueues } = setUp();
    const log: string[] = [];
    await door.call('test', async () => {
      const wq = workqueues.allocWorkqueue('nvme', WQ_UNBOUND | WQ_MEM_RECLAIM, 1);
      const chain: WorkStruct = workqueues.initWork('chain', 'chain', async (name) => {
        await sleepNs(kernel, 5000);
        log.push(name);
        if (log.filter((done) => done === name).length < 3) workqueues.queueWork(wq, chain);
      });
      workqueues.queueWork(wq, chain);
      for (const name of ['b', 'c']) {
        workqueues.queueWork(
          wq,
          workqueues.initWork(name, name, async (own) => {
            await sleepNs(kernel, 1000);
            log.push(own);
          }),
        );
      }
      await workqueues.destroyWorkqueue(wq);
      log.push('destroyed');
    });
    expect(log).toEqual(['chain', 'b', 'c', 'chain', 'chain', 'destroyed']);
    expect(kernel.live.leaks()).toEqual([]);
  });

  // @acceptance 50
  it('give a handler the thing its work is part of', async () => {
    const { door, workqueues } = setUp();
    class Dev {
      readonly instance: number;
      readonly resetWork: WorkStruct;
      resets = 0;
      constructor(instance: number) {
        this.instance = instance;
        this.resetWork = workqueues.initWork('nvme_reset_work', this, resetWork);
      }
    }
    const seen: Dev[] = [];
    const resetWork = (dev: Dev): void => {
      dev.resets++;
      seen.push(dev);
    };
    const devs = [0, 1].map((instance) => new Dev(instance));
    await door.call('test', async () => {
      for (const { resetWork: work } of [...devs].reverse()) {
        workqueues.queueWork(workqueues.systemWq, work);
        await workqueues.flushWork(work);
      }
    });
    expect(seen.map(({ instance, resets }) => [instance, resets])).toEqual([
      [1, 1],
      [0, 1],
    ]);
    expect(seen[0]).toBe(devs[1]);
  });
});
