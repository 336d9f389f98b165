/** What a controller was asked for, from its trace events; for machines whose trace is 'full'. */
import type { Machine } from '@nvme-stack/machine';

/** Arguments of every event of that name, from `from` on. */
export function events(machine: Machine, symbol: string, from = 0): (readonly number[])[] {
  const found: (readonly number[])[] = [];
  const { entries } = machine.trace;
  for (let i = from; i < entries.length; i++) {
    const entry = entries[i];
    if (entry?.symbol === symbol && entry.kind !== 'function') found.push(entry.args);
  }
  return found;
}

/** Where the trace stands. */
export function mark(machine: Machine): number {
  return machine.trace.entries.length;
}

/** Feature identifiers with dword 11, in the order in which they were set. */
export function featuresSet(machine: Machine, from = 0): [fid: number, cdw11: number][] {
  return events(machine, 'pci_nvme_setfeat', from).map(([, , fid, cdw11]) => [fid as number, (cdw11 as number) >>> 0]);
}

/** CNS values of Identify, in their order. */
export function identified(machine: Machine, from = 0): number[] {
  return events(machine, 'pci_nvme_identify', from).map(([, cns]) => cns as number);
}

/** Lengths of what the device read by DMA. */
export function dmaReads(machine: Machine, from = 0): number[] {
  return events(machine, 'dma_read', from).map(([, , length]) => length as number);
}
