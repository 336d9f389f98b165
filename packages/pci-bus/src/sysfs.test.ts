import type { KernelProfile } from '@nvme-stack/kernel';
import { addCapability } from '@nvme-stack/pci-function';
import { describe, expect, it } from 'vitest';
import { createTestBus, LoggingDriver, NVME_CLASS } from './fixtures/test-bus.js';
import type { FakeSlot } from './testing/fake-host-bridge.js';
import { SriovFunction } from './testing/sriov-function.js';
import { TestFunction } from './testing/test-function.js';

const DIR = '/sys/devices/pci0000:00/0000:00:04.0';

async function enumerated(fn = new TestFunction(), more: readonly FakeSlot[] = [], profile: KernelProfile = '6.12') {
  const test = createTestBus({ slots: [{ devfn: 32, function: fn }, ...more], kernel: { nrCpus: 2, profile } });
  await test.probe();
  const read = (name: string): Promise<string> => test.run(async () => test.core.sysfs.read(`${DIR}/${name}`));
  const write = (name: string, text: string): Promise<void> =>
    test.run(() => test.core.sysfs.write(`${DIR}/${name}`, text));
  const mode = (name: string): Promise<number> => test.run(async () => test.core.sysfs.stat(`${DIR}/${name}`).mode);
  return { test, read, write, mode };
}

/** Names, modes and values that Linux 6.1 showed for QEMU's controller. */
const CAPTURED: readonly [string, number, string | null][] = [
  ['ari_enabled', 0o444, '0'],
  ['broken_parity_status', 0o644, '0'],
  ['class', 0o444, '0x010802'],
  ['current_link_speed', 0o444, 'Unknown'],
  ['current_link_width', 0o444, '0'],
  ['d3cold_allowed', 0o644, '1'],
  ['device', 0o444, '0x0010'],
  ['driver_override', 0o644, '(null)'],
  ['local_cpulist', 0o444, '0-1'],
  ['local_cpus', 0o444, '3'],
  ['max_link_speed', 0o444, 'Unknown'],
  ['max_link_width', 0o444, '255'],
  ['modalias', 0o444, 'pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02'],
  ['msi_bus', 0o644, '1'],
  ['numa_node', 0o644, '-1'],
  ['power_state', 0o444, 'D0'],
  ['remove', 0o220, null],
  ['rescan', 0o200, null],
  ['reset', 0o200, null],
  ['revision', 0o444, '0x02'],
  ['subsystem_device', 0o444, '0x1100'],
  ['subsystem_vendor', 0o444, '0x1af4'],
  ['vendor', 0o444, '0x1b36'],
];

describe('a function’s directory', () => {
  it.each(CAPTURED)('%s', async (name, mode, value) => {
    const test = await enumerated();
    expect(await test.mode(name)).toBe(mode);
    if (value !== null) expect(await test.read(name)).toBe(`${value}\n`);
  });

  it('resets by the methods the user chose', async () => {
    const { read, write, mode } = await enumerated();
    const all = (await read('reset_method')).trim();
    expect([all.split(' ')[0], await mode('reset_method'), await mode('link')]).toEqual(['flr', 0o644, 0o755]);
    await expect(write('reset_method', 'magic')).rejects.toThrow("reset_method 'magic': allowed are default, flr");
    await write('reset_method', '\n');
    expect(await read('reset_method')).toBe('\n');
    await expect(write('reset', '1')).rejects.toMatchObject({ code: 'ENOTTY' });
    await write('reset_method', 'default');
    expect((await read('reset_method')).trim()).toBe(all);
    await write('reset_method', 'flr');
    await write('reset', '1');
    expect(await read('reset_method')).toBe('flr\n');
  });

  it('lists thirteen resources with the flags Linux shows', async () => {
    const { read } = await enumerated();
    const lines = (await read('resource')).trimEnd().split('\n');
    expect(lines).toHaveLength(13);
    expect(lines[0]).toBe('0x00000000c0000000 0x00000000c0003fff 0x0000000000140204');
    expect(lines[12]).toBe('0x0000000000000000 0x0000000000000000 0x0000000000000000');
  });

  it('has configuration space as bytes', async () => {
    const { read } = await enumerated();
    const config = await read('config');
    expect(config).toHaveLength(4096);
    expect([...config.slice(0, 4)].map((byte) => byte.charCodeAt(0))).toEqual([0x36, 0x1b, 0x10, 0x00]);
  });

  it('says in its uevent what udev loads the module by', async () => {
    const { read } = await enumerated();
    expect(await read('uevent')).toContain(
      'PCI_CLASS=10802\nPCI_ID=1B36:0010\nPCI_SUBSYS_ID=1AF4:1100\nPCI_SLOT_NAME=0000:00:04.0\nMODALIAS=pci:v00001B36',
    );
  });

  it('refuses to enable what belongs to a driver, and to disable what is not enabled', async () => {
    const { test, write, read } = await enumerated();
    await expect(write('enable', '0')).rejects.toMatchObject({ code: 'EIO' });
    await write('enable', '1');
    expect(await read('enable')).toBe('1\n');
    await test.run(() => test.bus.pciRegisterDriver(new LoggingDriver('nvme', [NVME_CLASS])));
    await expect(write('enable', '0')).rejects.toMatchObject({ code: 'EBUSY' });
    await expect(write('reset', '0')).rejects.toMatchObject({ code: 'EINVAL' });
  });
});

