import { describe, expect, it } from 'vitest';
import { KernelError } from '../errno.js';
import type { HostLoop, Task } from '../ports.js';
import { Completion, complete, waitForCompletion } from '../sync/completion.js';
import { sleepNs } from '../sync/sleep.js';
import { createManualHost, JumpingClock, ManualClock } from '../testing/test-clocks.js';
import { createTestKernel, testHostLoop } from '../testing/test-kernel.js';

const macrotask = (): Promise<void> => new Promise((resolve) => testHostLoop.macrotask(resolve));

describe('front door', () => {
  it('rejects a call with the KernelError it threw, and goes on', async () => {
    const { door } = createTestKernel();
    const error = new KernelError('ENODEV', 'open');
    await expect(
      door.call('open', async () => {
        throw error;
      }),
    ).rejects.toBe(error);
    expect(await door.call('next', async () => 'fine')).toBe('fine');
  });

  it('takes a host call between slices of a call that never waits', async () => {
    const { kernel, door } = createTestKernel({ trace: 'off' });
    const { ex } = kernel;
    const state = { stop: false };
    const spin = ex.item('softirq', 1, () => void (!state.stop && ex.post(spin)), null);
    const long = door.call('long', async () => {
      const done = new Completion(kernel, 'stop');
      ex.post(spin);
      while (!state.stop) await sleepNs(kernel, 0);
      complete(done);
      await waitForCompletion(done);
    });
    await macrotask();
    await macrotask();
    expect(ex.items).toBeGreaterThan(16000);
    await door.call('stop', async () => {
      state.stop = true;
    });
    await long;
  });

  it('halts only the machine that has the BUG', async () => {
    const bad = createTestKernel();
    const good = createTestKernel();
    const slow = good.door.call('slow', async () => {
      await sleepNs(good.kernel, 1000);
      return 'done';
    });
    await expect(bad.door.call('bad', async () => bad.kernel.ex.bug('broken'))).rejects.toThrow('BUG: broken');
    expect(await slow).toBe('done');
    expect(good.door.halted).toBe(null);
    expect(bad.door.halted).not.toBe(null);
  });

  it('passes on the BUG of another machine as an error of the call', async () => {
    const bad = createTestKernel();
    const good = createTestKernel();
    await bad.door.call('bad', async () => bad.kernel.ex.bug('broken')).catch(() => {});
    const call = good.door.call('user', async () => {
      throw bad.door.halted;
    });
    await expect(call).rejects.toBe(bad.door.halted);
    expect(good.door.halted).toBe(null);
  });

  it('makes a nested interrupt that throws a BUG, whoever catches it around udelay', async () => {
    const { kernel, door } = createTestKernel();
    const { ex } = kernel;
    const irq = ex.item(
      'hardirq',
      0,
      () => {
        throw new Error('in the handler');
      },
      null,
    );
    const call = door.call('main', async () => {
      ex.arm(irq, 10);
      try {
        ex.udelay(100);
      } catch {
        // Does not help.
      }
    });
    await expect(call).rejects.toThrow(/BUG: hardirq handler threw Error: in the handler/);
  });

  it('refuses a CPU that is not there', async () => {
    const { kernel, door } = createTestKernel({ nrCpus: 2 });
    await expect(door.call('x', async () => {}, 2)).rejects.toThrow('x: cpu 2 is not one of 0 to 1');
    await expect(door.call('y', async () => void kernel.ex.spawn('z', async () => {}, 7))).rejects.toThrow(
      'BUG: task z cannot run on CPU 7 of 2',
    );
  });

  it('rejects a run that is outstanding when the machine halts', async () => {
    const { kernel, door } = createTestKernel();
    await door.call('arm', async () => {
      kernel.ex.arm(
        kernel.ex.item('device', -1, () => kernel.ex.bug('late'), null),
        100,
      );
    });
    await expect(door.runUntilItems(1000)).rejects.toThrow('BUG: late');
  });

  it('tells the open functions and the place in a BUG', async () => {
    const { kernel, door } = createTestKernel();
    const call = door.call(
      'probe',
      async () => {
        kernel.trace.enter('nvme_probe');
        kernel.trace.enter('nvme_dev_map');
        kernel.ex.bug('no BAR');
      },
      2,
    );
    await expect(call).rejects.toThrow('BUG: no BAR; CPU 2 probe-1 (task)\n  in nvme_probe > nvme_dev_map');
  });

  it('keeps no task that has ended, and names those that are parked', async () => {
    const { kernel, door } = createTestKernel();
    const parked = await door.call('main', async () => {
      for (let n = 0; n < 100; n++) kernel.ex.spawn(`t${n}`, async () => {});
      const list = kernel.ex.waitList();
      kernel.ex.spawn('stays', async () => void (await kernel.ex.park('good', list)));
      await sleepNs(kernel, 1000);
      return kernel.ex.parkedTasks().map(({ name }) => name);
    });
    expect(parked).toEqual(['stays']);
  });
});

