import type { KernelProfile } from '@nvme-stack/kernel';
import type { Machine, MachineDescription } from '@nvme-stack/machine';
import {
  NVME_QUIRK_BOGUS_NID,
  NVME_QUIRK_DEALLOCATE_ZEROES,
  NVME_QUIRK_STRIPE_SIZE,
} from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { codeOf, firstDifference, KIB, leftBehind, log, machineWith, NVME_BDF, pattern, SECOND_NS } from './bench.js';

const DRIVER = '/sys/bus/pci/drivers/nvme';
const DEVICE = `/sys/bus/pci/devices/${NVME_BDF}`;

async function withDevice(
  profile: KernelProfile,
  pci: NonNullable<NonNullable<MachineDescription['nvme']>[number]['pci']>,
  nvme: NonNullable<MachineDescription['nvme']>[number] = {},
): Promise<Machine> {
  const machine = await machineWith({ pci, ...nvme }, { profile });
  await machine.modprobe('nvme');
  await machine.run(5 * SECOND_NS);
  return machine;
}

function quirks(machine: Machine): number | undefined {
  return machine.subsystems.nvmeCore.controllers[0]?.quirks;
}

/** Bits that the controller itself gave rise to are left out. */
function fromTable(machine: Machine): number {
  return (quirks(machine) as number) & ~NVME_QUIRK_BOGUS_NID;
}

describe('a function', () => {
  const STRIPED = NVME_QUIRK_STRIPE_SIZE | NVME_QUIRK_DEALLOCATE_ZEROES;

  // @acceptance 27
  it.each([0x0953, 0x0a53, 0x0a54])(
    'of Intel (8086:%s) has its quirks at the controller, on 4.10',
    async (deviceId) => {
      const machine = await withDevice('4.10', { vendorId: 0x8086, deviceId });
      expect(fromTable(machine)).toBe(STRIPED);
      expect(await leftBehind(machine)).toEqual([]);
    },
  );

  // @acceptance 30 77
  it.each([
    ['4.10', `nvme ${NVME_BDF}`],
    ['4.13', 'nvme nvme0'],
  ] as const)('of Apple (106b:2001) has queues of two entries, by code, on %s', async (profile, name) => {
    const machine = await withDevice(profile, { vendorId: 0x106b, deviceId: 0x2001 });
    expect(fromTable(machine)).toBe(0);
    expect(log(machine)).toContain(
      `${name}: detected Apple NVMe controller, set queue depth=2 to work around controller resets`,
    );
    expect(
      new Set(
        machine
          .queues('nvme0')
          .slice(1)
          .map(({ depth }) => depth),
      ),
    ).toEqual(new Set([2]));
    await machine.disk('nvme0n1').write(0, pattern(64 * KIB));
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 64 * KIB), pattern(64 * KIB))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 26
  it('takes the first entry that fits it: a device before the class, though both do', async () => {
    const machine = await withDevice('4.10', { vendorId: 0x8086, deviceId: 0x0953, classCode: 0x010802 });
    expect(fromTable(machine)).toBe(STRIPED);
    // A device entry needs no class; the class entry needs all 24 bits.
    const odd = await withDevice('4.10', { vendorId: 0x8086, deviceId: 0x0953, classCode: 0x018000 });
    expect(fromTable(odd)).toBe(STRIPED);
    const stranger = await withDevice('4.10', { vendorId: 0x1234, deviceId: 0x5678, classCode: 0x018000 });
    expect(stranger.subsystems.nvmeCore.controllers).toEqual([]);
  });

  // @acceptance 25
  it('that no entry fits is taken by a dynamic id, with the quirks that it names', async () => {
    const machine = await withDevice('6.12', { vendorId: 0x1234, deviceId: 0x5678, classCode: 0x018000 });
    expect(machine.subsystems.nvmeCore.controllers).toEqual([]);
    // Quirks must be those of some entry of the table.
    expect(await codeOf(machine.sysfs.write(`${DRIVER}/new_id`, '1234 5678 ffffffff ffffffff 0 0 7fffffff'))).toBe(
      'EINVAL',
    );
    const data = STRIPED.toString(16);
    await machine.sysfs.write(`${DRIVER}/new_id`, `1234 5678 ffffffff ffffffff 0 0 ${data}`);
    await machine.run(SECOND_NS);
    expect(fromTable(machine)).toBe(STRIPED);
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB));
    await machine.sysfs.write(`${DRIVER}/remove_id`, '1234 5678');
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 25 32
  it('is taken by driver_override whatever it is, without quirks, and by no other driver', async () => {
    const machine = await withDevice('6.12', { vendorId: 0x1234, deviceId: 0x5678, classCode: 0x018000 });
    await machine.sysfs.write(`${DEVICE}/driver_override`, 'nvme');
    await machine.sysfs.write(`${DRIVER}/bind`, NVME_BDF);
    await machine.run(SECOND_NS);
    expect(fromTable(machine)).toBe(0);
    await machine.sysfs.write(`${DRIVER}/unbind`, NVME_BDF);
    await machine.sysfs.write(`${DEVICE}/driver_override`, 'another');
    expect(await codeOf(machine.sysfs.write(`${DRIVER}/bind`, NVME_BDF))).toBe('ENODEV');
    expect(await leftBehind(machine)).toEqual([]);
  });
});
