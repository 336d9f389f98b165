import { type KernelOptions, sleepNs } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import { describe, expect, it } from 'vitest';
import { createIrqs, IRQ_HANDLED, IRQ_WAKE_THREAD } from './index.js';
import { FakeIrqDomain, FakeMsiDevice } from './testing.js';

function setUp(options: Partial<KernelOptions> = {}) {
  const { kernel, door } = createTestKernel(options);
  const irqs = createIrqs({ kernel });
  const domain = new FakeIrqDomain(irqs);
  const device = new FakeMsiDevice(domain);
  const seen: number[] = [];
  const handler = () => {
    seen.push(kernel.ex.cpu);
    return IRQ_HANDLED;
  };
  /** Vectors with these masks, requested. */
  const request = (masks: readonly (readonly number[])[], isManaged: boolean): number[] => {
    const list = irqs.msiAllocIrqs(
      domain,
      device,
      masks.length,
      masks.map((cpus) => ({ cpus, isManaged })),
    );
    list.forEach((irq, n) => {
      irqs.requestIrq(irq, handler, 0, `dev${n}`, device);
    });
    return list;
  };
  /** Sends a message; the CPUs it was handled on. */
  const send = async (index: number): Promise<number[]> => {
    device.send(index);
    await sleepNs(kernel, 10_000);
    return seen.splice(0);
  };
  const end = async (list: readonly number[]): Promise<void> => {
    for (const irq of list) await irqs.freeIrq(irq, device);
    irqs.msiFreeIrqs(domain, device, list);
    expect(kernel.live.leaks()).toEqual([]);
    expect(domain.size).toBe(0);
  };
  const log = (): string[] => kernel.printk.lines.map(({ text }) => text).filter((text) => text.startsWith('IRQ'));
  return { kernel, door, irqs, domain, device, seen, request, send, end, log, cpus: kernel.cpus };
}

type Fixture = ReturnType<typeof setUp>;
const inTask = (body: (fixture: Fixture) => Promise<void>, options: Partial<KernelOptions> = {}): Promise<void> => {
  const fixture = setUp(options);
  return fixture.door.call('test', () => body(fixture));
};

