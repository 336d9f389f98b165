import { beforeEach, describe, expect, it } from 'vitest';
import { sleepNs } from '../sync/sleep.js';
import { clockContract } from '../testing/clock-contract.js';
import { executorContract } from '../testing/executor-contract.js';
import { type ExecutorRequest, faultyExecutor, tracedExecutor } from '../testing/executor-middleware.js';
import { createPlainExecutor } from '../testing/plain-executor.js';
import { JumpingClock, ManualClock } from '../testing/test-clocks.js';
import { createTestKernel } from '../testing/test-kernel.js';

const runner = { describe, it, beforeEach, expect };

const fixture = (options: Parameters<typeof createTestKernel>[0]) => {
  const { kernel, door } = createTestKernel({ costs: { wakeNs: 0 }, ...options });
  return { ex: kernel.ex, door };
};

executorContract(runner, 'the executor', () => fixture({}));
executorContract(runner, 'the executor, strict', () => fixture({ strict: true }));
executorContract(runner, 'a plain executor', () => fixture({ makeExecutor: createPlainExecutor }));
executorContract(runner, 'a plain executor, strict', () =>
  fixture({ makeExecutor: createPlainExecutor, strict: true }),
);
executorContract(runner, 'a traced executor', () => fixture({ executor: (inner) => tracedExecutor(inner, () => {}) }));

clockContract(runner, 'a clock that jumps', () => ({ clock: new JumpingClock(), pass: () => {} }));
clockContract(runner, 'a clock that is moved', () => {
  const clock = new ManualClock();
  return { clock, pass: (ns) => clock.pass(ns) };
});

describe('executor middleware', () => {
  it('tells what kernel code asks for, and changes nothing', async () => {
    const requests: ExecutorRequest[] = [];
    const run = async (executor?: Parameters<typeof createTestKernel>[0]) => {
      const { kernel, door } = createTestKernel(executor);
      await door.call('main', async () => {
        kernel.ex.spawn('child', () => sleepNs(kernel, 5));
        await sleepNs(kernel, 10);
      });
      return [kernel.ex.items, kernel.ex.now()];
    };
    const plain = await run();
    expect(await run({ executor: (inner) => tracedExecutor(inner, (request) => requests.push(request)) })).toEqual(
      plain,
    );
    expect(requests.map(({ what, subject }) => `${what} ${subject}`)).toEqual([
      'spawn child',
      'park main',
      'park child',
    ]);
  });

  it('makes timers late, never early', async () => {
    const { kernel, door } = createTestKernel({ executor: (inner) => faultyExecutor(inner, () => 77) });
    const seen: number[] = [];
    await door.call('main', async () => {
      kernel.ex.arm(
        kernel.ex.item('softirq', 0, () => seen.push(kernel.ex.now()), null),
        100,
      );
      await sleepNs(kernel, 1000);
    });
    expect(seen).toEqual([177]);
  });
});
