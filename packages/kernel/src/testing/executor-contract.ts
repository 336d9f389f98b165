/** The contract any executor and its front door must keep: items, timers, tasks, time, busy waiting, and BUGs. */
import type { Executor, FrontDoor } from '../ports.js';
import { PARK_TIMEOUT } from '../ports.js';
import type { ContractRunner } from './contract.js';
import { machineContract } from './executor-machine-contract.js';

/** A machine's executor under test, with virtual time, at least two CPUs, and nothing started. */
export interface ExecutorFixture {
  readonly ex: Executor;
  readonly door: FrontDoor;
}

/** The contract of `Executor` and `FrontDoor`; `make` gives a fresh fixture. */
export function executorContract(runner: ContractRunner, name: string, make: () => ExecutorFixture): void {
  runner.describe(`Executor contract: ${name}`, () => {
    itemContract(runner, make);
    taskContract(runner, make);
    busyContract(runner, make);
    doorContract(runner, make);
    machineContract(runner, make);
  });
}

/** Parks the running task for `ns`. */
async function pause(ex: Executor, ns: number): Promise<number> {
  const value = await ex.park('a pause', null, ns);
  ex.awake();
  return value;
}

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as Error).message;
  }
  return 'no error';
}

function itemContract({ it, expect }: ContractRunner, make: () => ExecutorFixture): void {
  it('posts a pending item once, never inside post, and again after it ran', async () => {
    const { ex, door } = make();
    let runs = 0;
    const item = ex.item('softirq', 1, () => runs++, null);
    await door.call('main', async () => {
      expect([ex.post(item), ex.post(item), item.pending, runs]).toEqual([true, false, true, 0]);
      await pause(ex, 10_000);
      expect([runs, item.pending, ex.post(item)]).toEqual([1, false, true]);
      await pause(ex, 10_000);
    });
    expect(runs).toBe(2);
  });

  it('runs an item again that posts itself', async () => {
    const { ex, door } = make();
    const state = { runs: 0 };
    const item = ex.item('softirq', 0, () => void (++state.runs < 5 && ex.post(item)), null);
    await door.call('main', async () => {
      ex.post(item);
      await pause(ex, 10_000);
    });
    expect(state.runs).toBe(5);
  });

  it('moves an armed item, lets post bring it forward, and takes it back', async () => {
    const { ex, door } = make();
    const seen: number[] = [];
    await door.call('main', async () => {
      const item = ex.item('device', -1, () => seen.push(ex.now()), null);
      ex.arm(item, 500);
      ex.arm(item, 200);
      await pause(ex, 1000);
      expect(seen).toEqual([200]);
      const armedAt = ex.now();
      ex.arm(item, armedAt + 5000);
      expect(ex.post(item)).toBe(true);
      expect(ex.post(item)).toBe(false);
      await pause(ex, 10_000);
      expect(seen).toEqual([200, armedAt]);
      ex.arm(item, ex.now() + 100);
      expect([ex.disarm(item), ex.disarm(item), item.pending]).toEqual([true, false, false]);
      ex.post(item);
      expect(ex.disarm(item)).toBe(true);
      await pause(ex, 10_000);
    });
    expect(seen.length).toBe(2);
  });

  it('runs timers by time, then in the order of arming', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    const timer = (name: string): Parameters<Executor['arm']>[0] => ex.item('softirq', 0, () => seen.push(name), null);
    await door.call('main', async () => {
      const again = timer('d');
      ex.arm(again, 100);
      for (const name of ['a', 'b', 'c']) ex.arm(timer(name), 100);
      ex.arm(timer('first'), 50);
      ex.arm(again, 100);
      await pause(ex, 10_000);
    });
    expect(seen).toEqual(['first', 'a', 'b', 'c', 'd']);
  });

  it('tells a handler its context and CPU', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    const note = (): void => void seen.push(`${ex.context} ${ex.cpu}`);
    await door.call('main', async () => {
      ex.post(ex.item('softirq', 1, note, null));
      ex.post(ex.item('hardirq', 1, note, null));
      ex.post(ex.item('device', -1, note, null));
      note();
      await pause(ex, 10_000);
    });
    expect(seen).toEqual(['task 0', 'device -1', 'hardirq 1', 'softirq 1']);
  });
}

