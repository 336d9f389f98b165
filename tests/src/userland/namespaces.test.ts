import { BLKRRPART } from '@nvme-stack/blk-mq/ports';
import { createMachine, type Machine } from '@nvme-stack/machine';
import type { NvmeController } from '@nvme-stack/nvme-controller/ports';
import { describe, expect, it } from 'vitest';
import { KIB, leftBehind, MIB, NVME_BDF, running } from '../features/bench.js';

/** `action name` of the events from `first` on, of a class's devices. */
function eventsOf(machine: Machine, first: number, pattern: RegExp): string[] {
  return machine.uevents
    .slice(first)
    .map(({ action, devpath }) => `${action} ${devpath.slice(devpath.lastIndexOf('/') + 1)}`)
    .filter((line) => pattern.test(line));
}

function controllerOf(machine: Machine, bdf = NVME_BDF): NvmeController {
  return machine.device(bdf).function as NvmeController;
}

/** Does something to the hardware, and lets the driver see to it. */
async function change(machine: Machine, what: (controller: NvmeController) => void): Promise<void> {
  await machine.task('bench', async () => what(controllerOf(machine)));
  await machine.settle();
}

const DISKS = / nvme0n\d(p\d)?$/;

/** A partition table with two partitions of 1 MiB. */
function twoPartitions(): Uint8Array {
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  for (const i of [0, 1]) {
    bytes[446 + 16 * i + 4] = 0x83;
    view.setUint32(446 + 16 * i + 8, 2048 * (i + 1), true);
    view.setUint32(446 + 16 * i + 12, 2048, true);
  }
  view.setUint16(510, 0xaa55, true);
  return bytes;
}

describe('a disk', () => {
  it('is announced after its partitions were found, before them', async () => {
    const machine = await running();
    await machine.disk('nvme0n1').write(0, twoPartitions());
    await machine.rmmod('nvme');
    const first = machine.uevents.length;
    const seen: string[][] = [];
    const stop = machine.subsystems.deviceCore.subscribeUevents(({ action, devpath }) => {
      if (action !== 'add' || !devpath.endsWith('/nvme0n1')) return;
      seen.push(machine.subsystems.deviceCore.listNodes().filter((name) => name.startsWith('nvme0n1p')));
    });
    await machine.modprobe('nvme');
    stop();
    expect(eventsOf(machine, first, DISKS)).toEqual(['add nvme0n1', 'add nvme0n1p1', 'add nvme0n1p2']);
    expect(seen).toEqual([['nvme0n1p1', 'nvme0n1p2']]);
  });

  it('tells of each partition that a rescan drops and finds', async () => {
    const machine = await running();
    await machine.disk('nvme0n1').write(0, twoPartitions());
    let first = machine.uevents.length;
    await machine.ioctl('/dev/nvme0n1', BLKRRPART, null);
    expect(eventsOf(machine, first, DISKS)).toEqual(['change nvme0n1', 'add nvme0n1p1', 'add nvme0n1p2']);
    await machine.disk('nvme0n1').write(0, new Uint8Array(512));
    first = machine.uevents.length;
    await machine.ioctl('/dev/nvme0n1', BLKRRPART, null);
    expect(eventsOf(machine, first, /p\d$/)).toEqual(['remove nvme0n1p2', 'remove nvme0n1p1']);
  });
});

describe('a namespace change event', () => {
  it('takes a detached namespace away, and brings it back', async () => {
    const machine = await running({ namespaces: [{ sizeMiB: 8 }, { sizeMiB: 8 }] });
    let first = machine.uevents.length;
    await change(machine, (controller) => controller.setNamespaceActive(2, false));
    expect(eventsOf(machine, first, / (nvme0n|ng0n)\d$/)).toEqual(['remove ng0n2', 'remove nvme0n2']);
    expect(machine.sysfs.exists('/sys/block/nvme0n2')).toBe(false);
    first = machine.uevents.length;
    await change(machine, (controller) => controller.setNamespaceActive(2, true));
    expect(eventsOf(machine, first, / (nvme0n|ng0n)\d$/)).toEqual(['add nvme0n2', 'add ng0n2']);
    expect(machine.disk('nvme0n2').sizeBytes).toBe(8 * MIB);
    expect(machine.dmesg().filter((line) => line.includes('rescanning namespaces.')).length).toBe(2);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('resizes a disk and says so', async () => {
    const machine = await running();
    await change(machine, (controller) => controller.resizeNamespace(1, 4 * MIB));
    expect(machine.disk('nvme0n1').sizeBytes).toBe(4 * MIB);
    expect(machine.uevents.at(-1)).toMatchObject({ action: 'change', env: { RESIZE: '1' } });
    expect(machine.dmesg().at(-1)).toMatch(/nvme0n1: detected capacity change from 16384 to 8192$/);
    expect((await machine.disk('nvme0n1').read(4 * MIB - 4 * KIB, 4 * KIB)).length).toBe(4 * KIB);
  });

  it('is as good as a rescan by hand', async () => {
    const machine = await running({ aerLimit: 0, namespaces: [{ sizeMiB: 8 }, { sizeMiB: 8, attached: false }] });
    expect(machine.sysfs.exists('/sys/block/nvme0n2')).toBe(false);
    await change(machine, (controller) => controller.setNamespaceActive(2, true));
    await machine.sysfs.write('/sys/class/nvme/nvme0/rescan_controller', '1');
    await machine.settle();
    expect(machine.sysfs.exists('/sys/block/nvme0n2')).toBe(true);
  });
});

describe('two controllers', () => {
  const two = {
    nvme: [
      { serial: 'A', namespaces: [{ sizeMiB: 8 }] },
      { serial: 'B', namespaces: [{ sizeMiB: 8 }] },
    ],
  };

  it('have numbers, subsystems and disks of their own', async () => {
    const machine = await createMachine({ trace: 'off', ...two });
    await machine.modprobe('nvme');
    for (const i of [0, 1]) {
      expect(machine.sysfs.read(`/sys/class/nvme/nvme${i}/serial`).trim()).toBe('AB'[i]);
      expect(machine.sysfs.readlink(`/sys/class/nvme-subsystem/nvme-subsys${i}/nvme${i}`)).toMatch(/nvme\d$/);
      expect(machine.disk(`nvme${i}n1`).sizeBytes).toBe(8 * MIB);
      expect(machine.subsystems.deviceCore.listNodes()).toEqual(expect.arrayContaining([`nvme${i}`, `ng${i}n1`]));
    }
  });

  it('leave their numbers to who comes next', async () => {
    const machine = await createMachine({ trace: 'off', ...two });
    await machine.modprobe('nvme');
    await machine.device('0000:00:03.0').unplug();
    await machine.settle();
    expect(machine.subsystems.deviceCore.listNodes().filter((name) => name.startsWith('nvme'))).toEqual([
      'nvme1',
      'nvme1n1',
    ]);
    await machine.plug({ serial: 'C', namespaces: [{ sizeMiB: 8 }] });
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/serial').trim()).toBe('C');
    expect(machine.disk('nvme0n1').sizeBytes).toBe(8 * MIB);
  });
});
