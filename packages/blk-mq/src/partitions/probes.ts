/**
 * The partition formats Debian's kernel knows, in the order it asks them, with the sectors each looks at.
 * Kernel counterpart: block/partitions/core.c check_part and the files beside it.
 *
 * A disk without a table is asked by all of them. That is why three pages are read: every format looks at sector 0,
 * Amiga at sectors 0 to 15 (its rigid disk block may stand in any of them), Ultrix at the sector whose last bytes are
 * the 72-byte label at the end of the first 16 KiB (31).
 */
import type { Disk } from '../gendisk.js';
import { efiPartition } from './gpt.js';
import { msdosPartition } from './mbr.js';
import { type ParsedPartitions, readPartSector } from './parsed.js';

/** Sectors that may hold Amiga's rigid disk block. @kernel include/uapi/linux/affs_hardblocks.h RDB_ALLOCATION_LIMIT */
const RDB_ALLOCATION_LIMIT = 16;
const ULTRIX_LABEL_BYTES = 72;
const ULTRIX_SECTOR = Math.floor((16384 - ULTRIX_LABEL_BYTES) / 512);

/** A format's detector: 1 its table was found, 0 it was not, -1 the disk cannot be read. */
export interface PartitionProbe {
  readonly name: string;
  check(state: ParsedPartitions): Promise<number>;
}

/** A format whose tables are not read: it looks at its sectors like the real one and finds nothing. */
function looksAt(name: string, sectors: readonly number[]): PartitionProbe {
  return {
    name,
    check: async (state) => {
      for (const sector of sectors) if ((await readPartSector(state, sector)) === null) return -1;
      return 0;
    },
  };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

/** @kernel block/partitions/core.c check_part */
export const PARTITION_PROBES: readonly PartitionProbe[] = [
  looksAt('adfspart_check_ICS', [0]),
  { name: 'efi_partition', check: efiPartition },
  looksAt('sgi_partition', [0]),
  looksAt('ldm_partition', [0]),
  { name: 'msdos_partition', check: msdosPartition },
  looksAt('osf_partition', [0]),
  looksAt('sun_partition', [0]),
  looksAt('amiga_partition', upTo(RDB_ALLOCATION_LIMIT)),
  looksAt('atari_partition', [0]),
  looksAt('mac_partition', [0]),
  looksAt('ultrix_partition', [ULTRIX_SECTOR]),
  looksAt('karma_partition', [0]),
];

/** The text of the log line for a disk whose table cannot be read. */
export function unreadable(disk: Disk): string {
  return ` ${disk.name}: unable to read partition table`;
}
