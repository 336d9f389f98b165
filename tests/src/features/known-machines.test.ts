/** Quirks by what Identify says of a drive, and by what DMI says of the machine around it. */
import { createMachine, type Machine, type MachineDescription, type PROFILES } from '@nvme-stack/machine';
import type { NvmeController } from '@nvme-stack/nvme-controller/ports';
import { describe, expect, it } from 'vitest';
import { codeOf, KIB, leftBehind, log, machineWith, NVME_BDF, SECOND_NS } from './bench.js';
import { featuresSet } from './device-events.js';

type Nvme = NonNullable<MachineDescription['nvme']>[number];
type Profile = (typeof PROFILES)[number];

const APST = 0x0c;
const CC = 0x14;
const CSTS = 0x1c;
const DMI_ID = '/sys/class/dmi/id';
const SLEEPY: Nvme = {
  apst: true,
  powerStates: [
    { maxPower: 800, entryLatencyUs: 0, exitLatencyUs: 0 },
    { maxPower: 50, entryLatencyUs: 100, exitLatencyUs: 200, nonOperational: true },
    { maxPower: 3, entryLatencyUs: 2000, exitLatencyUs: 4000, nonOperational: true },
  ],
};
const XPS = { sysVendor: 'Dell Inc.', productName: 'XPS 15 9550' };

interface Known {
  readonly ids?: readonly [vendorId: number, deviceId: number];
  readonly model?: string;
  readonly firmware?: string;
  readonly dmi?: MachineDescription['dmi'];
  readonly core?: Readonly<Record<string, unknown>>;
}

/** A machine with a drive that goes to sleep by itself. */
async function machineOf(
  profile: Profile,
  { ids = [0x1234, 0x5678], dmi = {}, core, ...nvme }: Known,
): Promise<Machine> {
  const [vendorId, deviceId] = ids;
  const machine = await machineWith(
    { ...SLEEPY, ...nvme, pci: { vendorId, deviceId } },
    { profile, dmi, trace: 'full' },
  );
  if (core !== undefined) await machine.modprobe('nvme_core', core);
  await machine.modprobe('nvme');
  await machine.settle();
  return machine;
}

/** The state the drive is in after ten idle seconds. */
async function idles(profile: Profile, known: Known): Promise<number> {
  const machine = await machineOf(profile, known);
  await machine.disk('nvme0n1').read(0, 4 * KIB);
  await machine.run(10 * SECOND_NS);
  const { powerState } = machine.device(NVME_BDF).function as NvmeController;
  expect(await leftBehind(machine)).toEqual([]);
  return powerState;
}

/** Dword 11 of Set Features 0Ch: whether the table was enabled. */
function apst(machine: Machine): number[] {
  return featuresSet(machine, 0)
    .filter(([fid]) => fid === APST)
    .map(([, cdw11]) => cdw11);
}

describe('a drive known by vendor, model and firmware', () => {
  const TOSHIBA = { ids: [0x1179, 0x0115], model: 'THNSF5256GPUK TOSHIBA' } as const;
  const KIOXIA = { ids: [0x1e0f, 0x0013], model: 'KCD6XVUL6T40' } as const;
  const X5 = { ids: [0x144d, 0xa80a], model: 'Samsung Portable SSD X5' } as const;

  it.each<[Profile, Known, number]>([
    ['6.12', TOSHIBA, 0],
    ['6.1', TOSHIBA, 0],
    ['4.13', TOSHIBA, 0],
    ['6.12', KIOXIA, 0],
    ['6.1', KIOXIA, 0],
    ['4.13', KIOXIA, 2],
    ['6.12', X5, 1],
    ['6.1', X5, 1],
    ['4.13', X5, 2],
  ])('rests in the state that it bears (%s, %o)', async (profile, known, state) => {
    expect(await idles(profile, known)).toBe(state);
  });

  it.each([
    { model: 'THNSF5256GPUK TOSHIB' },
    { model: 'THNSF5256GPUK TOSHIBA 2' },
    { model: ' THNSF5256GPUK TOSHIBA' },
    { ids: [0x1178, 0x0115] },
  ] as const)('is not one whose name only resembles it (%o)', async (other) => {
    expect(await idles('6.12', { ...TOSHIBA, ...other })).toBe(2);
  });

  it('NO_APST: its transitions are switched off, unless force_apst allows them', async () => {
    const off = await machineOf('6.12', TOSHIBA);
    expect(apst(off)).toEqual([0]);
    const forced = await machineOf('6.12', { ...TOSHIBA, core: { force_apst: true } });
    expect(apst(forced)).toEqual([1]);
    expect(log(forced)).toContain(
      'nvme nvme0: forcibly allowing APST due to nvme_core.force_apst -- use at your own risk',
    );
  });

  it('NO_DEEPEST_PS: force_apst allows every state', async () => {
    const known = { ...X5, core: { force_apst: true } };
    expect(await idles('6.12', known)).toBe(2);
    expect(log(await machineOf('6.12', known))).toContain(
      'nvme nvme0: forcibly allowing all power states due to nvme_core.force_apst -- use at your own risk',
    );
  });

  it('knows the external drive in time to name its subsystem, and before it is disabled again', async () => {
    const machine = await machineOf('6.12', X5);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/subsysnqn')).toContain('nqn.2014.08.org.nvmexpress:144d');
    const from = machine.trace.entries.length;
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await machine.settle();
    const entries = machine.trace.entries.slice(from);
    const off = entries.findIndex(
      ({ symbol, args }) => symbol === 'mmio_write' && args[0] === CC && ((args[1] as number) & 1) === 0,
    );
    const looked = entries.slice(off).find(({ symbol, args }) => symbol === 'mmio_read' && args[0] === CSTS);
    expect((looked?.startNs as number) - (entries[off]?.startNs as number)).toBeGreaterThanOrEqual(2.3 * SECOND_NS);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
  });
});