describe('with a real clock', () => {
  const machine = (clock: ManualClock) => {
    const host = createManualHost(clock);
    return { host, ...createTestKernel({ clock, host }) };
  };

  it('waits for the next event and never charges time', async () => {
    const { kernel, door, host } = machine(new ManualClock());
    const time = await door.call('main', async () => {
      kernel.ex.charge(5000);
      await sleepNs(kernel, 1000);
      return kernel.ex.now();
    });
    expect(time).toBe(1000);
    expect(host.waits).toEqual([1000]);
  });

  it('counts a time-out from now, however long the machine was idle', async () => {
    const clock = new ManualClock();
    const { kernel, door, host } = machine(clock);
    await door.call('first', () => sleepNs(kernel, 10));
    clock.pass(1_000_000);
    const before = clock.now();
    await door.call('second', () => sleepNs(kernel, 500));
    expect(clock.now() - before).toBe(500);
    expect(host.waits).toEqual([10, 500]);
  });

  it('runs interrupts inside a busy wait that polls the clock', async () => {
    const clock = new ManualClock(10);
    const { kernel, door } = machine(clock);
    const seen: number[] = [];
    await door.call('main', async () => {
      const start = clock.now();
      kernel.ex.arm(
        kernel.ex.item('hardirq', 0, () => seen.push(clock.now() - start), null),
        start + 50,
      );
      kernel.ex.udelay(100);
      seen.push(clock.now() - start);
    });
    expect(seen).toEqual([50, 100]);
  });

  it('lets timers go on while the host is asked', async () => {
    const { kernel, door } = machine(new ManualClock());
    let answer: (value: string) => void = () => {};
    const timer = kernel.ex.item('softirq', 0, () => answer('from the timer'), null);
    const call = door.call('main', async () => {
      kernel.ex.arm(timer, 1000);
      return kernel.ex.hostWait(new Promise<string>((resolve) => (answer = resolve)));
    });
    expect(await call).toBe('from the timer');
  });

  it('leaves no alarm behind when closed', async () => {
    const clock = new ManualClock();
    let cancelled = 0;
    const host: HostLoop = { macrotask: testHostLoop.macrotask, after: () => () => void cancelled++ };
    const { kernel, door } = createTestKernel({ clock, host });
    const call = door.call('main', () => sleepNs(kernel, 1000)).catch((error: Error) => error.message);
    for (let n = 0; n < 4; n++) await macrotask();
    door.close('off');
    expect([await call, cancelled]).toEqual(['off', 1]);
  });

  it('goes on at once with what the clock posted while it looked at devices outside', async () => {
    const clock = new ManualClock();
    const { kernel, door, host } = machine(clock);
    const interrupt = kernel.ex.item('hardirq', 0, (task: Task) => kernel.ex.wake(task, 7), null as never);
    let asked = 0;
    const { reach } = clock;
    clock.reach = (deadlineNs) => {
      if (++asked === 1) kernel.ex.post(interrupt);
      return reach.call(clock, deadlineNs);
    };
    const value = await door.call('main', async () => {
      Object.assign(interrupt, { arg: kernel.ex.current });
      const woken = await kernel.ex.park('an interrupt', null, 1e9);
      kernel.ex.awake();
      return woken;
    });
    expect([value, asked, host.waits]).toEqual([7, 1, []]);
  });

  it('settles when nothing has come from outside for a while', async () => {
    const clock = new ManualClock();
    const seen: number[] = [];
    const host = createManualHost(clock);
    const outside: HostLoop = {
      macrotask: host.macrotask,
      after: (delayNs, fn) => {
        // A device speaks 5 ms after the machine began to listen, once.
        if (seen.length > 0) return host.after(delayNs, fn);
        return host.after(5e6, () => {
          kernel.ex.post(interrupt);
          fn();
        });
      },
    };
    const { kernel, door } = createTestKernel({ clock, host: outside });
    const interrupt = kernel.ex.item('hardirq', 0, () => seen.push(clock.now()), null);
    await door.settle(1e9);
    expect([seen, clock.now()]).toEqual([[5e6], 25e6]);
  });

  it('runs as in virtual time when the clock jumps', async () => {
    const { kernel, door } = createTestKernel({ clock: new JumpingClock() });
    await door.call('main', () => sleepNs(kernel, 12_345));
    expect(kernel.ex.now()).toBe(12_345);
  });
});

describe('several posts of one item', () => {
  it('run it at the earliest of their times', async () => {
    const { kernel, door } = createTestKernel();
    const { ex } = kernel;
    const seen: number[] = [];
    await door.call('main', async () => {
      const device = ex.item('device', -1, () => seen.push(ex.now()), null);
      const ring = (spentNs: number) => () => {
        ex.charge(spentNs);
        ex.post(device);
      };
      ex.arm(ex.item('softirq', 1, ring(1000), null), 5000);
      ex.arm(ex.item('softirq', 2, ring(200), null), 5000);
      ex.arm(ex.item('softirq', 3, ring(600), null), 5000);
      await sleepNs(kernel, 20_000);
    });
    expect(seen).toEqual([5200]);
  });
});

describe('standing still', () => {
  it('stops at a time with calls outstanding, and goes on with the next call', async () => {
    const { kernel, door } = createTestKernel();
    const ticks: number[] = [];
    const call = door.call('main', async () => {
      for (let i = 0; i < 10; i++) {
        await sleepNs(kernel, 1000);
        ticks.push(kernel.ex.now());
      }
    });
    await door.runUntilTime(4500);
    const { items } = kernel.ex;
    expect(ticks).toHaveLength(3);
    for (let i = 0; i < 20; i++) await macrotask();
    expect(kernel.ex.items).toBe(items);
    expect(await door.step()).toBe(true);
    expect(kernel.ex.items).toBe(items + 1);
    await door.call('another', async () => {});
    await call;
    expect(ticks).toHaveLength(10);
  });
});