function taskContract({ it, expect }: ContractRunner, make: () => ExecutorFixture): void {
  it('starts a task from interrupt context on that CPU, after the interrupt', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    await door.call('main', async () => {
      const irq = (): void => {
        ex.spawn('child', async () => void seen.push(`${ex.current.name} ${ex.cpu}`));
        seen.push('irq');
      };
      ex.post(ex.item('hardirq', 1, irq, null));
      await pause(ex, 10_000);
    });
    expect(seen).toEqual(['irq', 'child 1']);
  });

  it('wakes in the order of parking and hands over the value', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    await door.call('main', async () => {
      const list = ex.waitList();
      for (const name of ['a', 'b', 'c']) {
        const wait = async (): Promise<void> => {
          const value = await ex.park('a turn', list);
          ex.awake();
          seen.push(`${name}${value}`);
        };
        ex.spawn(name, wait, 1);
      }
      await pause(ex, 10_000);
      expect([list.size, ex.parkedTasks().length]).toEqual([3, 3]);
      const first = ex.wakeFirst(list, 7);
      expect([first?.name, first === null ? true : ex.wake(first, 8), list.size]).toEqual(['a', false, 2]);
      expect([ex.wakeAll(list, 9), ex.wakeAll(list, 9), ex.wakeFirst(list, 9)]).toEqual([2, 0, null]);
      await pause(ex, 10_000);
    });
    expect(seen).toEqual(['a7', 'b9', 'c9']);
  });

  it('ends a park once, also when the wake-up and the time-out fall due in one instant', async () => {
    for (const wakeFirst of [true, false]) {
      const { ex, door } = make();
      const value = await door.call('main', async () => {
        const list = ex.waitList();
        const waker = ex.item('softirq', 0, () => void ex.wakeAll(list, 3), null);
        const atNs = ex.now() + 100;
        // Armed after the park, the waker comes behind the time-out of the same instant.
        if (wakeFirst) ex.arm(waker, atNs);
        else
          ex.arm(
            ex.item('device', -1, () => ex.arm(waker, atNs), null),
            atNs - 50,
          );
        const won = await ex.park('either', list, 100);
        ex.awake();
        await pause(ex, 1000);
        expect(list.size).toBe(0);
        return won;
      });
      expect(value).toBe(wakeFirst ? 3 : PARK_TIMEOUT);
    }
  });

  it('does not let the time-out of a park that was woken end the next one', async () => {
    const { ex, door } = make();
    const value = await door.call('main', async () => {
      const list = ex.waitList();
      const startNs = ex.now();
      const waker = ex.item('softirq', 1, () => void ex.wakeAll(list, 5), null);
      ex.arm(waker, startNs + 100);
      await ex.park('with a time-out', list, 1000);
      ex.awake();
      ex.arm(waker, startNs + 5000);
      const woken = await ex.park('without one', list);
      ex.awake();
      return [woken, ex.now() - startNs];
    });
    expect(value).toEqual([5, 5000]);
  });

  it('returns from a park with time-out 0, later but in the same instant', async () => {
    const { ex, door } = make();
    const passed = await door.call('main', async () => {
      const before = ex.items;
      expect(await pause(ex, 0)).toBe(PARK_TIMEOUT);
      return ex.items - before;
    });
    expect(passed).toBe(2);
  });

  it('moves a task to the CPU it was given, also while it waits for another, and lets it wait its turn there', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    const note = (): void => void seen.push(`cpu ${ex.cpu} at ${ex.now()}`);
    await door.call('main', async () => {
      ex.post(ex.item('hardirq', 1, () => ex.charge(5000), null));
      const task = ex.spawn('mover', async () => note(), 0);
      task.cpu = 1;
      await pause(ex, 10_000);
      ex.current.cpu = 1;
      await pause(ex, 10);
      note();
    });
    expect(seen).toEqual(['cpu 1 at 5000', 'cpu 1 at 10010']);
  });

  it('goes on with what waits behind a task that was moved away', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    await door.call('main', async () => {
      const moved = ex.spawn('moved', async () => void seen.push(`moved ${ex.cpu}`), 1);
      ex.spawn('behind', async () => void seen.push(`behind ${ex.cpu}`), 1);
      moved.cpu = 2;
      await pause(ex, 10);
    });
    expect(seen.sort()).toEqual(['behind 1', 'moved 2']);
  });
}

function busyContract({ it, expect }: ContractRunner, make: () => ExecutorFixture): void {
  it('lets other CPUs and devices go on at their own time while one CPU is busy', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    await door.call('main', async () => {
      ex.arm(
        ex.item('device', -1, () => seen.push(`device ${ex.now()}`), null),
        100,
      );
      ex.arm(
        ex.item('hardirq', 1, () => seen.push(`other ${ex.now()}`), null),
        200,
      );
      ex.arm(
        ex.item('hardirq', 0, () => seen.push(`own ${ex.now()}`), null),
        300,
      );
      ex.charge(1000);
      ex.udelay(1000);
      seen.push(`after ${ex.now()} ${ex.context} ${ex.current.name}`);
    });
    expect(seen).toEqual(['device 100', 'other 200', 'own 1000', 'after 2000 task main']);
  });

  it('nests interrupts in busy time, and puts context, CPU and task back', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    const note = (what: string): void => void seen.push(`${what} ${ex.context} ${ex.cpu} ${ex.current.name}`);
    await door.call('main', async () => {
      const softirq = ex.item('softirq', 0, () => note('softirq'), null);
      const second = ex.item('hardirq', 0, () => note('second'), null);
      const other = ex.item('hardirq', 1, () => note('other'), null);
      const irq = (): void => {
        note('irq');
        ex.post(softirq);
        ex.post(second);
        ex.post(other);
        ex.udelay(50);
        note('irq again');
      };
      const device = ex.item('device', -1, () => void ex.post(ex.item('hardirq', 0, irq, null)), null);
      ex.arm(device, 100);
      ex.udelay(1000);
      note('task');
    });
    expect(seen).toEqual([
      'irq hardirq 0 main',
      'other hardirq 1 <idle>',
      'irq again hardirq 0 main',
      'second hardirq 0 main',
      'softirq softirq 0 main',
      'task task 0 main',
    ]);
  });
}

