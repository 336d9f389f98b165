/** System sleep as nvme_dev_pm_ops does it: shut down, or left on in the lowest power state. */
import {
  createMachine,
  type Machine,
  type MachineDescription,
  type MachineOptions,
  PROFILES,
} from '@nvme-stack/machine';
import type { FaultRule } from '@nvme-stack/nvme-controller';
import { createPlatformSim } from '@nvme-stack/platform-sim';
import { describe, expect, it } from 'vitest';
import { stateOf } from '../controller-state.js';
import { codeOf, firstDifference, leftBehind, log, NVME_BDF, pattern, running } from './bench.js';
import { featuresSet } from './device-events.js';

const PORT_BDF = '0000:00:04.0';
const ENDPOINT_BDF = '0000:01:00.0';
const PCI_EXP_LNKCTL = 0x10;
const ASPM_L1 = 2;
const SET_FEATURES = 0x09;
const GET_FEATURES = 0x0a;
const POWER_MANAGEMENT = 2;
const HOST_MEM_BUF = 0x0d;
/** EHM and MR: the buffer is what it was. */
const ENABLE_AND_RETURN = 3;
const CC = 0x14;

type Nvme = NonNullable<MachineDescription['nvme']>[number];

const LAPTOP: Nvme = {
  namespaces: [{ sizeMiB: 1 }],
  powerStates: [
    { maxPower: 600, entryLatencyUs: 0, exitLatencyUs: 0 },
    { maxPower: 300, entryLatencyUs: 5, exitLatencyUs: 5 },
    { maxPower: 5, entryLatencyUs: 1000, exitLatencyUs: 5000, nonOperational: true },
  ],
};

/** The controller stands behind a root port whose link firmware lets sleep. */
function behindPort(storageD3Enable: boolean): MachineOptions {
  return {
    parts: {
      platform: (deps) => {
        const [slot] = deps.slots;
        const { function: fn } = slot as (typeof deps.slots)[number];
        return createPlatformSim({
          ...deps,
          rootPorts: [{ slot: 4 }],
          slots: [{ slot: 4, behindPort: true, function: fn, storageD3Enable }],
        });
      },
    },
  };
}

interface LaptopOptions {
  /** Firmware lets the link sleep; and wants the controller off while the system does. */
  readonly aspm?: boolean;
  readonly storageD3Enable?: boolean;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly nvme?: Nvme;
  readonly dmi?: MachineDescription['dmi'];
}

async function laptop(
  profile: (typeof PROFILES)[number],
  faults: FaultRule[] = [],
  { aspm = true, storageD3Enable = false, params = {}, nvme = LAPTOP, dmi = {} }: LaptopOptions = {},
): Promise<Machine> {
  const description: MachineDescription = { profile, cpus: 2, dmi, nvme: [{ ...nvme, faults: { faults } }] };
  const machine = await createMachine(description, behindPort(storageD3Enable));
  const { pciBus } = machine.subsystems;
  await machine.task('firmware', async () => {
    const port = pciBus.pciGetDevice(PORT_BDF);
    if (port === null) throw new Error('no port');
    if (aspm) pciBus.pciWriteConfigWord(port, pciBus.pciFindCapability(port, 0x10) + PCI_EXP_LNKCTL, ASPM_L1);
  });
  await machine.modprobe('nvme', params);
  await machine.settle();
  await machine.disk('nvme0n1').write(0, pattern(4096));
  return machine;
}

/** Admin commands of the power management feature since `from`: what was chosen, or 'get'. */
function powerCommands(machine: Machine, from: number): (number | 'get')[] {
  const chosen: (number | 'get')[] = [];
  const entries = machine.trace.entries.slice(from);
  entries.forEach(({ symbol, args }, i) => {
    if (symbol !== 'pci_nvme_admin_cmd' || ((args[3] as number) & 0xff) !== POWER_MANAGEMENT) return;
    if (args[2] === GET_FEATURES) chosen.push('get');
    else if (args[2] === SET_FEATURES) chosen.push(entries[i + 1]?.args[1] as number);
  });
  return chosen;
}