describe('interrupts of a CPU that goes off', () => {
  it('move to another CPU of their mask and stay there', () =>
    inTask(async ({ cpus, irqs, request, send, end, log }) => {
      const list = request([[2, 3]], false);
      expect(await send(0)).toEqual([2]);
      await cpus.cpuDown(2);
      expect(await send(0)).toEqual([3]);
      await cpus.cpuUp(2);
      expect(await send(0)).toEqual([3]);
      expect([irqs.irqGetAffinity(list[0]), log()]).toEqual([[2, 3], []]);
      await end(list);
    }));

  it('move to any CPU when their mask has none left', () =>
    inTask(async ({ cpus, irqs, request, send, end, log }) => {
      const list = request([[3]], false);
      await cpus.cpuDown(3);
      expect(await send(0)).toEqual([0]);
      expect(irqs.irqGetAffinity(list[0])).toEqual([0, 1, 2]);
      expect(log()).toEqual([`IRQ ${list[0]}: no longer affine to CPU3`]);
      await end(list);
    }));

  it('managed ones stay within their mask, shut down without it, and start with the first of it', () =>
    inTask(async ({ cpus, irqs, request, send, end, log, device }) => {
      const list = request(
        [
          [2, 3],
          [0, 1],
        ],
        true,
      );
      await cpus.cpuDown(2);
      expect(await send(0)).toEqual([3]);
      await cpus.cpuDown(3);
      expect(device.table[0].masked).toBe(true);
      expect(await send(0)).toEqual([]);
      expect(await send(1)).toEqual([0]);
      await cpus.cpuUp(2);
      // The message that came while it was shut down is not lost.
      expect(await send(1)).toEqual([2, 0]);
      await cpus.cpuUp(3);
      expect(await send(0)).toEqual([2]);
      expect([irqs.irqGetAffinity(list[0]), log()]).toEqual([[2, 3], []]);
      await end(list);
    }));

  it('keep an edge that waits there', () =>
    inTask(async ({ cpus, kernel, request, seen, end, device }) => {
      const list = request([[1, 3], [3]], false);
      // The task keeps its CPU: the messages wait at theirs.
      device.send(0);
      device.send(1);
      await cpus.cpuDown(3);
      await cpus.cpuDown(1);
      await sleepNs(kernel, 10_000);
      expect(seen).toHaveLength(2);
      await end(list);
    }));

  it('keep an edge that came while they were disabled', () =>
    inTask(async ({ cpus, kernel, irqs, request, send, seen, end, device }) => {
      for (const managed of [false, true]) {
        const list = request([[3]], managed);
        await irqs.disableIrq(list[0]);
        device.send(0);
        await sleepNs(kernel, 1000);
        await cpus.cpuDown(3);
        expect(seen).toEqual([]);
        if (managed) {
          await cpus.cpuUp(3);
          expect(await send(0)).toEqual([]);
        }
        irqs.enableIrq(list[0]);
        await sleepNs(kernel, 1000);
        expect(seen.splice(0)).toHaveLength(managed ? 2 : 1);
        await cpus.cpuUp(3);
        await end(list);
      }
    }));

  it.each([false, true])('keep an edge that is about to be replayed (managed: %s)', (managed) =>
    inTask(async ({ cpus, kernel, irqs, request, seen, end, device }) => {
      const list = request([[3]], managed);
      await irqs.disableIrq(list[0]);
      device.send(0);
      await sleepNs(kernel, 10_000);
      irqs.enableIrq(list[0]);
      await cpus.cpuDown(3);
      await sleepNs(kernel, 10_000);
      expect(seen).toEqual(managed ? [] : [0]);
      await cpus.cpuUp(3);
      await sleepNs(kernel, 10_000);
      expect(seen).toEqual([managed ? 3 : 0]);
      await end(list);
    }),
  );

  it('are disabled and enabled while shut down, and freed', () =>
    inTask(async ({ cpus, irqs, kernel, request, send, end }) => {
      const list = request([[3]], true);
      await cpus.cpuDown(3);
      await irqs.disableIrq(list[0]);
      irqs.enableIrq(list[0]);
      irqs.enableIrq(list[0]);
      expect(kernel.printk.lines.at(-1)?.text).toBe(`Unbalanced enable for IRQ ${list[0]}`);
      await irqs.disableIrq(list[0]);
      await cpus.cpuUp(3);
      expect(await send(0)).toEqual([]);
      irqs.enableIrq(list[0]);
      expect(await send(0)).toEqual([3]);
      await cpus.cpuDown(3);
      await end(list);
    }));

  it('requested while it is off find a CPU, or wait for theirs', () =>
    inTask(async ({ cpus, request, send, end, irqs }) => {
      await cpus.cpuDown(3);
      await cpus.cpuDown(2);
      const managed = request([[3], [2, 1]], true);
      expect(await send(0)).toEqual([]);
      expect(await send(1)).toEqual([1]);
      expect(() => irqs.irqSetAffinity(managed[1], [2])).toThrow('no online CPU among 2');
      await cpus.cpuUp(3);
      expect(await send(1)).toEqual([3, 1]);
      await end(managed);
      const plain = request([[2]], false);
      expect(await send(0)).toEqual([0]);
      await end(plain);
    }));

  it('with threads wake them elsewhere', () =>
    inTask(async ({ cpus, irqs, domain, device, kernel, end }) => {
      const [irq] = irqs.msiAllocIrqs(domain, device, 1, [{ cpus: [2], isManaged: false }]);
      const at: number[] = [];
      const thread = async (): Promise<1> => {
        at.push(kernel.ex.cpu);
        return IRQ_HANDLED;
      };
      irqs.requestThreadedIrq(irq, () => IRQ_WAKE_THREAD, thread, 0, 'dev', device);
      await cpus.cpuDown(2);
      device.send(0);
      await sleepNs(kernel, 10_000);
      expect(at).toEqual([0]);
      await end([irq]);
    }));

  it('have no column in /proc/interrupts', () =>
    inTask(async ({ cpus, irqs, request, end }) => {
      const list = request([[1]], false);
      await cpus.cpuDown(2);
      const [header, row] = irqs.showInterrupts().split('\n');
      expect(header.trim().split(/\s+/)).toEqual(['CPU0', 'CPU1', 'CPU3']);
      expect(row.trim().split(/\s+/).slice(0, 4)).toEqual([`${list[0]}:`, '0', '0', '0']);
      await end(list);
    }));

  it.each(Array.from({ length: 20 }, (_, n) => n + 1))(
    'lose no edge while CPUs come and go (seed %i)',
    async (seed) => {
      const fixture = setUp({ seed, interleave: true });
      const { door, kernel, cpus, device, irqs, domain } = fixture;
      const masks = [[1], [2, 3], [0, 1, 2, 3], [3]];
      const sent = masks.map(() => 0);
      const handled = masks.map(() => 0);
      const list = await door.call('request', async () => {
        const made = irqs.msiAllocIrqs(
          domain,
          device,
          4,
          masks.map((one, n) => ({ cpus: one, isManaged: n % 2 === 0 })),
        );
        made.forEach((irq, n) => {
          irqs.requestIrq(
            irq,
            () => {
              handled[n] = sent[n];
              return IRQ_HANDLED;
            },
            0,
            `dev${n}`,
            device,
          );
        });
        return made;
      });
      const sender = door.call('sender', async () => {
        for (let n = 0; n < 200; n++) {
          sent[n % 4]++;
          device.send(n % 4);
          await sleepNs(kernel, 100 + (n % 7) * 130);
        }
      });
      await door.call('plug', async () => {
        for (let n = 0; n < 20; n++) {
          await cpus.cpuDown(1 + (n % 3));
          await sleepNs(kernel, 1500);
          if (n % 3 !== 2) await cpus.cpuUp(1 + ((n + 1) % 3));
          await sleepNs(kernel, 900);
        }
        for (let cpu = 1; cpu < 4; cpu++) await cpus.cpuUp(cpu);
      });
      await sender;
      await door.call('end', () => sleepNs(kernel, 100_000));
      // Edges may become one; the last one of each is handled after it was sent.
      expect(handled).toEqual(sent);
      await door.call('free', () => fixture.end(list));
    },
  );
});
