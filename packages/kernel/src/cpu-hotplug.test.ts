import { describe, expect, it } from 'vitest';
import {
  CPUHP_AP_BLK_MQ_ONLINE,
  CPUHP_AP_WORKQUEUE_ONLINE,
  CPUHP_BLK_MQ_DEAD,
  CPUHP_TEARDOWN_CPU,
  cpuRelax,
  KernelError,
  type KernelOptions,
  modTimer,
  msleep,
  sleepNs,
  timerSetup,
} from './index.js';
import { createTestKernel } from './testing.js';

function setUp(options: Partial<KernelOptions> = {}) {
  const { kernel, door } = createTestKernel(options);
  const run = <T>(main: () => Promise<T>, cpu = 0): Promise<T> => door.call('test', main, cpu);
  return { kernel, door, run, cpus: kernel.cpus, ex: kernel.ex };
}

describe('CPUs that go off and come back', () => {
  it('are all on at first, and know their number', async () => {
    const { cpus, run } = setUp();
    expect(cpus.allOnline).toBe(true);
    expect(cpus.onlineCpus()).toEqual([0, 1, 2, 3]);
    await run(() => cpus.cpuDown(2));
    expect([cpus.isOnline(2), cpus.allOnline, cpus.onlineCpus()]).toEqual([false, false, [0, 1, 3]]);
    await run(() => cpus.cpuDown(2));
    await run(() => cpus.cpuUp(2));
    await run(() => cpus.cpuUp(2));
    expect([cpus.isOnline(2), cpus.allOnline, cpus.isOnline(4), cpus.isOnline(-1)]).toEqual([true, true, false, false]);
  });

  it.each([
    [4, 4, 'cpu_down: cpu is 4; allowed: a whole number from 0 to 3: EINVAL (-22)'],
    [4, -1, 'cpu_down: cpu is -1; allowed'],
    [4, 1.5, 'cpu_down: cpu is 1.5; allowed'],
    [4, 0, 'CPU 0 cannot go off: EPERM (-1)'],
    [1, 0, 'CPU 0 is the last one online: EBUSY (-16)'],
  ])('of %i: CPU %d is refused', async (nrCpus, cpu, sentence) => {
    const { cpus, run } = setUp({ nrCpus });
    await expect(run(() => cpus.cpuDown(cpu))).rejects.toThrow(sentence);
    expect(cpus.allOnline).toBe(true);
  });

  it('refuse the last one when all others have gone', async () => {
    const { cpus, run } = setUp();
    for (const cpu of [3, 1, 2]) await run(() => cpus.cpuDown(cpu));
    await expect(run(() => cpus.cpuDown(0))).rejects.toThrow('EBUSY');
    await expect(run(() => cpus.cpuUp(9))).rejects.toThrow('cpu_up: cpu is 9');
  });

  it('take the steps by state, then by registration, and backwards on the way down', async () => {
    const { cpus, run } = setUp();
    const seen: string[] = [];
    const step = (name: string, state?: number) =>
      cpus.register({
        name,
        state,
        startup: (cpu) => void seen.push(`+${name}${cpu}${cpus.isOnline(cpu) ? '' : ' off'}`),
        teardown: (cpu) => void seen.push(`-${name}${cpu}${cpus.isOnline(cpu) ? '' : ' off'}`),
      });
    step('a');
    const last = step('b');
    step('dead', CPUHP_BLK_MQ_DEAD);
    step('wq', CPUHP_AP_WORKQUEUE_ONLINE);
    step('irq', CPUHP_TEARDOWN_CPU);
    step('mq', CPUHP_AP_BLK_MQ_ONLINE);
    await run(() => cpus.cpuDown(1));
    expect(seen.splice(0)).toEqual(['-b1', '-a1', '-wq1', '-mq1', '-irq1 off', '-dead1 off']);
    await run(() => cpus.cpuUp(1));
    expect(seen.splice(0)).toEqual(['+dead1 off', '+irq1 off', '+mq1', '+wq1', '+a1', '+b1']);
    last();
    await run(() => cpus.cpuDown(1));
    expect(seen[0]).toBe('-a1');
  });

  it('stay on when a step refuses, and the steps before it are put back', async () => {
    const { cpus, run, kernel } = setUp();
    const seen: string[] = [];
    const note = (text: string) => () => void seen.push(text);
    cpus.register({ name: 'a', startup: note('+a'), teardown: note('-a') });
    cpus.register({
      name: 'b',
      startup: note('+b'),
      teardown: async () => {
        await msleep(kernel, 1);
        throw new KernelError('EBUSY', 'b');
      },
    });
    cpus.register({ name: 'c', startup: note('+c'), teardown: note('-c') });
    cpus.register({ name: 'd', startup: note('+d'), teardown: note('-d') });
    await expect(run(() => cpus.cpuDown(3))).rejects.toThrow('b: EBUSY');
    expect(seen).toEqual(['-d', '-c', '+c', '+d']);
    expect(cpus.isOnline(3)).toBe(true);
  });

  it('go off again when a step of the way up fails', async () => {
    const { cpus, run } = setUp();
    const seen: string[] = [];
    let fails = true;
    cpus.register({ name: 'a', teardown: () => void seen.push('-a') });
    cpus.register({
      name: 'b',
      startup: () => {
        if (fails) throw new KernelError('ENOMEM', 'b');
      },
    });
    await run(() => cpus.cpuDown(2));
    await expect(run(() => cpus.cpuUp(2))).rejects.toThrow('ENOMEM');
    expect([cpus.isOnline(2), seen]).toEqual([false, ['-a', '-a']]);
    fails = false;
    await run(() => cpus.cpuUp(2));
    expect(cpus.isOnline(2)).toBe(true);
  });

  it('halt the machine when a step sleeps or fails where it may not', async () => {
    const sleeper = setUp();
    sleeper.cpus.register({ name: 'sleeper', state: CPUHP_TEARDOWN_CPU, teardown: () => msleep(sleeper.kernel, 1) });
    await expect(sleeper.run(() => sleeper.cpus.cpuDown(1))).rejects.toThrow('CPU step sleeper sleeps where the CPU');
    const failing = setUp();
    failing.cpus.register({
      name: 'failing',
      state: CPUHP_BLK_MQ_DEAD,
      teardown: () => {
        throw new KernelError('EIO', 'x');
      },
    });
    await expect(failing.run(() => failing.cpus.cpuDown(1))).rejects.toThrow('failing of CPU 1 may not fail here: x');
  });

  it('come and go one at a time', async () => {
    const { cpus, door, kernel } = setUp();
    const seen: string[] = [];
    cpus.register({
      name: 'slow',
      startup: (cpu) => void seen.push(`+${cpu}`),
      teardown: async (cpu) => {
        seen.push(`-${cpu}`);
        await msleep(kernel, 5);
        seen.push(`.${cpu}`);
      },
    });
    await Promise.all([
      door.call('one', () => cpus.cpuDown(1)),
      door.call('two', () => cpus.cpuDown(2)),
      door.call('three', () => cpus.cpuUp(1)),
    ]);
    expect(seen).toEqual(['-1', '.1', '-2', '.2', '+1']);
  });
});

