import { describe, expect, it } from 'vitest';
import type { Kernel, TraceEntry, TraceEventType } from '../ports.js';
import { sleepNs } from '../sync/sleep.js';
import { createTestKernel } from '../testing/test-kernel.js';
import { traced } from './traced.js';

const EVENT: TraceEventType = { name: 'nvme_sq', kind: 'nvme', fields: ['head', 'tail'], textField: 'disk' };

const inner = traced('inner', async (self: Kernel, ns: number) => {
  await sleepNs(self, ns);
  return ns;
});
const outer = traced('outer', async (self: Kernel, ns: number) => (await inner(self, ns)) + (await inner(self, 1)));
const quick = traced('quick', (_self: Kernel, a: number, b: number, c: number) => a + b + c);
const failing = traced('failing', async (self: Kernel) => {
  await sleepNs(self, 1);
  throw new RangeError('later');
});
const throwing = traced('throwing', (_self: Kernel): number => {
  throw new RangeError('at once');
});

const lines = (entries: readonly TraceEntry[]) =>
  entries.map((entry) => `${'  '.repeat(entry.depth)}${entry.symbol} ${entry.task} ${entry.durationNs}`);

describe('traced', () => {
  it('keeps nesting per task across await, and times each entry', async () => {
    const { kernel, door } = createTestKernel({ costs: { wakeNs: 0, functionNs: 0 } });
    const calls = [door.call('a', () => outer(kernel, 100), 0), door.call('b', () => outer(kernel, 50), 1)];
    expect(await Promise.all(calls)).toEqual([101, 51]);
    expect(lines(kernel.trace.entries)).toEqual([
      'outer a 101',
      '  inner a 100',
      'outer b 51',
      '  inner b 50',
      '  inner b 1',
      '  inner a 1',
    ]);
  });

  it('passes up to three arguments and the result, and charges the call at every level', async () => {
    for (const trace of ['off', 'hash', 'full'] as const) {
      const { kernel, door } = createTestKernel({ trace });
      const result = await door.call('main', async () => {
        const before = kernel.ex.now();
        return [quick(kernel, 1, 2, 3), kernel.ex.now() - before];
      });
      expect(result).toEqual([6, kernel.costs.functionNs]);
      expect(kernel.trace.entries.length).toBe(trace === 'full' ? 1 : 0);
    }
  });

  it('closes its entry when the function throws or rejects', async () => {
    const { kernel, door } = createTestKernel();
    await door.call('main', async () => {
      expect(() => throwing(kernel)).toThrow('at once');
      await failing(kernel).catch(() => {});
      quick(kernel, 1, 1, 1);
    });
    expect(kernel.trace.entries.map(({ symbol, depth }) => `${symbol} ${depth}`)).toEqual([
      'throwing 0',
      'failing 0',
      'quick 0',
    ]);
    expect(kernel.trace.entries.every(({ durationNs }) => durationNs >= 0)).toBe(true);
  });

  it('is a BUG outside the machine', () => {
    const { kernel } = createTestKernel();
    expect(() => quick(kernel, 1, 2, 3)).toThrow(/BUG: quick called while nothing of this machine runs/);
  });

  it('uses the symbols of a profile, and leaves out those it does not have', async () => {
    const { kernel, door } = createTestKernel({ costs: { wakeNs: 0, functionNs: 0 } });
    kernel.trace.renameSymbols({ outer: null, inner: '__inner' });
    await door.call('a', () => outer(kernel, 100));
    expect(lines(kernel.trace.entries)).toEqual(['__inner a 100', '__inner a 1']);
  });
});

