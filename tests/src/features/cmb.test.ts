import type { MachineDescription } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { firstDifference, KIB, leftBehind, log, machineWith, pattern, SECOND_NS } from './bench.js';
import { dmaReads, events, mark } from './device-events.js';

const CTRL = '/sys/class/nvme/nvme0';
const CMBMSC = 0x50;
const CMBSZ = 0x3c;
const SQE_BYTES = 64;

async function started(
  nvme: NonNullable<MachineDescription['nvme']>[number],
  params: Record<string, unknown> = {},
  more: MachineDescription = {},
) {
  const machine = await machineWith({ dbbuf: false, ...nvme }, { trace: 'full', cpus: 2, ...more });
  await machine.modprobe('nvme', params);
  return machine;
}

/** Registers written, as [offset, value] without doorbells, interrupt table and the buffer itself. */
function registerWrites(machine: Awaited<ReturnType<typeof started>>): [number, number][] {
  return events(machine, 'pci_nvme_mmio_write')
    .filter(([offset]) => (offset as number) < 0x1000)
    .map(([offset, value]) => [offset as number, (value as number) >>> 0]);
}

describe('a controller memory buffer', () => {
  // @acceptance 79
  it('holds the submission queues, so that their entries are fetched without DMA', async () => {
    const machine = await started({ cmb: { sizeMiB: 1 } });
    const disk = machine.disk('nvme0n1');
    const before = mark(machine);
    for (let i = 0; i < 5; i++) await disk.write(i * 4 * KIB, pattern(4 * KIB, i));
    for (let i = 0; i < 5; i++)
      expect(firstDifference(await disk.read(i * 4 * KIB, 4 * KIB), pattern(4 * KIB, i))).toBe(-1);
    expect(dmaReads(machine, before).filter((length) => length % SQE_BYTES === 0 && length < 4096)).toEqual([]);
    // Each command crossed the bus as sixteen dwords, before its doorbell.
    const toBuffer =
      events(machine, 'mmio_write', before).length - events(machine, 'pci_nvme_mmio_write', before).length;
    expect(toBuffer).toBe(10 * 16);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is left alone with use_cmb_sqes=0: entries are fetched by DMA', async () => {
    const machine = await started({ cmb: { sizeMiB: 1 } }, { use_cmb_sqes: false });
    const before = mark(machine);
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB));
    expect(dmaReads(machine, before)).toContain(SQE_BYTES);
    // It is mapped and shown all the same.
    expect(machine.sysfs.exists(`${CTRL}/cmb`)).toBe(true);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('of NVMe 1.4 is enabled at the address of its BAR before it is used', async () => {
    const machine = await started({ cmb: { sizeMiB: 2 } });
    const start = machine.subsystems.pciBus.pciGetDevice('0000:00:03.0')?.bars[2]?.start as number;
    const writes = registerWrites(machine).filter(([offset]) => offset === CMBMSC || offset === CMBMSC + 4);
    expect(writes).toEqual([
      [CMBMSC, 1],
      [CMBMSC + 4, Math.floor(start / 2 ** 32)],
      [CMBMSC, ((start % 2 ** 32) | 3) >>> 0],
    ]);
  });

  it('of earlier controllers is there without being asked for', async () => {
    const machine = await started({ version: '1.3', cmb: { sizeMiB: 2 } });
    expect(registerWrites(machine).filter(([offset]) => offset === CMBMSC)).toEqual([]);
    await machine.disk('nvme0n1').write(0, pattern(8 * KIB));
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 78
  it('is what the files cmb, cmbloc and cmbsz tell of, which are only there with one', async () => {
    const machine = await started({ cmb: { sizeMiB: 4 } });
    // 4 units of 1 MiB, for queues, lists and data both ways.
    expect(machine.sysfs.read(`${CTRL}/cmb`)).toBe('cmbloc : x00000062\ncmbsz  : x0000421d\n');
    expect(machine.sysfs.read(`${CTRL}/cmbloc`)).toBe(`${0x62}\n`);
    expect(machine.sysfs.read(`${CTRL}/cmbsz`)).toBe(`${0x421d}\n`);
    const without = await started({});
    for (const name of ['cmb', 'cmbloc', 'cmbsz']) expect(without.sysfs.exists(`${CTRL}/${name}`)).toBe(false);
    expect(events(without, 'pci_nvme_mmio_read').filter(([offset]) => offset === CMBSZ).length).toBe(1);
  });

  it('that is too small for the queues makes them shallower, down to 64 entries', async () => {
    // 64 queues of 1024 entries of 64 bytes would need 4 MiB.
    const machine = await started({ cmb: { sizeMiB: 1 } }, {}, { cpus: 64, trace: 'off' });
    expect(machine.queues('nvme0').map(({ depth }) => depth)).toEqual([32, ...new Array(64).fill(256)]);
    expect(machine.sysfs.read(`${CTRL}/sqsize`)).toBe('255\n');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('stays mapped over a reset, and the queues with it', async () => {
    const machine = await started({ cmb: { sizeMiB: 1 } });
    await machine.disk('nvme0n1').write(0, pattern(64 * KIB));
    const before = mark(machine);
    await machine.sysfs.write(`${CTRL}/reset_controller`, '1');
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 64 * KIB), pattern(64 * KIB))).toBe(-1);
    expect(events(machine, 'pci_nvme_mmio_write', before).filter(([offset]) => offset === CMBMSC)).toEqual([]);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 78
  it.each(['4.10', '4.13'] as const)(
    'is mapped with each enable on %s, which knows nothing of enabling it',
    async (profile) => {
      const machine = await started({ version: '1.2', cmb: { sizeMiB: 1 } }, {}, { profile });
      await machine.run(SECOND_NS);
      expect(machine.sysfs.read(`${CTRL}/cmb`)).toBe('cmbloc : x00000062\ncmbsz  : x0000121d\n');
      expect(machine.sysfs.exists(`${CTRL}/cmbsz`)).toBe(false);
      const before = mark(machine);
      await machine.disk('nvme0n1').write(0, pattern(4 * KIB));
      expect(dmaReads(machine, before)).not.toContain(SQE_BYTES);
      await machine.sysfs.write(`${CTRL}/reset_controller`, '1');
      await machine.run(SECOND_NS);
      expect(events(machine, 'pci_nvme_mmio_read').filter(([offset]) => offset === CMBSZ).length).toBe(2);
      const after = mark(machine);
      expect(firstDifference(await machine.disk('nvme0n1').read(0, 4 * KIB), pattern(4 * KIB))).toBe(-1);
      expect(dmaReads(machine, after)).not.toContain(SQE_BYTES);
      expect(registerWrites(machine).filter(([offset]) => offset === CMBMSC)).toEqual([]);
      const hidden = await started({ version: '1.3' }, {}, { profile });
      await hidden.run(SECOND_NS);
      expect(hidden.sysfs.exists(`${CTRL}/cmb`)).toBe(false);
      expect(await leftBehind(machine)).toEqual([]);
    },
  );

  it.each(['4.10', '4.13'] as const)(
    'is not looked for on %s before NVMe 1.2, nor mapped with use_cmb_sqes=0',
    async (profile) => {
      const old = await started({ version: '1.1' }, {}, { profile });
      await old.run(SECOND_NS);
      expect(events(old, 'pci_nvme_mmio_read').filter(([offset]) => offset === CMBSZ)).toEqual([]);
      const machine = await started({ version: '1.2', cmb: { sizeMiB: 1 } }, { use_cmb_sqes: false }, { profile });
      await machine.run(SECOND_NS);
      const before = mark(machine);
      await machine.disk('nvme0n1').write(0, pattern(4 * KIB));
      expect(dmaReads(machine, before)).toContain(SQE_BYTES);
      // 4.10 shows what the controller has, 4.13 what the driver has mapped.
      expect(machine.sysfs.exists(`${CTRL}/cmb`)).toBe(profile === '4.10');
    },
  );

  it('that cannot be mapped leaves the queues in host memory', async () => {
    const machine = await machineWith({ cmb: { sizeMiB: 1 }, dbbuf: false }, { trace: 'full' });
    let mappings = 0;
    const { pciBus } = machine.subsystems;
    const ioremap = pciBus.ioremap.bind(pciBus);
    Object.assign(pciBus, {
      ioremap: (...args: Parameters<typeof ioremap>) => (args[1] === 2 && ++mappings > 0 ? null : ioremap(...args)),
    });
    await machine.modprobe('nvme');
    expect(mappings).toBe(1);
    expect(log(machine)).toContain('nvme nvme0: failed to register the CMB');
    const before = mark(machine);
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB));
    expect(dmaReads(machine, before)).toContain(SQE_BYTES);
    expect(await leftBehind(machine)).toEqual([]);
  });
});
