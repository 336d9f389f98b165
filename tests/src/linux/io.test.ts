/** Real Linux does I/O on our controller: direct and through the page cache, file systems, partitions, deallocation. */
import { createHash } from 'node:crypto';
import { MemoryBlockStore } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { driverLog, linuxMissing, TIMEOUT_MS, withLinux } from './linux-bench.js';

const missing = await linuxMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const MEBIBYTE = 1 << 20;
const DISK_BYTES = 16 * MEBIBYTE;
const HEALTHY = ['nvme nvme0: pci function 0000:00:04.0', 'nvme nvme0: 1/0/0 default/read/poll queues'];

const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');

/** A disk that the test can look into. */
function openDisk(): { bytes: Uint8Array; deps: { createStore: () => MemoryBlockStore } } {
  const bytes = new Uint8Array(DISK_BYTES);
  return { bytes, deps: { createStore: () => new MemoryBlockStore(bytes, 0, DISK_BYTES) } };
}
const description = { namespaces: [{ sizeBytes: DISK_BYTES }] };

describe.skipIf(missing !== null)('Linux’s driver on our controller', () => {
  it(
    'reads what the medium holds and writes what it then holds, in requests of many sizes',
    () => {
      const { bytes, deps } = openDisk();
      for (let i = 0; i < bytes.length / 2; i++) bytes[i] = (i * 31 + (i >>> 12)) & 0xff;
      // One block, less than a page, two pages, PRP lists, and more than one command can carry; from the lower half up.
      const sizes = [512, 3584, 8192, 45056, 131072, 1048576];
      const copies = sizes.map((size, i) => ({
        size,
        count: Math.min(3, MEBIBYTE / size),
        from: 512 * (i + 1),
        to: DISK_BYTES / 2 + i * MEBIBYTE,
      }));
      return withLinux({ description, deps }, async ({ guest }) => {
        const commands = copies.map(({ size, count, from, to }) => {
          const blocks = `bs=${size} count=${count} iflag=direct,skip_bytes oflag=direct,seek_bytes conv=notrunc`;
          return `dd if=/dev/nvme0n1 of=/dev/nvme0n1 ${blocks} skip=${from} seek=${to} 2>/dev/null || exit 1`;
        });
        await guest.output(commands.join('\n'));
        for (const { size, count, from, to } of copies) {
          const length = size * count;
          const copied = Buffer.compare(bytes.subarray(to, to + length), bytes.subarray(from, from + length));
          expect(copied, `${size} bytes`).toBe(0);
        }
        expect(await driverLog(guest)).toEqual(HEALTHY);
      });
    },
    TIMEOUT_MS,
  );

  it(
    'reads and writes through the page cache, and flushes',
    () => {
      const { bytes, deps } = openDisk();
      return withLinux({ description, deps, recorded: true }, async ({ guest, records }) => {
        const sums = await guest.output(
          `dd if=/dev/urandom of=/dev/nvme0n1 bs=1000 count=600 conv=fsync 2>/dev/null
          echo 3 > /proc/sys/vm/drop_caches
          dd if=/dev/nvme0n1 bs=1000 count=600 2>/dev/null | md5sum`,
        );
        expect(sums.slice(0, 32)).toBe(md5(bytes.subarray(0, 600_000)));
        const opcodes = records.filter(({ name }) => name === 'io_cmd').map(({ fields }) => fields.get('opc'));
        expect(opcodes).toContain(0);
        expect(await driverLog(guest)).toEqual(HEALTHY);
      });
    },
    TIMEOUT_MS,
  );

  it(
    'makes, mounts and checks an ext4 file system with files of mixed sizes',
    () =>
      withLinux({}, async ({ guest }) => {
        const sums = await guest.output(
          `mkfs.ext4 -q /dev/nvme0n1
          mount /dev/nvme0n1 /mnt
          mkdir /mnt/sub
          for size in 0 1 511 4096 70000 300001; do head -c $size /dev/urandom > /mnt/sub/$size; done
          cd /mnt/sub; md5sum * > /tmp/before; cd /
          umount /mnt
          echo 3 > /proc/sys/vm/drop_caches
          fsck.ext4 -fn /dev/nvme0n1 > /dev/null 2>&1 || exit 9
          mount /dev/nvme0n1 /mnt
          cd /mnt/sub && md5sum -c /tmp/before; cd /
          umount /mnt`,
        );
        expect(sums.match(/: OK$/gm)).toHaveLength(6);
        expect(await driverLog(guest)).toEqual(HEALTHY);
      }),
    TIMEOUT_MS,
  );

  it(
    'makes partitions and keeps them apart',
    () =>
      withLinux({}, async ({ guest }) => {
        const output = await guest.output(
          `printf 'n\\np\\n1\\n\\n+8M\\nn\\np\\n2\\n\\n\\nw\\n' | fdisk /dev/nvme0n1 > /dev/null 2>&1
          cat /sys/block/nvme0n1/nvme0n1p1/size /sys/block/nvme0n1/nvme0n1p2/start
          mkfs.ext4 -q /dev/nvme0n1p2
          dd if=/dev/zero of=/dev/nvme0n1p1 bs=64k oflag=direct 2>/dev/null
          fsck.ext4 -fn /dev/nvme0n1p2 > /dev/null 2>&1 && echo clean`,
        );
        const [size, start, clean] = output.split('\n');
        expect(Number(size)).toBeGreaterThanOrEqual(16384);
        expect(Number(start)).toBeGreaterThanOrEqual(Number(size));
        expect(clean).toBe('clean');
        expect(await driverLog(guest)).toEqual([...HEALTHY, ' nvme0n1: p1 p2']);
      }),
    TIMEOUT_MS,
  );

  it(
    'discards and writes zeroes where it is told to and nowhere else',
    () => {
      const { bytes, deps } = openDisk();
      bytes.fill(0xa5);
      return withLinux({ description, deps, recorded: true }, async ({ guest, records }) => {
        await guest.output(
          `blkdiscard -o ${MEBIBYTE} -l ${MEBIBYTE} /dev/nvme0n1
          nvme write-zeroes /dev/nvme0n1 -s 16 -c 7 > /dev/null
          nvme dsm /dev/nvme0n1 --ad -s 64,128 -b 8,8 > /dev/null`,
        );
        const zeroes = (from: number, to: number): boolean => bytes.subarray(from, to).every((byte) => byte === 0);
        const kept = (from: number, to: number): boolean => bytes.subarray(from, to).every((byte) => byte === 0xa5);
        expect(zeroes(MEBIBYTE, 2 * MEBIBYTE)).toBe(true);
        expect(kept(2 * MEBIBYTE, DISK_BYTES)).toBe(true);
        expect([kept(0, 16 * 512), zeroes(16 * 512, 24 * 512), kept(24 * 512, 64 * 512)]).toEqual([true, true, true]);
        expect([zeroes(64 * 512, 72 * 512), kept(72 * 512, 128 * 512)]).toEqual([true, true]);
        expect([zeroes(128 * 512, 136 * 512), kept(136 * 512, MEBIBYTE)]).toEqual([true, true]);
        const opcodes = records.filter(({ name }) => name === 'io_cmd').map(({ fields }) => fields.get('opc'));
        expect(opcodes.filter((opcode) => opcode === 8 || opcode === 9)).toEqual([9, 8, 9]);
      });
    },
    TIMEOUT_MS,
  );

  it(
    'uses blocks of 4 KiB',
    () => {
      const { bytes, deps } = openDisk();
      const namespaces = [{ sizeBytes: DISK_BYTES, logicalBlockSize: 4096 as const }];
      return withLinux({ description: { namespaces }, deps }, async ({ guest }) => {
        const output = await guest.output(
          `cat /sys/block/nvme0n1/queue/logical_block_size
          dd if=/dev/urandom of=/dev/nvme0n1 bs=4096 count=100 oflag=direct 2>/dev/null
          dd if=/dev/nvme0n1 bs=12k count=10 iflag=direct 2>/dev/null | md5sum`,
        );
        expect(output.trim().split('\n')).toEqual(['4096', `${md5(bytes.subarray(0, 120 * 1024))}  -`]);
        expect(await driverLog(guest)).toEqual(HEALTHY);
      });
    },
    TIMEOUT_MS,
  );
});
