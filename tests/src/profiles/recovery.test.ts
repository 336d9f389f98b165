/** What recovery does in one era and not in another, beside where it waits (features/era-hangs.test.ts). */
import { type Machine, PROFILES } from '@nvme-stack/machine';
import type { FaultRule } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { codeOf, leftBehind, log, machineWith, NVME_BDF, pattern, running } from '../features/bench.js';

const CTRL = '/sys/class/nvme/nvme0';
const FLR = `/sys/bus/pci/devices/${NVME_BDF}/reset`;

type Profile = (typeof PROFILES)[number];

/** A machine whose driver is loaded while its controller does `fault`. */
async function loadedWith(profile: Profile, fault: FaultRule): Promise<Machine> {
  const machine = await machineWith({}, { profile, cpus: 1 });
  // Firmware has used the controller, and left it on.
  await machine.modprobe('nvme');
  await machine.settle();
  await machine.device(NVME_BDF).faults.set({ faults: [fault] });
  await codeOf(machine.sysfs.write(`${CTRL}/reset_controller`, '1'));
  await machine.run(60e9);
  await machine.device(NVME_BDF).faults.clear();
  return machine;
}

/** The driver loads anew, and the disk works. */
async function worksAgain(machine: Machine): Promise<void> {
  await machine.rmmod('nvme');
  await machine.sysfs.write(FLR, '1');
  await machine.modprobe('nvme');
  await machine.settle();
  await machine.disk('nvme0n1').write(0, pattern(4096));
  expect(await leftBehind(machine)).toEqual([]);
}

describe('a controller that does not react to CC.EN = 0', () => {
  const DEAF = { kind: 'not-ready', on: 'disable' } as const;

  it('gets a function level reset on 6.12, and lives', async () => {
    const machine = await loadedWith('6.12', DEAF);
    expect(log(machine)).toContain('nvme nvme0: controller reset completed after pcie flr');
    expect(machine.sysfs.read(`${CTRL}/state`)).toBe('live\n');
    await worksAgain(machine);
  });

  it.each(['6.1', '4.13', '4.10'] as const)(
    'is given up, and its user may reset the function (%s)',
    async (profile) => {
      const machine = await loadedWith(profile, DEAF);
      const text = log(machine).join('\n');
      expect(text).not.toContain('flr');
      expect(text).toContain('nvme nvme0: Device not ready; aborting reset');
      expect(text).toContain('nvme nvme0: Removing after probe failure status: -19');
      expect(machine.sysfs.exists(CTRL)).toBe(false);
      await worksAgain(machine);
    },
  );
});

describe('a doorbell stride that puts the admin queue’s beyond BAR 0', () => {
  it.each(PROFILES)('fails the reset with ENOMEM (%s)', async (profile) => {
    const machine = await loadedWith(profile, { kind: 'register', register: 'CAP_HI', set: 0x0f });
    expect(log(machine).join('\n')).toMatch(
      /(Disabling device after reset failure|Removing after probe failure status): -12/,
    );
    await worksAgain(machine);
  });
});

describe('a removal that overtakes a reset', () => {
  /** Lines about the reset, which was asked for in the moment in which the driver was unbound. */
  async function overtaken(profile: Profile): Promise<string[]> {
    const machine = await running({}, { profile, cpus: 1 });
    await machine.settle();
    const from = log(machine).length;
    const reset = codeOf(machine.sysfs.write(`${CTRL}/reset_controller`, '1'));
    const unbind = codeOf(machine.sysfs.write('/sys/bus/pci/drivers/nvme/unbind', NVME_BDF));
    expect(await unbind).toBe(null);
    await reset;
    const lines = log(machine).slice(from);
    await machine.settle();
    expect(await leftBehind(machine)).toEqual([]);
    return lines;
  }

  it('cancels it on 4.13, and finds it refused on 6.1', async () => {
    expect(await overtaken('4.13')).toEqual([]);
    expect(await overtaken('6.1')).toContain('nvme nvme0: Removing after probe failure status: -19');
  });
});
