import { type Kernel, type KernelOptions, sleepNs } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import { describe, expect, it } from 'vitest';
import { createIrqs, IRQ_HANDLED, IRQ_NONE, IRQ_WAKE_THREAD, IRQF_ONESHOT, IRQF_SHARED } from './index.js';
import {
  FakeIrqDomain,
  FakeLevelLine,
  FakeMsiDevice,
  faultyIrqDomain,
  irqsContract,
  observedIrqDomain,
} from './testing.js';

function setUp(options: Partial<KernelOptions> = {}, nvec = 8) {
  const { kernel, door } = createTestKernel(options);
  const irqs = createIrqs({ kernel });
  const domain = new FakeIrqDomain(irqs);
  const device = new FakeMsiDevice(domain, '0000:00:04.0', nvec);
  return { kernel, door, irqs, domain, device };
}

type Fixture = ReturnType<typeof setUp>;

const inTask = (fixture: Fixture, body: (fixture: Fixture) => Promise<void>) =>
  fixture.door.call('test', () => body(fixture));

const nothing = () => IRQ_NONE;
const handled = () => IRQ_HANDLED;

function functions(kernel: Kernel): string[] {
  return kernel.trace.entries
    .filter(({ kind }) => kind === 'function')
    .map(({ depth, symbol }) => '  '.repeat(depth) + symbol);
}

for (const options of [{}, { strict: true }, { interleave: true, seed: 3 }, { trace: 'off', checks: 'off' }] as const) {
  describe(`with ${JSON.stringify(options)}`, () => {
    irqsContract({ describe, it, expect }, 'descriptors', () => setUp(options));
  });
}

describe('flow', () => {
  it('handles an edge that comes while its handler runs once more after it', async () => {
    await inTask(setUp(), async ({ kernel, irqs, domain, device }) => {
      const [irq] = irqs.msiAllocIrqs(domain, device, 1, [{ cpus: [1, 2], isManaged: false }]);
      const seen: string[] = [];
      let inside = 0;
      const handler = () => {
        seen.push(`+${++inside}`);
        if (seen.length === 1) {
          // Another CPU gets the second edge while this one is busy.
          irqs.irqSetAffinity(irq, [2]);
          device.send(0);
          kernel.ex.udelay(5000);
        }
        inside--;
        return IRQ_HANDLED;
      };
      irqs.requestIrq(irq, handler, 0, 'dev', device);
      device.send(0);
      await sleepNs(kernel, 100_000);
      expect(seen).toEqual(['+1', '+1']);
      expect(device.table[0].masked).toBe(false);
    });
  });

  it('never enters the handler of a level on two CPUs at once', async () => {
    await inTask(setUp(), async ({ kernel, irqs }) => {
      for (const [hwirq, eoi] of [
        [9, true],
        [10, false],
      ] as const) {
        const line = new FakeLevelLine(irqs, hwirq, eoi);
        const elsewhere = kernel.ex.item('hardirq', 1, () => irqs.genericHandleIrq(line.irq), null);
        let calls = 0;
        let inside = 0;
        const handler = () => {
          expect(++inside).toBe(1);
          if (++calls === 1) {
            kernel.ex.post(elsewhere);
            kernel.ex.udelay(5000);
            expect(elsewhere.pending).toBe(false);
          }
          line.set(false);
          inside--;
          return IRQ_HANDLED;
        };
        irqs.requestIrq(line.irq, handler, 0, 'dev', line);
        line.set(true);
        await sleepNs(kernel, 100_000);
        expect([calls, line.masked]).toEqual([1, false]);
      }
    });
  });

  it('has the symbols and the nesting of Linux', async () => {
    const fixture = setUp();
    await inTask(fixture, async ({ kernel, irqs, domain, device }) => {
      const [irq] = irqs.msiAllocIrqs(domain, device, 1, null);
      irqs.requestIrq(irq, handled, 0, 'nvme0q1', device);
      device.send(0);
      for (const [hwirq, eoi] of [
        [9, true],
        [10, false],
      ] as const) {
        const line = new FakeLevelLine(irqs, hwirq, eoi);
        const quiet = () => {
          line.set(false);
          return IRQ_HANDLED;
        };
        await sleepNs(kernel, 10_000);
        irqs.requestIrq(line.irq, quiet, 0, 'acpi', line);
        line.set(true);
      }
      await sleepNs(kernel, 10_000);
    });
    expect(functions(fixture.kernel)).toEqual([
      'request_threaded_irq',
      'handle_edge_irq',
      '  irq_chip_ack_parent',
      '  handle_irq_event',
      '    __handle_irq_event_percpu',
      'request_threaded_irq',
      'handle_fasteoi_irq',
      '  handle_irq_event',
      '    __handle_irq_event_percpu',
      'request_threaded_irq',
      'handle_level_irq',
      '  handle_irq_event',
      '    __handle_irq_event_percpu',
    ]);
    const events = fixture.kernel.trace.entries.filter(({ kind }) => kind === 'irq').slice(0, 2);
    expect(events.map(({ symbol, args, text }) => [symbol, args, text])).toEqual([
      ['irq_handler_entry', [24], 'nvme0q1'],
      ['irq_handler_exit', [24, 1], ''],
    ]);
  });

  it('charges the CPU for every interrupt', async () => {
    await inTask(setUp(), async ({ kernel, irqs, domain, device }) => {
      const [irq] = irqs.msiAllocIrqs(domain, device, 1, [{ cpus: [1], isManaged: true }]);
      irqs.requestIrq(irq, handled, 0, 'dev', device);
      const start = kernel.ex.now();
      let ran = 0;
      device.send(0);
      kernel.ex.post(kernel.ex.item('softirq', 1, () => (ran = kernel.ex.now()), null));
      await sleepNs(kernel, 10_000);
      expect(ran - start).toBeGreaterThanOrEqual(kernel.costs.interruptNs);
    });
  });

  it('is a BUG outside hard interrupt context', async () => {
    await expect(inTask(setUp(), async ({ irqs }) => irqs.genericHandleIrq(24))).rejects.toThrow(
      /irq 24 handled in task context/,
    );
  });

  it('counts interrupts without a descriptor', async () => {
    await inTask(setUp(), async ({ kernel, irqs }) => {
      kernel.ex.post(kernel.ex.item('hardirq', 0, () => irqs.genericHandleIrq(77), null));
      await sleepNs(kernel, 10_000);
      expect(irqs.showInterrupts()).toContain('ERR:          1\n');
    });
  });
});

