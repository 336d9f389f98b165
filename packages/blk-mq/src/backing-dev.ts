/**
 * The backing device of a disk, as /sys/class/bdi shows it.
 * Kernel counterpart: mm/backing-dev.c bdi_register, bdi_unregister. There is no page cache to write back, so the
 * shares of it are kept and nothing more.
 */
import type { Attribute } from '@nvme-stack/device-core/ports';
import { KernelError, traced } from '@nvme-stack/kernel';
import { lineFile } from './disk-sysfs.js';
import type { Disk } from './gendisk.js';

/** Shares of dirty memory, percent. */
class Ratios {
  min = 0;
  max = 100;
}

function ratioFile(ratios: Ratios, which: 'min' | 'max'): Attribute {
  return {
    name: `${which}_ratio`,
    mode: 0o644,
    show: () => `${ratios[which]}\n`,
    store: (text) => {
      const value = Number(text.trim());
      const fits = which === 'min' ? value <= ratios.max : value >= ratios.min;
      if (text.trim() === '' || !(value >= 0 && value <= 100 && value % 1 === 0 && fits))
        throw new KernelError('EINVAL', `${which}_ratio: '${text.trim()}', with ${ratios.min} to ${ratios.max} now`);
      ratios[which] = value;
    },
  };
}

function readAheadFile(disk: Disk): Attribute {
  return {
    name: 'read_ahead_kb',
    mode: 0o644,
    show: () => `${disk.readAheadKb}\n`,
    store: (text) => {
      const value = Number(text.trim());
      if (text.trim() === '' || !(value >= 0 && value % 1 === 0))
        throw new KernelError('EINVAL', `read_ahead_kb: '${text.trim()}' is not a number of KiB`);
      disk.readAheadKb = value;
    },
  };
}

/** Named after the disk's number, and linked from the disk. Task context. @kernel mm/backing-dev.c bdi_register */
export const bdiRegister = traced('bdi_register', async (disk: Disk): Promise<void> => {
  const { deviceCore, bdiClass } = disk.blk;
  const { devt, kobj } = disk.dev;
  const ratios = new Ratios();
  const bdi = deviceCore.deviceInitialize({
    name: `${devt?.major}:${devt?.minor}`,
    parent: null,
    container: disk,
    class: bdiClass,
    groups: [
      {
        attributes: [
          readAheadFile(disk),
          ratioFile(ratios, 'min'),
          ratioFile(ratios, 'max'),
          lineFile('stable_pages_required', () => 0),
        ],
      },
    ],
  });
  try {
    await deviceCore.deviceAdd(bdi);
  } catch (error) {
    deviceCore.putDevice(bdi);
    throw error;
  }
  disk.bdi = bdi;
  deviceCore.sysfsCreateLink(kobj, 'bdi', bdi.kobj);
});

/** Task context. @kernel mm/backing-dev.c bdi_unregister */
export const bdiUnregister = traced('bdi_unregister', async (disk: Disk): Promise<void> => {
  const { deviceCore } = disk.blk;
  if (disk.bdi === null) return;
  deviceCore.sysfsRemoveLink(disk.dev.kobj, 'bdi');
  await deviceCore.deviceDel(disk.bdi);
  deviceCore.putDevice(disk.bdi);
  disk.bdi = null;
});
