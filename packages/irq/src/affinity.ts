/**
 * Spreading a device's vectors over the CPUs: some at each end stay with everybody, the rest is spread, set by set.
 * Kernel counterpart: kernel/irq/affinity.c.
 */
import { traced } from '@nvme-stack/kernel';
import { groupCpusEvenly } from './group-cpus.js';
import type { IrqAffinity, IrqAffinityDesc } from './ports.js';
import type { IrqSystem } from './system.js';

/** @kernel include/linux/interrupt.h IRQ_AFFINITY_MAX_SETS */
const IRQ_AFFINITY_MAX_SETS = 4;

/** Null when there is nothing to spread. Task context. @kernel kernel/irq/affinity.c irq_create_affinity_masks */
export const irqCreateAffinityMasks = traced(
  'irq_create_affinity_masks',
  (system: IrqSystem, nvecs: number, affd: IrqAffinity): IrqAffinityDesc[] | null => {
    const { preVectors, postVectors } = affd;
    const spread = Math.max(nvecs - preVectors - postVectors, 0);
    if (affd.calcSets === undefined) oneSet(affd, spread);
    else affd.calcSets(affd, spread);
    if (affd.nrSets > IRQ_AFFINITY_MAX_SETS || spread === 0) return null;
    const masks: IrqAffinityDesc[] = Array.from({ length: nvecs }, () => ({ cpus: system.allCpus, isManaged: false }));
    let at = preVectors;
    for (let set = 0; set < affd.nrSets; set++) {
      for (const cpus of groupCpusEvenly(system.kernel, affd.setSize[set])) {
        if (at < preVectors + spread) masks[at] = { cpus, isManaged: true };
        at++;
      }
    }
    for (; at < preVectors + spread; at++) masks[at] = { cpus: system.allCpus, isManaged: true };
    return masks;
  },
);

/** @kernel kernel/irq/affinity.c default_calc_sets */
function oneSet(affd: IrqAffinity, spread: number): void {
  affd.nrSets = 1;
  affd.setSize[0] = spread;
}

/** How many vectors make sense between the two bounds; 0: fewer than the reserved ones. @kernel kernel/irq/affinity.c irq_calc_affinity_vectors */
export function irqCalcAffinityVectors(nrCpus: number, minvec: number, maxvec: number, affd: IrqAffinity): number {
  const reserved = affd.preVectors + affd.postVectors;
  if (reserved > minvec) return 0;
  const spread = affd.calcSets === undefined ? nrCpus : maxvec - reserved;
  return reserved + Math.min(spread, maxvec - reserved);
}
