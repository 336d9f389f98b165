/** Devices of other makes under QEMU's names, on QEMU and on our own controller. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Disk, MachineDescription, MachineNvme } from '@nvme-stack/machine';
import { createMachine, qemuOptions } from '@nvme-stack/machine/node';
import { NVME_IOCTL_ADMIN_CMD } from '@nvme-stack/nvme-core/ports';
import { NvmeIdNs } from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { KIB, MIB, missing, pattern, same, TROUBLE, withQemu } from './with-qemu.js';

const PLATFORMS = missing === null ? (['sim', 'qemu'] as const) : (['sim'] as const);

const machineOf = (platform: 'sim' | 'qemu', nvme: readonly MachineNvme[], more: MachineDescription = {}) =>
  createMachine({ platform, cpus: 4, memoryMiB: 32, nvme, ...more });

const refusal = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: Error) => `${error.name}: ${error.message}`,
  );

describe.each(PLATFORMS)('on platform %s', (platform) => {
  it('several namespaces, one of them with blocks of 4 KiB', async () => {
    const namespaces = [{ sizeMiB: 4 }, { sizeMiB: 8, logicalBlockSize: 4096 as const }, { nsid: 7, sizeMiB: 2 }];
    await using machine = await machineOf(platform, [{ namespaces }]);
    await machine.modprobe('nvme');
    // Scanned at once, so which is which is a matter of time.
    const disks = ['nvme0n1', 'nvme0n2', 'nvme0n3'].map((name) => machine.disk(name));
    const [two = null, four = null, eight = null] = disks.sort((a, b) => a.sizeBytes - b.sizeBytes);
    expect(
      [four, eight, two]
        .map((disk) => disk as Disk)
        .map(({ sizeBytes, blockSizeBytes }) => [sizeBytes, blockSizeBytes]),
    ).toEqual([
      [4 * MIB, 512],
      [8 * MIB, 4096],
      [2 * MIB, 512],
    ]);
    for (const [n, disk] of disks.entries()) await disk.write(64 * KIB, pattern(0, 64 * KIB, n));
    for (const [n, disk] of disks.entries()) {
      expect(same(await disk.read(64 * KIB, 64 * KIB), pattern(0, 64 * KIB, n))).toBe(true);
    }
    await machine.rmmod('nvme');
    expect(machine.dmesg().join('\n')).not.toMatch(TROUBLE);
  });

  it.each([
    ['ms, mset, pi and pil', { properties: { ms: 16, mset: 1, pi: 2, pil: 1 }, namespaces: [{ sizeMiB: 4 }] }],
    [
      'fields of the namespace',
      {
        namespaces: [
          { sizeMiB: 4, metadataBytes: 16, metadataExtended: true, protectionType: 2, protectionFirst: true } as const,
        ],
      },
    ],
  ])('metadata and protection information, by %s', async (_how, nvme) => {
    await using machine = await machineOf(platform, [nvme]);
    await machine.modprobe('nvme');
    const data = new Uint8Array(4096);
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 6, nsid: 1, data })).toBe(0);
    const { nsze, flbas, dps } = NvmeIdNs.decode(data);
    // 512-byte blocks with 16 bytes of metadata behind them, the first eight of which are protection of type 2.
    expect([nsze, flbas, dps]).toEqual([Math.floor((4 * MIB) / 528), 0x12, 0x0a]);
    await machine.rmmod('nvme');
  });

  it('two controllers', async () => {
    const one = (serial: string): MachineNvme => ({ serial, namespaces: [{ sizeMiB: 4 }] });
    await using machine = await machineOf(platform, [one('first'), one('second')]);
    await machine.modprobe('nvme');
    const serials = ['nvme0', 'nvme1'].map((name) => machine.sysfs.read(`/sys/class/nvme/${name}/serial`).trim());
    expect(serials.sort()).toEqual(['first', 'second']);
    await Promise.all(['nvme0n1', 'nvme1n1'].map((name) => machine.disk(name).write(0, pattern(0, 64 * KIB, 3))));
    for (const name of ['nvme0n1', 'nvme1n1']) {
      expect(same(await machine.disk(name).read(0, 64 * KIB), pattern(0, 64 * KIB, 3))).toBe(true);
    }
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });

  it('fewer queue pairs, vectors and a small transfer limit', async () => {
    const properties = { max_ioqpairs: 2, msix_qsize: 2, mdts: 2, aerl: 1 };
    await using machine = await machineOf(platform, [{ properties, namespaces: [{ sizeMiB: 4 }] }]);
    await machine.modprobe('nvme');
    expect(machine.dmesg().join('\n')).toContain('nvme nvme0: 1/0/0 default/read/poll queues');
    expect(machine.sysfs.read('/sys/block/nvme0n1/queue/max_hw_sectors_kb')).toBe('16\n');
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(0, 256 * KIB, 3));
    expect(same(await disk.read(0, 256 * KIB), pattern(0, 256 * KIB, 3))).toBe(true);
    await machine.rmmod('nvme');
  });

  it('a controller memory buffer', async () => {
    const properties = { cmb_size_mb: 16 };
    await using machine = await machineOf(platform, [{ properties, namespaces: [{ sizeMiB: 4 }] }]);
    await machine.modprobe('nvme');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/cmb')).toMatch(
      /^cmbloc : x[0-9a-f]{8}\ncmbsz {2}: x[0-9a-f]{8}\n$/,
    );
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(0, 64 * KIB, 3));
    expect(same(await disk.read(0, 64 * KIB), pattern(0, 64 * KIB, 3))).toBe(true);
    await machine.rmmod('nvme');
  });

  it('virtual functions, which the host provides for and puts online', async () => {
    const sriov = { sriovMaxVfs: 2, sriovVqFlexible: 6, sriovViFlexible: 4, sriovVfsOnline: false };
    const nvme = [{ ...sriov, maxIoQueuePairs: 8, msixVectors: 7, namespaces: [{ sizeMiB: 4 }] }];
    await using machine = await machineOf(platform, nvme);
    // With multipath both functions would be paths of one disk.
    await machine.modprobe('nvme_core', { multipath: false });
    await machine.modprobe('nvme');
    const device = '/sys/bus/pci/devices/0000:00:03.0';
    await machine.sysfs.write(`${device}/sriov_drivers_autoprobe`, '0');
    await machine.sysfs.write(`${device}/sriov_numvfs`, '2');
    const manage = (cdw10: number, cdw11 = 0): Promise<number> =>
      machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: 0x1c, cdw10: cdw10 | (1 << 16), cdw11 });
    expect([await manage(9), await manage(8, 3), await manage(0x108, 2), await manage(9)]).toEqual([0x4120, 0, 0, 0]);
    await machine.sysfs.write(`${device}/sriov_drivers_autoprobe`, '1');
    await machine.sysfs.write('/sys/bus/pci/drivers/nvme/bind', '0000:00:03.1');
    await machine.settle();
    await machine.disk('nvme0n1').write(64 * KIB, pattern(0, 64 * KIB, 3));
    expect(same(await machine.disk('nvme1n1').read(64 * KIB, 64 * KIB), pattern(0, 64 * KIB, 3))).toBe(true);
    await machine.sysfs.write(`${device}/sriov_numvfs`, '0');
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });

  it('a controller behind a root port, which is pulled; and another one, with an image, in an empty slot', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bays-'));
    const file = join(folder, 'card.img');
    writeFileSync(file, pattern(0, 8 * MIB, 5));
    const rootPorts = [{ slot: 4 }, { slot: 6 }];
    await using machine = await machineOf(platform, [{ port: 'port4', namespaces: [{ sizeMiB: 4 }] }], { rootPorts });
    await machine.modprobe('nvme');
    await machine.settle();
    expect(machine.disk('nvme0n1').sizeBytes).toBe(4 * MIB);
    expect([machine.slot('port4').device?.bdf, machine.slot('port6').device]).toEqual(['0000:01:00.0', null]);
    await machine.device('01:00.0').unplug();
    await machine.settle();
    expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(false);
    const card = await machine.plug({ port: 'port6', serial: 'SECOND', namespaces: [{ file }] });
    await machine.settle();
    expect([card.bdf, machine.sysfs.read('/sys/class/nvme/nvme0/serial').trim()]).toEqual(['0000:02:00.0', 'SECOND']);
    expect(same(await machine.disk('nvme0n1').read(64 * KIB, 64 * KIB), pattern(64 * KIB, 64 * KIB, 5))).toBe(true);
    await machine.rmmod('nvme');
    expect(machine.dmesg().join('\n')).toContain('Slot(6): ');
    rmSync(folder, { recursive: true });
  });

  it('the Intel identity, for which the driver asks nothing but CNS 0 and 1', async () => {
    const properties = { 'use-intel-id': platform === 'qemu' ? 'on' : true };
    await using machine = await machineOf(platform, [{ properties, namespaces: [{ sizeMiB: 4 }] }]);
    await machine.modprobe('nvme');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/device/vendor')).toBe('0x8086\n');
    expect(machine.disk('nvme0n1').sizeBytes).toBe(4 * MIB);
    await machine.rmmod('nvme');
  });
});

describe('what only one of them has', () => {
  it('is refused by our controller with a sentence', async () => {
    const nvme = [{ properties: { 'zoned.zasl': 2 }, namespaces: [{ sizeMiB: 4 }] }];
    expect(await refusal(machineOf('sim', nvme))).toBe(
      'RangeError: machine.nvme[0].properties.zoned.zasl is only QEMU\'s to offer; allowed with platform "sim": ' +
        'serial, mdts, aerl, max_ioqpairs, msix_qsize, cmb_size_mb, legacy-cmb, sriov_max_vfs, sriov_vq_flexible, ' +
        'sriov_vi_flexible, sriov_max_vq_per_vf, sriov_max_vi_per_vf, use-intel-id, logical_block_size, ' +
        'ms, mset, pi, pil',
    );
  });

  it('is refused where QEMU cannot be told', async () => {
    expect(await refusal(machineOf('qemu', [{ sriovMaxVfs: 2, namespaces: [] }]))).toBe(
      'RangeError: machine.nvme[0].sriovVfsOnline is not false; allowed with platform "qemu": false, for QEMU leaves it ' +
        'to the host to put virtual functions online',
    );
    expect(await refusal(machineOf('qemu', [{ model: 'x', namespaces: [] }]))).toMatch(
      /^RangeError: machine\.nvme\[0\]\.model is not QEMU's to choose; allowed with platform "qemu": /,
    );
    expect(await refusal(machineOf('qemu', [{ namespaces: [{ nguid: '0' }] }]))).toMatch(
      /^RangeError: machine\.nvme\[0\]\.namespaces\[0\]\.nguid is not QEMU's to choose/,
    );
  });

  it('is said in one sentence where a machine cannot start QEMU', async () => {
    const portable = await import('@nvme-stack/machine');
    expect(await refusal(portable.createMachine({ platform: 'qemu' }))).toBe(
      'RangeError: machine.platform is "qemu"; allowed here: "sim" (@nvme-stack/machine/node starts QEMU)',
    );
  });

  it('becomes QEMU’s own words', () => {
    const described: MachineDescription = {
      nvme: [{ serial: 's', mdts: 3, namespaces: [{ sizeMiB: 1, readOnly: true }], properties: { zoned: true } }],
    };
    const resolved = { memoryMiB: 32, rootPorts: [], functions: [], ...described };
    expect(qemuOptions(resolved as never).controllers).toEqual([
      {
        slot: 3,
        serial: 's',
        properties: { mdts: 3, zoned: true },
        namespaces: [{ sizeBytes: MIB, readOnly: true, properties: {} }],
      },
    ]);
  });

  it('puts controllers behind QEMU’s root ports', () => {
    const rootPorts = [{ slot: 5, name: 'port5' }, { slot: 6 }];
    const nvme = [{ port: 'port5', namespaces: [] }, { namespaces: [] }];
    const options = qemuOptions({ memoryMiB: 32, functions: [], rootPorts, nvme } as never);
    const common = { properties: {}, namespaces: [] };
    expect([options.controllers, options.emptyPorts]).toEqual([
      [
        { slot: 5, behindPort: true, ...common },
        { slot: 3, ...common },
      ],
      [6],
    ]);
    const named = { memoryMiB: 32, functions: [], rootPorts: [{ slot: 5, name: 'bay' }], nvme };
    expect(() => qemuOptions(named as never)).toThrow("machine.rootPorts[0].name is not QEMU's to choose");
  });

  it.skipIf(missing !== null)('comes through QEMU: virtual functions', async () => {
    const properties = { sriov_max_vfs: 2, sriov_vq_flexible: 4, sriov_vi_flexible: 2, max_ioqpairs: 6, msix_qsize: 5 };
    const controllers = [{ slot: 3, subsystem: 'virtual', properties, namespaces: [] }];
    await withQemu({ controllers }, async ({ machine }) => {
      await machine.modprobe('nvme');
      const device = '/sys/bus/pci/devices/0000:00:03.0';
      expect(machine.sysfs.read(`${device}/sriov_totalvfs`)).toBe('2\n');
      await machine.sysfs.write(`${device}/sriov_numvfs`, '2');
      await machine.settle();
      expect(machine.sysfs.exists('/sys/bus/pci/devices/0000:00:03.1')).toBe(true);
      await machine.sysfs.write(`${device}/sriov_numvfs`, '0');
      await machine.rmmod('nvme');
    });
  });
});
