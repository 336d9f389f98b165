import type { Machine, MachineDescription } from '@nvme-stack/machine';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstDifference, KIB, leftBehind, machineWith, pattern } from './bench.js';
import { events, mark } from './device-events.js';

const DATA_BLOCK = 0;
const LAST_SEGMENT = 3;

async function started(
  nvme: NonNullable<MachineDescription['nvme']>[number] = {},
  params: Record<string, unknown> = {},
  more: MachineDescription = {},
): Promise<Machine> {
  const machine = await machineWith(nvme, { trace: 'full', cpus: 1, ...more });
  await machine.modprobe('nvme', params);
  return machine;
}

/** How each transfer since `from` was described: the type of its SGL, or 'prp'. */
function described(machine: Machine, from: number): (number | 'prp')[] {
  return machine.trace.entries.slice(from).flatMap(({ symbol, args }): (number | 'prp')[] => {
    if (symbol === 'pci_nvme_map_sgl') return [args[0] as number];
    return symbol === 'pci_nvme_map_prp' ? ['prp'] : [];
  });
}

async function describedBy(machine: Machine, pieceBytes: readonly number[]): Promise<(number | 'prp')[]> {
  const length = pieceBytes.reduce((sum, bytes) => sum + bytes, 0);
  const from = mark(machine);
  const disk = machine.disk('nvme0n1');
  await disk.write(0, pattern(length, pieceBytes.length), { pieceBytes });
  const how = described(machine, from);
  expect(firstDifference(await disk.read(0, length), pattern(length, pieceBytes.length))).toBe(-1);
  return how;
}

describe('a transfer is described', () => {
  // @acceptance 120
  it('by an SGL when its pieces are 32 KiB on average, and by PRPs below', async () => {
    const machine = await started();
    expect(await describedBy(machine, [32 * KIB, 32 * KIB, 32 * KIB])).toEqual([LAST_SEGMENT]);
    expect(await describedBy(machine, [60 * KIB, 4 * KIB, 32 * KIB])).toEqual([LAST_SEGMENT]);
    expect(await describedBy(machine, [28 * KIB, 32 * KIB])).toEqual(['prp']);
    expect(await describedBy(machine, new Array(16).fill(4 * KIB))).toEqual(['prp']);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('by two PRPs where one piece fits two pages, by a data block where it is larger', async () => {
    const machine = await started();
    expect(await describedBy(machine, [4 * KIB])).toEqual(['prp']);
    expect(await describedBy(machine, [8 * KIB])).toEqual(['prp']);
    expect(await describedBy(machine, [12 * KIB])).toEqual([DATA_BLOCK]);
    expect(await describedBy(machine, [256 * KIB])).toEqual([DATA_BLOCK]);
  });

  it('as sgl_threshold says, also when it changes while disks are in use', async () => {
    const machine = await started({}, { sgl_threshold: 4096 });
    const pieces = [4 * KIB, 4 * KIB, 4 * KIB, 4 * KIB];
    expect(await describedBy(machine, pieces)).toEqual([LAST_SEGMENT]);
    await machine.sysfs.write('/sys/module/nvme/parameters/sgl_threshold', '0');
    expect(await describedBy(machine, pieces)).toEqual(['prp']);
    expect(await describedBy(machine, [64 * KIB])).toEqual(['prp']);
    await machine.sysfs.write('/sys/module/nvme/parameters/sgl_threshold', '8192');
    expect(await describedBy(machine, pieces)).toEqual(['prp']);
    expect(await describedBy(machine, [8 * KIB, 8 * KIB])).toEqual([LAST_SEGMENT]);
  });

  it('by PRPs where the controller takes no SGLs, and always on the admin queue', async () => {
    const machine = await started({ sgl: false });
    expect(await describedBy(machine, [64 * KIB, 64 * KIB])).toEqual(['prp']);
    const other = await started();
    const admin = events(other, 'pci_nvme_map_sgl').length;
    expect(admin).toBe(0);
  });
});

describe('data', () => {
  it('are the same however they are described', async () => {
    const machines = await Promise.all([
      started({ dbbuf: false }, { sgl_threshold: 1 }, { trace: 'off' }),
      started({ dbbuf: false, sgl: false }, {}, { trace: 'off' }),
    ]);
    const layout = fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 1, maxLength: 24 });
    await fc.assert(
      fc.asyncProperty(layout, fc.integer({ min: 0, max: 500 }), async (pages, block) => {
        const pieceBytes = pages.map((count) => count * 4 * KIB);
        const length = pieceBytes.reduce((sum, bytes) => sum + bytes, 0);
        const data = pattern(length, block);
        for (const machine of machines) {
          const disk = machine.disk('nvme0n1');
          await disk.write(block * 512, data, { pieceBytes });
          expect(firstDifference(await disk.read(block * 512, length), data)).toBe(-1);
        }
      }),
      { numRuns: 25 },
    );
    const [one, other] = await Promise.all(machines.map((machine) => machine.disk('nvme0n1').read(0, 4096 * KIB)));
    expect(firstDifference(one as Uint8Array, other as Uint8Array)).toBe(-1);
    for (const machine of machines) {
      expect(machine.subsystems.platform.dmaFaults).toEqual([]);
      expect(await leftBehind(machine)).toEqual([]);
    }
  });
});
