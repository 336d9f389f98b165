import type { KernelOptions } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import { describe, expect, it } from 'vitest';
import { createIrqs, type IrqAffinity } from './index.js';

function setUp(options: Partial<KernelOptions> = {}) {
  const { kernel, door } = createTestKernel(options);
  return { kernel, door, irqs: createIrqs({ kernel }) };
}

describe('spreading', () => {
  const spread = (options: Partial<KernelOptions>, groups: number) => setUp(options).irqs.groupCpusEvenly(groups);

  it('puts CPUs evenly into groups, by node', () => {
    expect(spread({}, 4)).toEqual([[0], [1], [2], [3]]);
    expect(spread({}, 3)).toEqual([[0, 1], [2], [3]]);
    expect(spread({}, 6)).toEqual([[0], [1], [2], [3], [], []]);
    expect(spread({ nrCpus: 8, nrNodes: 2 }, 1)).toEqual([[0, 1, 2, 3, 4, 5, 6, 7]]);
    expect(spread({ nrCpus: 8, nrNodes: 2 }, 3)).toEqual([
      [0, 1, 2, 3],
      [4, 5],
      [6, 7],
    ]);
    expect(spread({}, 0)).toEqual([]);
  });

  it('spreads all but the reserved vectors, in the sets the driver asks for', async () => {
    const { kernel, door, irqs } = setUp();
    await door.call('test', async () => {
      const affd: IrqAffinity = {
        preVectors: 1,
        postVectors: 1,
        nrSets: 0,
        setSize: [],
        calcSets: (a, nvecs) => {
          kernel.trace.enter('nvme_calc_irq_sets');
          a.nrSets = 2;
          a.setSize[0] = nvecs - 2;
          a.setSize[1] = 2;
          kernel.trace.exit();
        },
      };
      const all = { cpus: [0, 1, 2, 3], isManaged: false };
      const managed = (...cpus: number[]) => ({ cpus, isManaged: true });
      expect(irqs.irqCreateAffinityMasks(6, affd)).toEqual([
        all,
        managed(0, 1),
        managed(2, 3),
        managed(0, 1),
        managed(2, 3),
        all,
      ]);
      expect(irqs.irqCreateAffinityMasks(2, affd)).toBe(null);
      const plain: IrqAffinity = { preVectors: 1, postVectors: 0, nrSets: 0, setSize: [] };
      expect(irqs.irqCreateAffinityMasks(5, plain)?.map(({ cpus }) => cpus)).toEqual([
        [0, 1, 2, 3],
        [0],
        [1],
        [2],
        [3],
      ]);
      expect(irqs.irqCalcAffinityVectors(2, 64, plain)).toBe(5);
      expect(irqs.irqCalcAffinityVectors(2, 64, affd)).toBe(64);
      expect(irqs.irqCalcAffinityVectors(1, 3, { ...plain, postVectors: 1 })).toBe(0);
    });
    const functions = kernel.trace.entries.map(({ depth, symbol }) => '  '.repeat(depth) + symbol);
    expect(functions.slice(0, 2)).toEqual(['irq_create_affinity_masks', '  nvme_calc_irq_sets']);
  });
});