describe('spurious interrupts', () => {
  it('switch a line off when nobody cares for 99,900 of 100,000', async () => {
    const fixture = setUp({ trace: 'off' });
    await inTask(fixture, async ({ kernel, irqs }) => {
      const line = new FakeLevelLine(irqs, 11, true);
      let calls = 0;
      const useless = () => {
        calls++;
        return IRQ_NONE;
      };
      irqs.requestIrq(line.irq, useless, IRQF_SHARED, 'useless', line);
      line.set(true);
      await sleepNs(kernel, 200_000_000);
      expect(calls).toBe(100_000);
      expect(line.masked).toBe(true);
      // A further handler may be the right one.
      const right = () => {
        line.set(false);
        return IRQ_HANDLED;
      };
      irqs.requestIrq(line.irq, right, IRQF_SHARED, 'right', right);
      await sleepNs(kernel, 1_000_000);
      expect([calls, line.asserted, line.masked]).toEqual([100_001, false, false]);
    });
    expect(fixture.kernel.printk.lines.map(({ text }) => text)).toEqual([
      'irq 11: nobody cared (try booting with the "irqpoll" option)',
      'handlers:',
      'useless',
      'Disabling IRQ #11',
    ]);
  });

  it('are forgiven when one in a hundred is handled', async () => {
    await inTask(setUp({ trace: 'off' }), async ({ kernel, irqs }) => {
      const line = new FakeLevelLine(irqs, 11, true);
      let calls = 0;
      const rarely = () => {
        if (++calls === 250_000) line.set(false);
        return calls % 100 === 0 ? IRQ_HANDLED : IRQ_NONE;
      };
      irqs.requestIrq(line.irq, rarely, 0, 'rare', line);
      line.set(true);
      await sleepNs(kernel, 300_000_000);
      expect([calls, line.masked]).toEqual([250_000, false]);
    });
  });
});

