import { describe, expect, it } from 'vitest';
import { jiffies, jiffiesToNs, msecsToJiffies, roundJiffies, roundJiffiesRelative, roundJiffiesUp } from './jiffies.js';
import type { Kernel } from './ports.js';
import { sleepNs } from './sync/sleep.js';
import { createTestKernel } from './testing/test-kernel.js';
import { delTimer, delTimerSync, ktimeGet, ktimeGetRealMs, modTimer, timerPending, timerSetup } from './time.js';

/** A kernel whose only clock is a number. */
function kernelAt(nowNs: number, cpu = 0): Kernel {
  return { bootTimeMs: 1000, ex: { now: () => nowNs, cpu } } as unknown as Kernel;
}

describe('jiffies', () => {
  it('count 4 ms each from power-on, and round milliseconds up', () => {
    expect(jiffies(kernelAt(3_999_999))).toBe(0);
    expect(jiffies(kernelAt(8_000_000))).toBe(2);
    expect([0, 1, 4, 5, 30_000].map(msecsToJiffies)).toEqual([0, 1, 1, 2, 7500]);
    expect(jiffiesToNs(7500)).toBe(30_000_000_000);
  });

  it('round to whole seconds, each CPU three jiffies apart', () => {
    const kernel = kernelAt(0);
    expect(roundJiffies(kernel, 250 + 61)).toBe(250);
    expect(roundJiffies(kernel, 250 + 62)).toBe(250);
    expect(roundJiffies(kernel, 250 + 63)).toBe(500);
    expect(roundJiffiesUp(kernel, 251)).toBe(500);
    expect(roundJiffies(kernelAt(0, 2), 500)).toBe(494);
  });

  it('leave a moment that rounding would put into the past', () => {
    const kernel = kernelAt(jiffiesToNs(260));
    expect(roundJiffies(kernel, 270)).toBe(270);
    expect(roundJiffiesRelative(kernel, 300)).toBe(240);
  });
});

describe('kernel timers', () => {
  it('run once, in softirq context, on their CPU, when they are due', async () => {
    const { kernel, door } = createTestKernel();
    const runs: unknown[] = [];
    const timer = timerSetup(
      kernel,
      't',
      (arg: string) => runs.push([arg, ktimeGet(kernel), kernel.ex.context, kernel.ex.cpu]),
      'x',
      2,
    );
    await door.call('test', async () => {
      expect(modTimer(timer, 5_000_000)).toBe(false);
      expect(modTimer(timer, 9_000_000)).toBe(true);
      await sleepNs(kernel, 8_000_000);
      expect(runs).toEqual([]);
      expect(timerPending(timer)).toBe(true);
      await sleepNs(kernel, 20_000_000);
    });
    expect(runs).toEqual([['x', 9_000_000, 'softirq', 2]]);
    expect(timerPending(timer)).toBe(false);
  });

  it('can arm themselves again and be taken back', async () => {
    const { kernel, door } = createTestKernel();
    let runs = 0;
    const watch = (): void => {
      runs++;
      modTimer(timer, ktimeGet(kernel) + 1_000_000);
    };
    const timer = timerSetup(kernel, 'watchdog', watch, null);
    await door.call('test', async () => {
      modTimer(timer, 1_000_000);
      await sleepNs(kernel, 3_500_000);
      expect(delTimerSync(timer)).toBe(true);
      expect(delTimer(timer)).toBe(false);
      await sleepNs(kernel, 10_000_000);
    });
    expect(runs).toBe(3);
  });

  it('may not wait for themselves', async () => {
    const { kernel, door } = createTestKernel();
    const timer = timerSetup(kernel, 'self', () => delTimerSync(timer), null);
    const call = door.call('test', async () => {
      modTimer(timer, 1000);
      await sleepNs(kernel, 1_000_000);
    });
    await expect(call).rejects.toThrow('del_timer_sync of self while it runs');
  });
});

describe('the wall clock', () => {
  it('starts at the boot time and goes with virtual time', () => {
    expect(ktimeGetRealMs(kernelAt(2_999_999))).toBe(1002);
  });
});
