import { sleepNs } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createIrqs, IRQ_HANDLED, IRQ_WAKE_THREAD } from './index.js';
import { deviceEvent, FakeIrqDomain, FakeMsiDevice } from './testing.js';

const step = fc.record({
  action: fc.constantFrom('send', 'send', 'send', 'disable', 'enable', 'mask', 'unmask', 'move'),
  cpu: fc.nat(3),
  pauseNs: fc.constantFrom(0, 0, 300, 1500),
});

describe('laws of interrupts', () => {
  it('masking, disabling and moving never lose an edge', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(1000), fc.boolean(), async (steps, seed, threaded) => {
        const { kernel, door } = createTestKernel({ seed, interleave: seed % 2 === 1, trace: 'off' });
        const irqs = createIrqs({ kernel });
        const domain = new FakeIrqDomain(irqs);
        const device = new FakeMsiDevice(domain);
        let sent = 0;
        let seen = 0;
        let inside = 0;
        await door.call('test', async () => {
          const [irq] = irqs.msiAllocIrqs(domain, device, 1, null);
          const drain = () => {
            expect(++inside).toBe(1);
            seen = sent;
            kernel.ex.udelay(500);
            inside--;
            return IRQ_HANDLED;
          };
          if (threaded) {
            const thread = async () => {
              seen = sent;
              await sleepNs(kernel, 700);
              return IRQ_HANDLED;
            };
            irqs.requestThreadedIrq(irq, () => IRQ_WAKE_THREAD, thread, 0, 'dev', device);
          } else {
            irqs.requestIrq(irq, drain, 0, 'dev', device);
          }
          let depth = 0;
          for (const { action, cpu, pauseNs } of steps) {
            if (action === 'send') {
              const event = deviceEvent(kernel, () => {
                sent++;
                device.send(0);
              });
              kernel.ex.arm(event, kernel.ex.now() + cpu * 400);
            }
            if (action === 'disable') {
              depth++;
              await irqs.disableIrq(irq);
            }
            if (action === 'enable' && depth > 0) {
              depth--;
              irqs.enableIrq(irq);
            }
            // The device's own mask, as a driver's write to the vector control word.
            if (action === 'mask') device.chip.irqMask({ hwirq: 0 } as Parameters<typeof device.chip.irqMask>[0]);
            if (action === 'unmask') device.chip.irqUnmask({ hwirq: 0 } as Parameters<typeof device.chip.irqMask>[0]);
            if (action === 'move') irqs.irqSetAffinity(irq, [cpu]);
            if (pauseNs > 0) await sleepNs(kernel, pauseNs);
          }
          await sleepNs(kernel, 10_000);
          while (depth-- > 0) irqs.enableIrq(irq);
          device.chip.irqUnmask({ hwirq: 0 } as Parameters<typeof device.chip.irqMask>[0]);
          await sleepNs(kernel, 100_000);
          expect(seen).toBe(sent);
          await irqs.freeIrq(irq, device);
          irqs.msiFreeIrqs(domain, device, [irq]);
        });
        expect(kernel.live.leaks()).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('every CPU is in exactly one group, groups differ by one within a node, none is empty without need', () => {
    const shape = fc.tuple(
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 1, max: 80 }),
    );
    fc.assert(
      fc.property(shape, ([nrCpus, nodes, groups]) => {
        const nrNodes = Math.min(nodes, nrCpus);
        const { kernel } = createTestKernel({ nrCpus, nrNodes, trace: 'off' });
        const result = createIrqs({ kernel }).groupCpusEvenly(groups);
        expect(result.length).toBe(groups);
        expect(result.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: nrCpus }, (_, cpu) => cpu));
        expect(result.filter((cpus) => cpus.length === 0).length).toBe(Math.max(0, groups - nrCpus));
        if (groups < nrNodes) return;
        for (let node = 0; node < nrNodes; node++) {
          const sizes = result.filter(([cpu]) => cpu !== undefined && kernel.cpuToNode(cpu) === node);
          expect(sizes.every((cpus) => cpus.every((cpu) => kernel.cpuToNode(cpu) === node))).toBe(true);
          const lengths = sizes.map(({ length }) => length);
          expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
        }
      }),
      { numRuns: 300 },
    );
  });
});