function shutDowns(machine: Machine, from: number): number {
  const isShn = ({ symbol, args }: { symbol: string; args: readonly unknown[] }): boolean =>
    symbol === 'pci_nvme_mmio_write' && args[0] === CC && ((args[1] as number) & 0xc000) === 0x4000;
  return machine.trace.entries.slice(from).filter(isShn).length;
}

async function dataIsThere(machine: Machine): Promise<void> {
  expect(firstDifference(await machine.disk('nvme0n1').read(0, 4096), pattern(4096))).toBe(-1);
}

describe('a sleep that leaves the power on', () => {
  it.each(['6.12', '6.1'] as const)(
    'puts a controller with power states into its lowest, and back (%s)',
    async (profile) => {
      const machine = await laptop(profile);
      const from = machine.trace.entries.length;
      await machine.suspend('freeze');
      expect(powerCommands(machine, from)).toEqual(['get', 2]);
      expect(shutDowns(machine, from)).toBe(0);
      expect(machine.procfs.read('/proc/interrupts')).toContain('nvme0q1');
      await machine.resume();
      await machine.settle();
      expect(powerCommands(machine, from)).toEqual(['get', 2, 0]);
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
      expect(machine.trace.entries.slice(from).some(({ symbol }) => symbol === 'nvme_reset_work')).toBe(false);
      await dataIsThere(machine);
      expect(await leftBehind(machine)).toEqual([]);
    },
  );

  const PLATFORM_QUIRK = `nvme ${ENDPOINT_BDF}: platform quirk: setting simple suspend`;

  it.each(['6.12', '6.1'] as const)('shuts the controller down where firmware wants it off (%s)', async (profile) => {
    const machine = await laptop(profile, [], { storageD3Enable: true });
    expect(log(machine)).toContain(PLATFORM_QUIRK);
    const from = machine.trace.entries.length;
    await machine.suspend('freeze');
    expect([powerCommands(machine, from), shutDowns(machine, from)]).toEqual([[], 1]);
    await machine.resume();
    await machine.settle();
    await dataIsThere(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each(['6.12', '6.1'] as const)('does not ask firmware with noacpi (%s)', async (profile) => {
    const machine = await laptop(profile, [], { storageD3Enable: true, params: { noacpi: true } });
    expect(log(machine)).not.toContain(PLATFORM_QUIRK);
    const from = machine.trace.entries.length;
    await machine.suspend('freeze');
    expect([powerCommands(machine, from), shutDowns(machine, from)]).toEqual([['get', 2], 0]);
  });

  it.each(['4.13', '4.10'] as const)('is no matter of firmware for %s', async (profile) => {
    expect(log(await laptop(profile, [], { storageD3Enable: true }))).not.toContain(PLATFORM_QUIRK);
  });

  describe('on a machine that is known by its name', () => {
    const LENOVO = { boardVendor: 'LENOVO', boardName: 'LNVNB161216' };
    const PM981: Nvme = { ...LAPTOP, pci: { vendorId: 0x144d, deviceId: 0xa808 } };
    const EVO990: Nvme = { ...LAPTOP, pci: { vendorId: 0x144d, deviceId: 0xa80d } };
    const LITEON: Nvme = { ...LAPTOP, pci: { vendorId: 0x14a4, deviceId: 0x1234 }, firmware: '22301111' };

    /** What a sleep did: states chosen, and shutdowns. */
    async function slept(...args: Parameters<typeof laptop>): Promise<[(number | 'get')[], number]> {
      const machine = await laptop(...args);
      const from = machine.trace.entries.length;
      await machine.suspend('freeze');
      const result: [(number | 'get')[], number] = [powerCommands(machine, from), shutDowns(machine, from)];
      await machine.resume();
      await machine.settle();
      await dataIsThere(machine);
      expect(await leftBehind(machine)).toEqual([]);
      return result;
    }

    it.each(['6.12', '6.1'] as const)('shuts a drive down that does not wake there (%s)', async (profile) => {
      expect(await slept(profile, [], { nvme: PM981, dmi: LENOVO })).toEqual([[], 1]);
      const other = { ...LENOVO, boardName: 'LNVNB161217' };
      for (const dmi of [{}, other]) expect(await slept(profile, [], { nvme: PM981, dmi })).toEqual([['get', 2], 0]);
      expect(await slept(profile, [], { dmi: LENOVO })).toEqual([['get', 2], 0]);
    });

    it.each(['6.12', '6.1'] as const)(
      'does not do as firmware asks where that is known as an error (%s)',
      async (profile) => {
        const asked = { nvme: EVO990, storageD3Enable: true };
        expect(await slept(profile, [], { ...asked, dmi: { boardName: 'GMxPXxx' } })).toEqual([['get', 2], 0]);
        expect(await slept(profile, [], { ...asked, dmi: { boardName: 'GMxPXx' } })).toEqual([[], 1]);
        const machine = await laptop(profile, [], { ...asked, dmi: { boardName: 'GMxPXxx' } });
        expect(log(machine)).not.toContain(PLATFORM_QUIRK);
      },
    );

    it.each(['6.12', '6.1'] as const)(
      'shuts a drive down whose firmware revision races there (%s)',
      async (profile) => {
        expect(await slept(profile, [], { nvme: LITEON })).toEqual([[], 1]);
        expect(await slept(profile, [], { nvme: { ...LITEON, firmware: '22301112' } })).toEqual([['get', 2], 0]);
        expect(await slept(profile, [], { nvme: { ...LITEON, firmware: '2230111' } })).toEqual([['get', 2], 0]);
      },
    );
  });

  describe('with host memory lent to the controller', () => {
    const BORROWER: Nvme = { ...LAPTOP, dbbuf: false, hmb: { preferredKiB: 4096 }, namespaces: [{ sizeMiB: 16 }] };

    function lent(machine: Machine): string {
      return machine.sysfs.read('/sys/class/nvme/nvme0/hmb');
    }

    /** How Power Management and Host Memory Buffer were set since `from`. */
    function told(machine: Machine, from: number): [fid: number, cdw11: number][] {
      return featuresSet(machine, from).filter(([fid]) => fid === POWER_MANAGEMENT || fid === HOST_MEM_BUF);
    }

    it.each(['6.12', '6.1'] as const)('takes it back first, and lends it again as it was (%s)', async (profile) => {
      const machine = await laptop(profile, [], { nvme: BORROWER });
      expect(lent(machine)).toBe('1\n');
      const from = machine.trace.entries.length;
      await machine.suspend('freeze');
      expect(told(machine, from)).toEqual([
        [HOST_MEM_BUF, 0],
        [POWER_MANAGEMENT, 2],
      ]);
      expect(lent(machine)).toBe('0\n');
      await machine.resume();
      await machine.settle();
      expect(told(machine, from).slice(2)).toEqual([
        [POWER_MANAGEMENT, 0],
        [HOST_MEM_BUF, ENABLE_AND_RETURN],
      ]);
      expect(lent(machine)).toBe('1\n');
      expect(log(machine).filter((line) => line.includes('host memory buffer')).length).toBe(1);
      expect(machine.trace.entries.slice(from).some(({ symbol }) => symbol === 'nvme_reset_work')).toBe(false);
      await dataIsThere(machine);
      expect(await leftBehind(machine)).toEqual([]);
    });

    it('goes on without where the controller does not take it again: a live one is not reset', async () => {
      // Lent at probe, taken back before sleep, lent again.
      const third = { kind: 'status', command: 'setFeatures', fid: HOST_MEM_BUF, status: 0x4002, nth: 3 } as const;
      const machine = await laptop('6.12', [third], { nvme: BORROWER });
      await machine.suspend('freeze');
      const from = machine.trace.entries.length;
      await machine.resume();
      await machine.settle();
      expect(log(machine).slice(-2)).toEqual([
        'nvme nvme0: failed to set host mem (err 16386, flags 0x3).',
        `nvme ${ENDPOINT_BDF}: PM: failed to resume: error -16`,
      ]);
      // nvme_try_sched_reset wants the state RESETTING, which a sleep with the power on does not make.
      expect(machine.trace.entries.slice(from).some(({ symbol }) => symbol === 'nvme_reset_work')).toBe(false);
      expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
      expect(lent(machine)).toBe('0\n');
      await dataIsThere(machine);
      expect(await leftBehind(machine)).toEqual([]);
    });

    it('takes it back before it shuts the controller down, where the era knows no better (4.13)', async () => {
      const machine = await laptop('4.13', [], { nvme: BORROWER });
      const from = machine.trace.entries.length;
      await machine.suspend('freeze');
      expect(told(machine, from)).toEqual([[HOST_MEM_BUF, 0]]);
      expect(shutDowns(machine, from)).toBe(1);
      await machine.resume();
      await machine.settle();
      expect(told(machine, from).slice(1)).toEqual([[HOST_MEM_BUF, ENABLE_AND_RETURN]]);
      await dataIsThere(machine);
      expect(await leftBehind(machine)).toEqual([]);
    });
  });

  it('shuts the controller down when it refuses the state, and resets it on the way back', async () => {
    const machine = await laptop('6.12', [
      { kind: 'status', command: 'setFeatures', fid: POWER_MANAGEMENT, status: 0x4002 },
    ]);
    const from = machine.trace.entries.length;
    await machine.suspend('freeze');
    expect(shutDowns(machine, from)).toBe(1);
    await machine.resume();
    await machine.settle();
    expect(machine.trace.entries.slice(from).some(({ symbol }) => symbol === 'nvme_reset_work')).toBe(true);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    await dataIsThere(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each<[string, () => Promise<Machine>]>([
    ['its link may not sleep', () => laptop('6.12', [], { aspm: false })],
    ['it has one power state only', () => running({}, { trace: 'full' })],
    ['the era knows no better', () => laptop('4.13')],
  ])('shuts the controller down when %s', async (_why, make) => {
    const machine = await make();
    const data = pattern(4096);
    await machine.disk('nvme0n1').write(0, data);
    const from = machine.trace.entries.length;
    await machine.suspend('freeze');
    expect(powerCommands(machine, from)).toEqual([]);
    expect(shutDowns(machine, from)).toBe(1);
    await machine.resume();
    await machine.settle();
    await dataIsThere(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('a sleep that gives the power to firmware', () => {
  // @acceptance 10
  it.each(PROFILES)('shuts the controller down, whatever power states it has (%s)', async (profile) => {
    const machine = await laptop(profile);
    const from = machine.trace.entries.length;
    await machine.suspend();
    expect(powerCommands(machine, from)).toEqual([]);
    expect(shutDowns(machine, from)).toBe(1);
    expect(machine.procfs.read('/proc/interrupts')).not.toContain('nvme0q');
    await machine.resume();
    await machine.settle();
    expect(stateOf(machine)).toBe('live');
    await dataIsThere(machine);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is refused while the controller goes away', async () => {
    const machine = await running({ shutdownDelayNs: 50e6 }, { trace: 'off' });
    const gone = machine.sysfs.write('/sys/bus/pci/drivers/nvme/unbind', NVME_BDF);
    await machine.run(1000);
    expect([null, 'EBUSY']).toContain(await codeOf(machine.suspend()));
    await gone;
    await machine.resume();
    expect(log(machine).join('\n')).not.toContain('BUG');
    expect(await leftBehind(machine)).toEqual([]);
  });
});

it('has the controller where a root port puts it', async () => {
  const machine = await laptop('6.12');
  expect(machine.sysfs.exists(`/sys/bus/pci/devices/${ENDPOINT_BDF}/nvme/nvme0`)).toBe(true);
});