describe('a drive in a machine known by DMI', () => {
  const SM951 = [0x144d, 0xa802] as const;
  const EVO960 = [0x144d, 0xa804] as const;
  const ASUS = { boardVendor: 'ASUSTeK COMPUTER INC.', boardName: 'PRIME Z370-A' };

  it.each<[Profile, number]>([
    ['6.12', 1],
    ['6.1', 1],
    ['4.13', 1],
  ])('NO_DEEPEST_PS: SM951 in two Dell notebooks (%s)', async (profile, state) => {
    expect(await idles(profile, { ids: SM951, dmi: XPS })).toBe(state);
    expect(await idles(profile, { ids: SM951, dmi: { ...XPS, productName: 'Precision 5510' } })).toBe(state);
    expect(await idles(profile, { ids: SM951, dmi: { ...XPS, productName: 'XPS 15 9560' } })).toBe(2);
    expect(await idles(profile, { ids: SM951, dmi: { productName: 'XPS 15 9550' } })).toBe(2);
    expect(await idles(profile, { ids: EVO960, dmi: XPS })).toBe(2);
  });

  it.each<[Profile, number]>([
    ['6.12', 0],
    ['6.1', 0],
    ['4.13', 2],
  ])('NO_APST: 960 EVO on two ASUS boards (%s)', async (profile, state) => {
    expect(await idles(profile, { ids: EVO960, dmi: ASUS })).toBe(state);
    expect(await idles(profile, { ids: EVO960, dmi: { ...ASUS, boardName: 'PRIME Z370' } })).toBe(2);
  });

  it.each<[Profile, number]>([
    ['6.12', 0],
    ['6.1', 0],
    ['4.13', 2],
  ])('NO_APST: any drive on one Lenovo board (%s)', async (profile, state) => {
    expect(await idles(profile, { dmi: { boardName: 'LXKT-ZXEG-N6' } })).toBe(state);
    // Also one that other machines are named for.
    expect(await idles(profile, { ids: EVO960, dmi: { boardName: 'LXKT-ZXEG-N6' } })).toBe(state);
  });
});

describe('DMI in sysfs', () => {
  it('has a file for each field that firmware gives', async () => {
    const machine = await createMachine({ dmi: { ...XPS, boardVendor: 'Dell Inc.', boardName: '0N7TVV' } });
    const files = machine.sysfs.list(DMI_ID).filter((name) => /_/.test(name));
    expect(files.map((name) => [name, machine.sysfs.read(`${DMI_ID}/${name}`)])).toEqual([
      ['board_name', '0N7TVV\n'],
      ['board_vendor', 'Dell Inc.\n'],
      ['product_name', 'XPS 15 9550\n'],
      ['sys_vendor', 'Dell Inc.\n'],
    ]);
    expect(machine.sysfs.readlink(DMI_ID)).toContain('devices/virtual/dmi/id');
    expect(await codeOf(machine.sysfs.write(`${DMI_ID}/sys_vendor`, 'x'))).toBe('EACCES');
    expect(machine.leaks()).toEqual([]);
  });

  it('is not there when firmware says nothing', async () => {
    expect((await createMachine({})).sysfs.exists('/sys/class/dmi')).toBe(false);
    const family = { dmi: { productFamily: 'XPS' } };
    expect((await createMachine(family)).sysfs.read(`${DMI_ID}/product_family`)).toBe('XPS\n');
    expect((await createMachine({ ...family, profile: '4.10' })).sysfs.exists('/sys/class/dmi')).toBe(false);
  });

  it.each([
    [{ sysVendor: '' }, 'machine.dmi.sysVendor is ""; allowed: 1 to 64 characters'],
    [{ boardName: 5 }, 'machine.dmi.boardName is 5; allowed: a string'],
    [{ vendor: 'x' }, 'machine.dmi.vendor is not known'],
  ])('refuses %o', async (dmi, sentence) => {
    await expect(createMachine({ dmi } as unknown as MachineDescription)).rejects.toThrow(sentence);
  });
});