function doorContract({ it, expect }: ContractRunner, make: () => ExecutorFixture): void {
  it('gives a call its value or its error, several at once, and goes on', async () => {
    const { ex, door } = make();
    const slow = door.call('slow', async () => {
      await pause(ex, 1000);
      return ex.now() >= 1000;
    });
    const bad = door.call('bad', async () => {
      throw new RangeError('refused');
    });
    expect(await failure(bad)).toBe('refused');
    expect(await slow).toBe(true);
    expect(door.halted).toBe(null);
  });

  it('steps one item at a time, stops at an item count, and settles', async () => {
    const { ex, door } = make();
    await door.call('main', async () => {
      for (let n = 1; n <= 4; n++)
        ex.arm(
          ex.item('device', -1, () => {}, null),
          n * 1000,
        );
      ex.arm(
        ex.item('device', -1, () => {}, null),
        1_000_000,
      );
    });
    const start = ex.items;
    expect([await door.step(), ex.items - start]).toEqual([true, 1]);
    await door.runUntilItems(start + 3);
    expect(ex.items - start).toBe(3);
    await door.settle(10_000);
    expect([ex.items - start, ex.now()]).toEqual([4, 4000]);
    expect([await door.step(), await door.step(), ex.now()]).toEqual([true, false, 1_000_000]);
  });

  it('rejects every call that cannot return, naming each parked task', async () => {
    const { ex, door } = make();
    const wait = (what: string) => async (): Promise<void> => {
      await ex.park(what, ex.waitList());
      ex.awake();
    };
    const calls = [door.call('first', wait('godot')), door.call('second', wait('the sea'))];
    const [first, second] = await Promise.all(calls.map(failure));
    expect(first).toBe('deadlock: first cannot return; first-1 waits for godot; second-2 waits for the sea');
    expect(second).toBe('deadlock: second cannot return; first-1 waits for godot; second-2 waits for the sea');
  });

  it('makes a failed task and a handler that throws a BUG, which ends the machine', async () => {
    const causes: ((ex: Executor) => void)[] = [
      (ex) => void ex.spawn('broken', () => Promise.reject(new Error('of task'))),
      (ex) => void ex.post(ex.item('hardirq', 0, () => raise('of handler'), null)),
    ];
    for (const cause of causes) {
      const { ex, door } = make();
      const outstanding = door.call('main', async () => {
        cause(ex);
        await pause(ex, 1000);
      });
      const message = await failure(outstanding);
      expect(message.startsWith('BUG: ')).toBe(true);
      expect(message.includes('of task') || message.includes('of handler')).toBe(true);
      expect(await failure(door.call('later', async () => {}))).toBe(message);
      expect(await failure(door.step())).toBe(message);
      expect(door.halted?.message).toBe(message);
    }
  });

  it('halts at a BUG that somebody catches', async () => {
    const { ex, door } = make();
    let wentOn = false;
    const call = door.call('main', async () => {
      try {
        ex.bug('swallowed');
      } catch {
        // A catch cannot hide it.
      }
      expect(() => ex.assertAwake('anything')).toThrow();
      await pause(ex, 10);
      wentOn = true;
    });
    expect((await failure(call)).startsWith('BUG: swallowed')).toBe(true);
    expect(wentOn).toBe(false);
  });

  it('refuses calls when closed, and rejects those outstanding', async () => {
    const { ex, door } = make();
    const outstanding = failure(door.call('main', () => pause(ex, 1000)));
    const stepping = failure(door.runUntilItems(1_000_000));
    door.close('powered off');
    expect(await outstanding).toBe('powered off');
    expect(await stepping).toBe('powered off');
    expect(await failure(door.call('later', async () => {}))).toBe('powered off');
    expect(await failure(door.settle(0))).toBe('powered off');
  });
}

function raise(message: string): never {
  throw new Error(message);
}
