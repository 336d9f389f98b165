/**
 * /sys/block/…/integrity: the profile to read, and whether the block layer makes and checks metadata.
 * Kernel counterpart: block/blk-integrity.c integrity_attrs.
 */
import type { Attribute, AttributeGroup } from '@nvme-stack/device-core/ports';
import { KernelError } from '@nvme-stack/kernel';
import { lineFile } from '../disk-sysfs.js';
import { blkMqFreezeQueue, blkMqUnfreezeQueue } from '../freeze.js';
import { commitLimits, type Disk } from '../gendisk.js';
import { BLK_INTEGRITY_DEVICE_CAPABLE, BLK_INTEGRITY_NOGENERATE, BLK_INTEGRITY_NOVERIFY } from '../ports.js';
import { profileName } from './profile.js';

/** @kernel block/blk-integrity.c blk_integrity_attr_group */
export function integrityGroup(disk: Disk): AttributeGroup {
  const { queue } = disk;
  return {
    name: 'integrity',
    attributes: [
      lineFile('format', () => profileName(queue.limits.integrity)),
      lineFile('tag_size', () => queue.limits.integrity?.tagSizeBytes ?? 0),
      lineFile('protection_interval_bytes', () => intervalBytes(disk)),
      flagFile(disk, 'read_verify', BLK_INTEGRITY_NOVERIFY),
      flagFile(disk, 'write_generate', BLK_INTEGRITY_NOGENERATE),
      lineFile(
        'device_is_integrity_capable',
        () => (flagsOf(disk) & BLK_INTEGRITY_DEVICE_CAPABLE) / BLK_INTEGRITY_DEVICE_CAPABLE,
      ),
    ],
  };
}

function flagsOf({ queue }: Disk): number {
  return queue.limits.integrity?.flags ?? 0;
}

function intervalBytes({ queue }: Disk): number {
  const profile = queue.limits.integrity;
  return profile === null ? 0 : 2 ** profile.intervalExp;
}

/**
 * The flag says what is not done. A disk without a profile keeps what is written, or (since 6.10) nothing can be switched on.
 * @kernel block/blk-integrity.c flag_show, flag_store
 */
function flagFile(disk: Disk, name: string, flag: number): Attribute {
  const { queue, blk } = disk;
  const { strictSwitches } = blk.era.integrity;
  let isKeptOn = false;
  const isOn = (): boolean => (queue.limits.integrity === null ? isKeptOn : (flagsOf(disk) & flag) === 0);
  return {
    name,
    mode: 0o644,
    show: () => (isOn() ? '1\n' : '0\n'),
    store: async (text) => {
      const on = (strictSwitches ? strictNumber(name, text) : looseNumber(text)) !== 0;
      const profile = queue.limits.integrity;
      if (profile === null) {
        isKeptOn = on && !strictSwitches;
        return;
      }
      const flags = on ? profile.flags & ~flag : profile.flags | flag;
      if (strictSwitches) await blkMqFreezeQueue(queue);
      commitLimits(queue, { integrity: { ...profile, flags } });
      if (strictSwitches) blkMqUnfreezeQueue(queue);
    },
  };
}

/** Throws EINVAL. @kernel lib/kstrtox.c kstrtoul */
function strictNumber(name: string, text: string): number {
  const value = Number(text.trim());
  if (text.trim() === '' || !(value >= 0 && value % 1 === 0))
    throw new KernelError('EINVAL', `integrity/${name}: '${text.trim()}' is not a number from 0`);
  return value;
}

/** The digits in front; without any it is 0. @kernel lib/vsprintf.c simple_strtoul */
function looseNumber(text: string): number {
  return Number(/^\d*/.exec(text)?.[0] ?? 0);
}
