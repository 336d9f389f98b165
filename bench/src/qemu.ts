/** The same driver and the same reads on QEMU's controller and on ours, one after the other in one process. */
import { createMachine, qemuMissing } from '@nvme-stack/machine/node';
import { measureDepth } from './io-loop.js';

/** Nanoseconds per read by depth, on each controller. */
export interface BesideQemu {
  readonly depth: number;
  readonly qemuNs: number;
  readonly oursNs: number;
}

const DEPTHS = [1, 32];
const QEMU_READS = 20_000;
const OURS_READS = 400_000;

/** Measures both; null where there is no QEMU. */
export async function besideQemu(): Promise<BesideQemu[] | null> {
  if (qemuMissing() !== null) return null;
  const figures: BesideQemu[] = [];
  for (const depth of DEPTHS) {
    figures.push({ depth, qemuNs: await measure('qemu', depth), oursNs: await measure('sim', depth) });
  }
  return figures;
}

async function measure(platform: 'sim' | 'qemu', depth: number): Promise<number> {
  await using machine = await createMachine({
    platform,
    cpus: 1,
    memoryMiB: 32,
    checks: 'off',
    trace: 'off',
    nvme: [{ namespaces: [{ sizeMiB: 64 }] }],
  });
  await machine.modprobe('nvme');
  return await measureDepth(machine, depth, platform === 'qemu' ? QEMU_READS : OURS_READS);
}

/** The figures in lines. */
export function besideQemuText(figures: readonly BesideQemu[]): string {
  const thousands = (ns: number): string => `${(1e6 / ns).toFixed(ns > 1e5 ? 1 : 0)} k/s`;
  return figures
    .map(({ depth, qemuNs, oursNs }) => {
      const ours = `ours ${oursNs.toFixed(0)} ns (${thousands(oursNs)})`;
      return `4 KiB random read, depth ${depth}: QEMU ${qemuNs.toFixed(0)} ns (${thousands(qemuNs)}), ${ours}`;
    })
    .join('\n');
}