describe('what was on a CPU that goes off', () => {
  it('goes on elsewhere: tasks for good, also the one that asks', async () => {
    const { cpus, door, ex, kernel } = setUp();
    const at: number[] = [];
    const parked = door.call(
      'parked',
      async () => {
        await msleep(kernel, 10);
        at.push(ex.cpu, ex.current.cpu);
        await msleep(kernel, 10);
        at.push(ex.cpu);
      },
      3,
    );
    const ready = door.call(
      'ready',
      async () => {
        for (let i = 0; i < 100; i++) await cpuRelax(kernel);
        return ex.cpu;
      },
      3,
    );
    await door.call('down', () => cpus.cpuDown(3), 3);
    expect(await ready).toBe(0);
    await door.call('later', () => sleepNs(kernel, 12e6));
    await door.call('up', () => cpus.cpuUp(3));
    await parked;
    expect(at).toEqual([0, 0, 0]);
  });

  it('armed items run elsewhere and come home', async () => {
    const { cpus, run, ex, kernel } = setUp({ nrCpus: 4, nrNodes: 2 });
    const at: number[] = [];
    const timer = timerSetup(kernel, 'timer', () => void at.push(ex.cpu), null, 3);
    const interrupt = ex.item('hardirq', 3, () => void at.push(ex.cpu), null);
    await run(async () => {
      modTimer(timer, ex.now() + 1000);
      await cpus.cpuDown(3);
      await sleepNs(kernel, 2000);
      // Armed while it is off.
      modTimer(timer, ex.now() + 1000);
      await sleepNs(kernel, 2000);
      // Its stand-in goes too.
      modTimer(timer, ex.now() + 1000);
      await cpus.cpuDown(2);
      await sleepNs(kernel, 2000);
      modTimer(timer, ex.now() + 1000);
      await cpus.cpuUp(3);
      await sleepNs(kernel, 2000);
      ex.post(interrupt);
      await sleepNs(kernel, 1000);
    });
    expect(at).toEqual([2, 2, 0, 3, 3]);
  });

  it('runs in the same order elsewhere, each thing once', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { cpus, run, ex, kernel, door } = setUp({ seed, interleave: true });
      const ran: string[] = [];
      const items = Array.from({ length: 8 }, (_, n) =>
        ex.item(n % 2 === 0 ? 'hardirq' : 'softirq', 1 + (n % 3), (text: string) => void ran.push(text), `${n}`),
      );
      await run(async () => {
        for (const item of items) ex.post(item);
        // No time passes between the posts and this: the items wait at their CPUs.
        ex.retireCpu(2, 1);
        ex.retireCpu(3, 1);
        await sleepNs(kernel, 1000);
        ex.reviveCpu(2);
        ex.reviveCpu(3);
      });
      expect([...ran].sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7']);
      expect(cpus.allOnline).toBe(true);
      expect(door.halted).toBe(null);
    }
  });

  it('waiting items come back with the CPU, and can be taken back wherever they are', async () => {
    const { run, ex, kernel } = setUp({ checks: 'off' });
    const at: string[] = [];
    const first = ex.item('softirq', 2, () => void at.push(`first ${ex.cpu}`), null);
    const second = ex.item('softirq', 2, () => void at.push(`second ${ex.cpu}`), null);
    const third = ex.item('softirq', 2, () => void at.push(`third ${ex.cpu}`), null);
    const other = ex.item('softirq', 1, () => void at.push(`other ${ex.cpu}`), null);
    await run(async () => {
      ex.retireCpu(2, 1);
      // Nothing is checked: nothing is lost either.
      ex.post(first);
      ex.post(second);
      ex.post(third);
      expect(ex.disarm(second)).toBe(true);
      ex.reviveCpu(2);
      expect(second.pending).toBe(false);
      // It is taken out of the list it is in now, not of the one it was in.
      expect(ex.disarm(third)).toBe(true);
      ex.post(other);
      await sleepNs(kernel, 1000);
    });
    expect(at.sort()).toEqual(['first 2', 'other 1']);
  });

  it.each([
    ['hardirq', 'hardirq item posted to CPU 3, which is off'],
    ['softirq', 'softirq item posted to CPU 3, which is off'],
  ] as const)('a %s posted to it is a BUG', async (context, sentence) => {
    const { cpus, run, ex } = setUp();
    const item = ex.item(context, 3, () => {}, null);
    await run(() => cpus.cpuDown(3));
    await expect(run(async () => void ex.post(item))).rejects.toThrow(sentence);
  });

  it('a task started on it is a BUG', async () => {
    const { cpus, run, ex } = setUp({ checks: 'off' });
    await run(() => cpus.cpuDown(3));
    await expect(run(async () => void ex.spawn('late', async () => {}, 3))).rejects.toThrow(
      'task late cannot run on CPU 3, which is off',
    );
  });

  it('the log tells of both ways', async () => {
    const { cpus, run, kernel } = setUp({ nrNodes: 2 });
    await run(() => cpus.cpuDown(3));
    await run(() => cpus.cpuUp(3));
    expect(kernel.printk.lines.map(({ text }) => text)).toEqual([
      'smpboot: CPU 3 is now offline',
      'smpboot: Booting Node 1 Processor 3 APIC 0x3',
    ]);
    const steps = kernel.trace.entries.filter(({ kind }) => kind === 'function').map(({ symbol }) => symbol);
    expect(steps).toEqual(['cpu_down', 'cpu_up']);
  });
});