describe('trace', () => {
  it('keeps an event with its fields, context and depth', async () => {
    const { kernel, door } = createTestKernel();
    const { ex, trace } = kernel;
    await door.call('main', async () => {
      const irq = () => {
        trace.enter('nvme_irq');
        trace.event(EVENT, 3, 4, 5, 6, 'nvme0n1');
        trace.exit();
      };
      ex.post(ex.item('hardirq', 1, irq, null));
      await sleepNs(kernel, 10_000);
    });
    const [func, event] = trace.entries;
    expect([func?.symbol, func?.kind, func?.depth, func?.durationNs]).toEqual(['nvme_irq', 'function', 0, 0]);
    expect(event).toEqual({
      seq: 1,
      startNs: 0,
      durationNs: 0,
      cpu: 1,
      task: '<idle>',
      pid: 0,
      context: 'hardirq',
      depth: 1,
      kind: 'nvme',
      symbol: 'nvme_sq',
      fields: ['head', 'tail'],
      args: [3, 4],
      text: 'nvme0n1',
    });
  });

  it('hashes every number, text, name, time and CPU of an event, and no function', async () => {
    const hash = async (body: (kernel: Kernel) => void, cpu = 0) => {
      const { kernel, door } = createTestKernel({ trace: 'full' });
      await door.call('main', async () => body(kernel), cpu);
      return kernel.trace.hash();
    };
    const event =
      (...args: Parameters<Kernel['trace']['event']>) =>
      (kernel: Kernel) =>
        kernel.trace.event(...args);
    const base = await hash(event(EVENT, 1, 2, 3, 4, 'x'));
    expect(base).toMatch(/^[0-9a-f]{16}$/);
    expect(await hash(event(EVENT, 1, 2, 3, 4, 'x'))).toBe(base);
    const others = [
      hash(event(EVENT, 2, 1, 3, 4, 'x')),
      hash(event(EVENT, 1, 2, 3, 5, 'x')),
      hash(event(EVENT, 1 + 2 ** 40, 2, 3, 4, 'x')),
      hash(event(EVENT, 1, 2, 3, 4, 'y')),
      hash(event({ ...EVENT, name: 'nvme_cq' }, 1, 2, 3, 4, 'x')),
      hash(event(EVENT, 1, 2, 3, 4, 'x'), 1),
      hash((kernel) => {
        kernel.ex.charge(1);
        kernel.trace.event(EVENT, 1, 2, 3, 4, 'x');
      }),
      hash(() => {}),
    ];
    expect(new Set([base, ...(await Promise.all(others))]).size).toBe(9);
    const function_ = await hash((kernel) => {
      kernel.trace.enter('f');
      kernel.trace.event(EVENT, 1, 2, 3, 4, 'x');
      kernel.trace.exit();
    });
    expect(function_).toBe(base);
  });

  it('tells subscribers every new entry until they end it', async () => {
    const { kernel, door } = createTestKernel({ costs: { functionNs: 0 } });
    const seen: string[] = [];
    const unsubscribe = kernel.trace.subscribe((entry) => seen.push(entry.symbol));
    await door.call('main', async () => {
      quick(kernel, 1, 2, 3);
      kernel.trace.event(EVENT, 1, 2, 0, 0);
      unsubscribe();
      quick(kernel, 1, 2, 3);
    });
    expect(seen).toEqual(['quick', 'nvme_sq']);
  });

  it('keeps nothing while tracing is switched off, and rolls the same hash', async () => {
    const run = async (pauses: boolean) => {
      const { kernel, door } = createTestKernel();
      await door.call('main', async () => {
        kernel.trace.event(EVENT, 1, 2, 0, 0);
        kernel.trace.tracingOn = !pauses;
        quick(kernel, 1, 2, 3);
        kernel.trace.event(EVENT, 3, 4, 0, 0);
        kernel.trace.tracingOn = true;
        kernel.trace.event(EVENT, 5, 6, 0, 0);
      });
      return { seqs: kernel.trace.entries.map(({ seq }) => seq), hash: kernel.trace.hash() };
    };
    const [whole, paused] = [await run(false), await run(true)];
    expect(whole.seqs).toEqual([0, 1, 2, 3]);
    expect(paused.seqs).toEqual([0, 3]);
    expect(paused.hash).toBe(whole.hash);
  });

  it('reports an exit without an entry', async () => {
    const { kernel, door } = createTestKernel();
    await expect(door.call('main', async () => kernel.trace.exit())).rejects.toThrow('BUG: trace: exit without enter');
  });

  it('does not let an interrupt’s forgotten exit show in the next one', async () => {
    const { kernel, door } = createTestKernel();
    const { ex, trace } = kernel;
    await door.call('main', async () => {
      ex.post(ex.item('softirq', 1, () => trace.enter('forgets'), null));
      ex.post(ex.item('softirq', 1, () => trace.event(EVENT, 0, 0, 0, 0), null));
      await sleepNs(kernel, 10_000);
    });
    expect(trace.entries.map(({ symbol, depth }) => `${symbol} ${depth}`)).toEqual(['forgets 0', 'nvme_sq 0']);
  });

  it('does not let an interrupt close the entry another left open', async () => {
    const { kernel, door } = createTestKernel();
    const { ex, trace } = kernel;
    const call = door.call('main', async () => {
      ex.post(ex.item('softirq', 1, () => trace.enter('forgets'), null));
      ex.post(ex.item('softirq', 1, () => trace.exit(), null));
      await sleepNs(kernel, 10_000);
    });
    await expect(call).rejects.toThrow('BUG: trace: exit without enter');
  });
});