const VFS = 3;

describe('virtual functions', () => {
  const vf = (): TestFunction => {
    const fn = new TestFunction({ bars: [], capabilities: [] });
    addCapability(fn.endpoint.config, 0x09, 0x40);
    return fn;
  };

  async function withDriver(configurable: boolean, profile?: KernelProfile) {
    const pf = new SriovFunction(VFS, 1);
    const found = await enumerated(pf, [], profile);
    const driver = new LoggingDriver('nvme', [NVME_CLASS]);
    const { bus, bridge } = found.test;
    const sriovConfigure = bus.pciSriovConfigureSimple;
    await found.test.run(() =>
      bus.pciRegisterDriver(configurable ? Object.assign(driver, { sriovConfigure }) : driver),
    );
    for (let number = 1; number <= VFS; number++) bridge.add({ devfn: 32 + number, function: vf() });
    return { ...found, pf, driver };
  }

  it('appear on writing sriov_numvfs, with BARs inside the physical function’s, and go with 0', async () => {
    const { test, pf, driver, read, write } = await withDriver(true);
    expect(await read('sriov_totalvfs')).toBe('3\n');
    await write('sriov_numvfs', '2');
    expect(pf.configRead(0x108, 2) & 9).toBe(9);
    expect(driver.log.slice(1)).toEqual(['probe 0000:00:04.1 7', 'probe 0000:00:04.2 7']);
    const [, first, second] = test.bus.devices;
    expect([first?.isVirtfn, first?.device]).toEqual([true, 0x0011]);
    expect((second?.bars[0]?.start ?? 0) - (first?.bars[0]?.start ?? 0)).toBe(0x4000);
    await expect(write('sriov_numvfs', '3')).rejects.toMatchObject({ code: 'EBUSY' });
    await write('sriov_numvfs', '0');
    expect(test.bus.devices).toHaveLength(1);
    expect(pf.configRead(0x108, 2) & 9).toBe(0);
  });

  it('need a driver that can, and a number there are enough of', async () => {
    const { write } = await withDriver(false);
    await expect(write('sriov_numvfs', '1')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(write('sriov_numvfs', '4')).rejects.toMatchObject({ code: 'ERANGE' });
    await expect(write('sriov_numvfs', 'x')).rejects.toMatchObject({ code: 'EINVAL' });
  });

  it.each<[KernelProfile, readonly string[], string]>([
    ['6.12', ['totalvfs', 'numvfs', 'offset', 'stride', 'vf_device', 'drivers_autoprobe'], 'VF BAR 0 [mem'],
    ['6.1', ['totalvfs', 'numvfs', 'offset', 'stride', 'vf_device', 'drivers_autoprobe'], 'VF BAR 0 [mem'],
    ['4.13', ['totalvfs', 'numvfs', 'drivers_autoprobe'], 'BAR 7: assigned'],
    ['4.10', ['totalvfs', 'numvfs'], 'BAR 7: assigned'],
  ])('have the files and log lines of %s', async (profile, files, line) => {
    const { test } = await withDriver(true, profile);
    const found = await test.run(async () => test.core.sysfs.list(DIR).filter((name) => name.startsWith('sriov_')));
    expect(found.sort()).toEqual(files.map((name) => `sriov_${name}`).sort());
    const log = test.kernel.printk.lines.map(({ text }) => text).join('\n');
    expect(log).toContain(line);
    expect(log).toMatch(
      profile.startsWith('6.')
        ? /VF BAR 0 \[mem size 0x0000c000 64bit\]: contains BAR 0 for 3 VFs/
        : /reg 0x124: \[mem size 0x00004000 64bit\]\n.*VF\(n\) BAR0 space: \[mem size 0x0000c000 64bit\] \(contains BAR0 for 3 VFs\)/,
    );
  });

  it('are left alone while drivers are not to have them, unless one is named', async () => {
    for (const [profile, named] of [
      ['6.12', true],
      ['4.13', false],
    ] as const) {
      const { test, driver, write } = await withDriver(true, profile);
      await write('sriov_drivers_autoprobe', '0');
      await write('sriov_numvfs', '2');
      expect(driver.log).toHaveLength(1);
      const sysfs = (path: string, text: string): Promise<void> =>
        test.run(() => test.core.sysfs.write(`/sys/bus/pci/${path}`, text));
      await sysfs('devices/0000:00:04.2/driver_override', 'nvme');
      const bound = sysfs('drivers/nvme/bind', '0000:00:04.2');
      if (named) await bound;
      else await expect(bound).rejects.toMatchObject({ code: 'ENODEV' });
      await expect(sysfs('drivers/nvme/bind', '0000:00:04.1')).rejects.toMatchObject({ code: 'ENODEV' });
      await write('sriov_drivers_autoprobe', '1');
      await sysfs('drivers/nvme/bind', '0000:00:04.1');
      expect(driver.log.slice(1).map((line) => line.split(' ')[1])).toEqual(
        named ? ['0000:00:04.2', '0000:00:04.1'] : ['0000:00:04.1'],
      );
    }
  });

  it('go with their physical function', async () => {
    const { test, write } = await withDriver(true);
    await write('sriov_numvfs', '2');
    await test.run(() => test.bus.pciStopAndRemoveBusDevice(test.bus.devices[0]!));
    expect(test.bus.devices).toEqual([]);
    expect(test.kernel.iomem.show()).not.toContain('0000:00:04');
  });
});