describe('requests', () => {
  it('of one line must agree', async () => {
    const fixture = setUp();
    await inTask(fixture, async ({ irqs }) => {
      const line = new FakeLevelLine(irqs, 11, true);
      irqs.requestIrq(line.irq, nothing, IRQF_SHARED, 'first', 1);
      expect(() => irqs.requestIrq(line.irq, nothing, 0, 'second', 2)).toThrow(/EBUSY/);
      const thread = async () => IRQ_HANDLED;
      expect(() => irqs.requestThreadedIrq(line.irq, nothing, thread, IRQF_SHARED | IRQF_ONESHOT, 'third', 3)).toThrow(
        /EBUSY/,
      );
      expect(() => irqs.requestIrq(line.irq, nothing, IRQF_SHARED, 'no devId', null)).toThrow(/EINVAL/);
      const alone = new FakeLevelLine(irqs, 12, true);
      expect(() => irqs.requestThreadedIrq(alone.irq, null, thread, 0, 'storm', 1)).toThrow(/EINVAL/);
      expect(() => irqs.requestThreadedIrq(alone.irq, null, null, 0, 'void', 1)).toThrow(/EINVAL/);
    });
    expect(fixture.kernel.printk.lines[0].text).toBe(
      'genirq: Flags mismatch irq 11. 00000000 (second) vs. 00000080 (first)',
    );
  });

  it('warn of an unbalanced enable and a second free', async () => {
    const fixture = setUp();
    await inTask(fixture, async ({ irqs, domain, device }) => {
      const [irq] = irqs.msiAllocIrqs(domain, device, 1, null);
      irqs.requestIrq(irq, handled, 0, 'dev', device);
      irqs.enableIrq(irq);
      expect(await irqs.freeIrq(irq, device)).toBe('dev');
      expect(await irqs.freeIrq(irq, device)).toBe('');
    });
    expect(fixture.kernel.printk.lines.map(({ text }) => text)).toEqual([
      'Unbalanced enable for IRQ 24',
      'Trying to free already-free IRQ 24',
    ]);
  });

  it('may share a oneshot line: it stays masked until the last thread is done', async () => {
    await inTask(setUp(), async ({ kernel, irqs }) => {
      const line = new FakeLevelLine(irqs, 11, true);
      const maskedAtEnd: boolean[] = [];
      for (const ns of [20_000, 60_000]) {
        const thread = async (_irq: number, wait: { ns: number }) => {
          await sleepNs(kernel, wait.ns);
          line.set(false);
          maskedAtEnd.push(line.masked);
          return IRQ_HANDLED;
        };
        const hard = () => IRQ_WAKE_THREAD;
        irqs.requestThreadedIrq(line.irq, hard, thread, IRQF_SHARED | IRQF_ONESHOT, `t${ns}`, { ns });
      }
      line.set(true);
      await sleepNs(kernel, 200_000);
      expect(maskedAtEnd).toEqual([true, true]);
      expect(line.masked).toBe(false);
    });
  });

  it('do not wake a threaded handler from what it waits for itself', async () => {
    await inTask(setUp(), async ({ kernel, irqs, domain, device }) => {
      const [irq] = irqs.msiAllocIrqs(domain, device, 1, null);
      const sleptNs: number[] = [];
      const thread = async () => {
        const startNs = kernel.ex.now();
        await sleepNs(kernel, 50_000);
        sleptNs.push(Math.floor((kernel.ex.now() - startNs) / 10_000));
        return IRQ_HANDLED;
      };
      irqs.requestThreadedIrq(irq, () => IRQ_WAKE_THREAD, thread, 0, 'dev', device);
      for (const pauseNs of [20_000, 200_000]) {
        device.send(0);
        await sleepNs(kernel, pauseNs);
      }
      expect(sleptNs).toEqual([5, 5]);
    });
  });

  it('wait, when one handler of a line is freed, for the threads of all', async () => {
    await inTask(setUp(), async ({ kernel, irqs }) => {
      const line = new FakeLevelLine(irqs, 11, true);
      let done = 0;
      for (const devId of [1, 2]) {
        const thread = async () => {
          line.set(false);
          await sleepNs(kernel, devId * 50_000);
          done++;
          return IRQ_HANDLED;
        };
        irqs.requestThreadedIrq(line.irq, null, thread, IRQF_SHARED | IRQF_ONESHOT, 'dev', devId);
      }
      line.set(true);
      await sleepNs(kernel, 10_000);
      await irqs.freeIrq(line.irq, 1);
      expect(done).toBe(2);
    });
  });
});

describe('MSI', () => {
  it('counts vectors and handlers until they are given back', async () => {
    const { kernel, irqs, domain, device, door } = setUp();
    await door.call('test', async () => {
      const numbers = irqs.msiAllocIrqs(domain, device, 2, null);
      expect(numbers).toEqual([24, 25]);
      irqs.requestIrq(25, handled, 0, 'nvme0q1', device);
      expect(kernel.live.leaks()).toEqual([
        { kind: 'vectors', name: '0000:00:04.0', count: 2 },
        { kind: 'vectors', name: 'nvme0q1', count: 1 },
      ]);
      await irqs.freeIrq(25, device);
      irqs.msiFreeIrqs(domain, device, numbers);
      expect(kernel.live.leaks()).toEqual([]);
      expect(kernel.procfs.list().filter((path) => path.startsWith('/proc/irq/'))).toEqual([]);
      expect(irqs.msiAllocIrqs(domain, device, 1, null)).toEqual([24]);
    });
  });

  it('leaves nothing behind when vectors run out', async () => {
    const { kernel, irqs, domain, device, door } = setUp();
    const calls: string[] = [];
    const short = observedIrqDomain(
      faultyIrqDomain(domain, (irq) => irq === 26),
      (call, irq) => calls.push(`${call} ${irq}`),
    );
    await door.call('test', async () => {
      expect(() => irqs.msiAllocIrqs(short, device, 4, null)).toThrow(/ENOSPC/);
      expect(() => irqs.msiAllocIrqs(domain, device, 0, null)).toThrow(/EINVAL/);
    });
    expect(kernel.live.leaks()).toEqual([]);
    expect(domain.size).toBe(0);
    expect(calls.filter((call) => call.startsWith('deactivate'))).toEqual(['deactivate 24', 'deactivate 25']);
  });

  it('is a BUG to free a vector somebody handles', async () => {
    await expect(
      inTask(setUp(), async ({ irqs, domain, device }) => {
        const numbers = irqs.msiAllocIrqs(domain, device, 1, null);
        irqs.requestIrq(numbers[0], handled, 0, 'nvme0q0', device);
        irqs.msiFreeIrqs(domain, device, numbers);
      }),
    ).rejects.toThrow(/irq 24 freed while nvme0q0 handles it/);
  });
});
