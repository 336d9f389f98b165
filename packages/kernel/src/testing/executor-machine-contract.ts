/** The part of the executor's contract about what lies outside it: CPUs that go off and come back, and the host. */
import type { Executor } from '../ports.js';
import type { ContractRunner } from './contract.js';
import type { ExecutorFixture } from './executor-contract.js';

/** Run by `executorContract`. */
export function machineContract({ it, expect }: ContractRunner, make: () => ExecutorFixture): void {
  const pause = async (ex: Executor, ns: number): Promise<void> => {
    await ex.park('a pause', null, ns);
    ex.awake();
  };

  it('moves the tasks of a CPU that goes off for good, and lends out its interrupts until it is back', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    const note = (what: string): void => void seen.push(`${what} on ${ex.cpu} at ${ex.now()}`);
    await door.call('main', async () => {
      const armed = ex.item('softirq', 1, () => note('timer'), null);
      const posted = ex.item('hardirq', 1, () => note('interrupt'), null);
      const sleeper = async (): Promise<void> => {
        await pause(ex, 300);
        note('sleeper');
        await pause(ex, 300);
        note('sleeper');
      };
      ex.spawn('sleeper', sleeper, 1);
      await pause(ex, 100);
      ex.arm(armed, 200);
      ex.post(posted);
      ex.retireCpu(1, 2);
      await pause(ex, 250);
      ex.reviveCpu(1);
      ex.arm(armed, 500);
      await pause(ex, 1000);
    });
    expect(seen).toEqual([
      'interrupt on 2 at 100',
      'timer on 2 at 200',
      'sleeper on 2 at 300',
      'timer on 1 at 500',
      'sleeper on 2 at 600',
    ]);
  });

  it('starts no task on a CPU that is off', async () => {
    const { ex, door } = make();
    const call = door.call('main', async () => {
      ex.retireCpu(1, 0);
      ex.spawn('lost', async () => {}, 1);
    });
    let message = '';
    await call.catch((error: unknown) => {
      message = (error as Error).message;
    });
    expect(message.startsWith('BUG: ')).toBe(true);
    expect(message.includes('lost')).toBe(true);
  });

  it('lets virtual time stand still until the host has answered, and goes on in the order of asking', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    const answers: (() => void)[] = [];
    const answer = (): Promise<void> => new Promise((resolve) => answers.push(resolve));
    const ask = (name: string) => async (): Promise<void> => {
      await ex.hostWait(answer());
      seen.push(`${name} ${ex.now()}`);
      if (name === 'second') seen.push(`${ex.parkedTasks().length} parked`);
    };
    const first = door.call('first', ask('first'));
    const second = door.call('second', ask('second'));
    const late = door.call('late', async () => {
      await pause(ex, 1000);
      seen.push(`late ${ex.now()}`);
    });
    while (answers.length < 2) await door.step();
    (answers[1] as () => void)();
    await Promise.resolve();
    (answers[0] as () => void)();
    await Promise.all([first, second, late, door.settle(0)]);
    expect(seen).toEqual(['first 0', 'second 0', '1 parked', 'late 1000']);
  });

  it('hands a task what the host has rejected', async () => {
    const { ex, door } = make();
    const caught = await door.call('main', async () => {
      try {
        await ex.hostWait(Promise.reject(new RangeError('no such file')));
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect([caught, door.halted]).toEqual(['no such file', null]);
  });

  it('runs a held handler in device context once it is released', async () => {
    const { ex, door } = make();
    const seen: string[] = [];
    let release = (): void => {};
    const call = door.call('main', async () => {
      release = ex.hostHold((what: string) => seen.push(`${what} ${ex.context} ${ex.now()}`), 'held');
      await pause(ex, 500);
      seen.push(`main ${ex.now()}`);
    });
    await door.step();
    release();
    await Promise.all([call, door.settle(0)]);
    expect(seen).toEqual(['held device 0', 'main 500']);
  });
}
