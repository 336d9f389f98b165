import { describe, expect, it } from 'vitest';
import type { KernelInstance, KernelOptions } from '../kernel.js';
import type { TraceEventType } from '../ports.js';
import { Completion, complete, waitForCompletion } from '../sync/completion.js';
import { Mutex, mutexLock, mutexUnlock } from '../sync/mutex.js';
import { sleepNs } from '../sync/sleep.js';
import { createTestKernel, testHostLoop } from '../testing/test-kernel.js';
import { traced } from '../trace/traced.js';

const STEP: TraceEventType = { name: 'step', kind: 'sched', fields: ['n', 'i'] };

const nap = traced('nap', async (self: KernelInstance['kernel'], ns: number) => {
  await sleepNs(self, ns);
});

/** Tasks on four CPUs that sleep, lock and are interrupted; every step is an event. */
async function workload({ kernel, door }: KernelInstance): Promise<void> {
  const { ex, trace } = kernel;
  const lock = new Mutex(kernel, 'shared');
  await door.call('main', async () => {
    const done = new Completion(kernel, 'done');
    const finish = ex.item('hardirq', 3, () => complete(done), null);
    for (let n = 0; n < 8; n++) {
      const body = async (): Promise<void> => {
        for (let i = 0; i < 4; i++) {
          await nap(kernel, 100);
          await mutexLock(lock);
          if (trace.events) trace.event(STEP, n, i, 0, 0);
          ex.charge(40);
          mutexUnlock(lock);
        }
        complete(done);
      };
      ex.spawn(`t${n}`, body, n % 4);
    }
    for (let n = 0; n < 8; n++) await waitForCompletion(done);
    ex.arm(finish, ex.now() + 100);
    await waitForCompletion(done);
  });
}

async function run(options: Partial<KernelOptions>): Promise<{ hash: string; items: number; timeNs: number }> {
  const machine = createTestKernel(options);
  await workload(machine);
  const { ex, trace } = machine.kernel;
  return { hash: trace.hash(), items: ex.items, timeNs: ex.now() };
}

describe('a run', () => {
  it('is the same at every trace level, and the hash of hash and full agree', async () => {
    for (const interleave of [false, true]) {
      const full = await run({ trace: 'full', interleave });
      const hash = await run({ trace: 'hash', interleave });
      const off = await run({ trace: 'off', interleave });
      expect(hash).toEqual(full);
      expect([off.items, off.timeNs]).toEqual([full.items, full.timeNs]);
      expect(off.hash).not.toBe(full.hash);
    }
  });

  it('is the same strict and not, whether anything is checked or not', async () => {
    for (const interleave of [false, true]) {
      const plain = await run({ interleave });
      expect(await run({ interleave, strict: true })).toEqual(plain);
      expect(await run({ interleave, checks: 'off' })).toEqual(plain);
    }
  });

  it('differs by seed when the seed may choose, and only then', async () => {
    const hashes = new Set<string>();
    for (let seed = 1; seed <= 20; seed++) hashes.add((await run({ seed, interleave: true })).hash);
    expect(hashes.size).toBe(20);
    expect((await run({ seed: 1 })).hash).toBe((await run({ seed: 2 })).hash);
  });

  it('is the same alone and beside seven others', async () => {
    const alone = await run({ interleave: true, seed: 5 });
    const many = await Promise.all(
      Array.from({ length: 8 }, (_, n) => run({ interleave: true, seed: n === 3 ? 5 : 10 + n })),
    );
    expect(many[3]).toEqual(alone);
    expect(new Set(many.map(({ hash }) => hash)).size).toBe(8);
  });

  it('does not depend on how many awaits the host makes between calls', async () => {
    const seen = new Set<string>();
    for (const awaits of [0, 1, 2, 7, 40]) {
      const { kernel, door } = createTestKernel({ interleave: true });
      const background = door.call('background', async () => {
        for (let i = 0; i < 50; i++) {
          await sleepNs(kernel, 90);
          kernel.trace.event(STEP, -1, i, 0, 0);
        }
      });
      for (let call = 0; call < 5; call++) {
        await door.call(`call${call}`, async () => {
          await sleepNs(kernel, 200);
          kernel.trace.event(STEP, call, 0, 0, 0);
        });
        for (let n = 0; n < awaits; n++) await null;
      }
      await background;
      seen.add(`${kernel.trace.hash()} ${kernel.ex.items} ${kernel.ex.now()}`);
    }
    expect(seen.size).toBe(1);
  });

  it('does not depend on which of two host promises settles first', async () => {
    const seen = new Set<string>();
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const { kernel, door } = createTestKernel();
      const settle: ((value: string) => void)[] = [];
      const asked = [0, 1].map((n) => new Promise<string>((resolve) => (settle[n] = resolve)));
      const log: string[] = [];
      const calls = asked.map((promise, n) =>
        door.call(`ask${n}`, async () => {
          log.push(`${await kernel.ex.hostWait(promise)}@${kernel.ex.now()}/${kernel.ex.items}`);
        }),
      );
      const held = door.call('hold', async () => {
        const list = kernel.ex.waitList();
        const release = kernel.ex.hostHold(() => {
          log.push(`device@${kernel.ex.now()} ${kernel.ex.context}`);
          kernel.ex.wakeFirst(list, 0);
        }, null);
        settle.push(release);
        await kernel.ex.park('the store', list);
        kernel.ex.awake();
      });
      for (const n of [...order, 2]) {
        for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => testHostLoop.macrotask(resolve));
        (settle[n] as (value: string) => void)(`v${n}`);
      }
      await Promise.all([...calls, held]);
      seen.add(log.join(' '));
    }
    expect([...seen]).toEqual([expect.stringMatching(/^v0@0\/\d+ v1@\d+\/\d+ device@\d+ device$/)]);
  });
});

describe('the seed', () => {
  it('never lets a task pass an interrupt of its own CPU, and lets tasks pass each other', async () => {
    const orders = new Set<string>();
    for (let seed = 1; seed <= 30; seed++) {
      const { kernel, door } = createTestKernel({ seed, interleave: true });
      const { ex } = kernel;
      const order: string[] = [];
      await door.call('main', async () => {
        for (const name of ['a', 'b', 'c']) ex.spawn(name, async () => void order.push(name), 1);
        ex.post(ex.item('softirq', 1, () => order.push('softirq'), null));
        ex.post(ex.item('hardirq', 1, () => order.push('hardirq'), null));
        await sleepNs(kernel, 10_000);
      });
      expect(order.slice(0, 2)).toEqual(['hardirq', 'softirq']);
      orders.add(order.join(' '));
    }
    expect(orders.size).toBe(6);
  });
});
