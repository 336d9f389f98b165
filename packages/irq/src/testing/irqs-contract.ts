/** The contract of `Irqs`, for any implementation: speaks the port, a fake domain and fake devices. */
import { type FrontDoor, type Kernel, sleepNs } from '@nvme-stack/kernel';
import { IRQ_HANDLED, IRQ_NONE, IRQ_WAKE_THREAD, IRQF_ONESHOT, IRQF_SHARED, type Irqs } from '../ports.js';
import { FakeLevelLine, FakeMsiDevice } from './fake-devices.js';
import { FakeIrqDomain } from './fake-irq-domain.js';

/** A subsystem under test, on a kernel of four CPUs. */
export interface IrqsFixture {
  readonly kernel: Kernel;
  readonly door: FrontDoor;
  readonly irqs: Irqs;
}

/** What the suite needs of a test runner; vitest's functions fit. */
export interface IrqsContractRunner {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>): unknown;
  expect(actual: unknown): { toBe(expected: unknown): void; toEqual(expected: unknown): void };
}

/** A number whose handler only counts. */
class Counter {
  count = 0;
}

const countIt = (_irq: number, counter: Counter): 1 => {
  counter.count++;
  return IRQ_HANDLED;
};

/** Runs the contract; `make` gives a fresh subsystem each time. */
export function irqsContract(
  { describe, it, expect }: IrqsContractRunner,
  name: string,
  make: () => IrqsFixture,
): void {
  const test = (name: string, body: (fixture: IrqsFixture) => Promise<void>): void => {
    it(name, async () => {
      const fixture = make();
      await fixture.door.call('test', () => body(fixture), 0);
    });
  };
  const settle = (kernel: Kernel): Promise<void> => sleepNs(kernel, 1_000_000);

  describe(`Irqs contract: ${name}`, () => {
    test('calls the handler of each vector on the CPU it is delivered to', async ({ kernel, irqs }) => {
      const domain = new FakeIrqDomain(irqs);
      const device = new FakeMsiDevice(domain);
      const affinity = [2, 1].map((cpu) => ({ cpus: [cpu], isManaged: true }));
      const numbers = irqs.msiAllocIrqs(domain, device, 2, affinity);
      const log: string[] = [];
      for (const irq of numbers) {
        const note = (n: number, who: string): 1 => {
          log.push(`${n - numbers[0]} ${who} CPU ${kernel.ex.cpu} ${kernel.ex.context}`);
          return IRQ_HANDLED;
        };
        irqs.requestIrq(irq, note, 0, `q${irq}`, 'me');
      }
      device.send(0);
      await settle(kernel);
      device.send(1);
      await settle(kernel);
      expect(log).toEqual(['0 me CPU 2 hardirq', '1 me CPU 1 hardirq']);
      expect([domain.acks, irqs.irqGetAffinity(numbers[0])]).toEqual([2, [2]]);
      for (const irq of numbers) expect(await irqs.freeIrq(irq, 'me')).toBe(`q${irq}`);
      irqs.msiFreeIrqs(domain, device, numbers);
      expect(domain.size).toBe(0);
    });

    test('keeps an edge that comes while disabled, and counts disables', async ({ kernel, irqs }) => {
      const domain = new FakeIrqDomain(irqs);
      const device = new FakeMsiDevice(domain);
      const [irq] = irqs.msiAllocIrqs(domain, device, 1, null);
      const counter = new Counter();
      irqs.requestIrq(irq, countIt, 0, 'dev', counter);
      await irqs.disableIrq(irq);
      await irqs.disableIrq(irq);
      device.send(0);
      await settle(kernel);
      device.send(0);
      irqs.enableIrq(irq);
      await settle(kernel);
      expect(counter.count).toBe(0);
      irqs.enableIrq(irq);
      await settle(kernel);
      expect(counter.count > 0).toBe(true);
      const before = counter.count;
      device.send(0);
      await settle(kernel);
      expect(counter.count).toBe(before + 1);
    });

    test('calls every handler of a shared line until the device is content', async ({ kernel, irqs }) => {
      for (const eoi of [false, true]) {
        const line = new FakeLevelLine(irqs, 10, eoi);
        const log: string[] = [];
        let wanted = 3;
        const other = (): 0 => {
          log.push('other');
          return IRQ_NONE;
        };
        const mine = (): 1 => {
          log.push('mine');
          if (--wanted === 0) line.set(false);
          return IRQ_HANDLED;
        };
        irqs.requestIrq(line.irq, other, IRQF_SHARED, 'other', other);
        irqs.requestIrq(line.irq, mine, IRQF_SHARED, 'mine', mine);
        line.set(true);
        await settle(kernel);
        expect(log).toEqual(['other', 'mine', 'other', 'mine', 'other', 'mine']);
        expect(line.masked).toBe(false);
        await irqs.freeIrq(line.irq, other);
        await irqs.freeIrq(line.irq, mine);
        expect(line.masked).toBe(true);
        irqs.disposeMapping(line.irq);
      }
    });

    test('keeps a oneshot line masked until its thread is done', async ({ kernel, irqs }) => {
      for (const eoi of [false, true]) {
        const line = new FakeLevelLine(irqs, 11, eoi);
        const log: string[] = [];
        const hard = (): 2 => {
          log.push('hard');
          return IRQ_WAKE_THREAD;
        };
        const thread = async (): Promise<1> => {
          log.push(`${kernel.ex.current.name} masked=${line.masked}`);
          await sleepNs(kernel, 10_000);
          line.set(false);
          return IRQ_HANDLED;
        };
        irqs.requestThreadedIrq(line.irq, hard, thread, IRQF_ONESHOT, 'nvme0q1', log);
        line.set(true);
        await sleepNs(kernel, 5000);
        await irqs.synchronizeIrq(line.irq);
        expect(log).toEqual(['hard', 'irq/11-nvme0q1 masked=true']);
        expect(line.masked).toBe(false);
        await irqs.freeIrq(line.irq, log);
        irqs.disposeMapping(line.irq);
      }
    });

    test('waits for a running thread before it frees', async ({ kernel, irqs }) => {
      const domain = new FakeIrqDomain(irqs);
      const device = new FakeMsiDevice(domain);
      const [irq] = irqs.msiAllocIrqs(domain, device, 1, null);
      let done = false;
      const thread = async (): Promise<1> => {
        await sleepNs(kernel, 50_000);
        done = true;
        return IRQ_HANDLED;
      };
      irqs.requestThreadedIrq(irq, null, thread, 0, 'slow', device);
      device.send(0);
      await sleepNs(kernel, 10_000);
      await irqs.freeIrq(irq, device);
      expect(done).toBe(true);
    });

    test('moves an interrupt, unless the kernel manages it', async ({ kernel, irqs }) => {
      const domain = new FakeIrqDomain(irqs);
      const device = new FakeMsiDevice(domain);
      const affinity = [false, true].map((isManaged) => ({ cpus: [0, 1], isManaged }));
      const [free, managed] = irqs.msiAllocIrqs(domain, device, 2, affinity);
      const cpus: number[] = [];
      const note = (): 1 => {
        cpus.push(kernel.ex.cpu);
        return IRQ_HANDLED;
      };
      irqs.requestIrq(free, note, 0, 'dev', device);
      irqs.irqSetAffinity(free, [3]);
      device.send(0);
      await settle(kernel);
      expect(cpus).toEqual([3]);
      const code = (body: () => void): string => {
        try {
          body();
        } catch (error) {
          return (error as { code: string }).code;
        }
        return 'none';
      };
      expect(code(() => irqs.irqSetAffinity(managed, [3]))).toBe('EIO');
      expect(code(() => irqs.irqSetAffinity(free, [99]))).toBe('EINVAL');
      expect(code(() => irqs.requestIrq(free, note, 0, 'again', 1))).toBe('EBUSY');
      expect(code(() => irqs.requestIrq(999, note, 0, 'none', 1))).toBe('EINVAL');
    });
  });
}
