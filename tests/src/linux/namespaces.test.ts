/** Namespaces that come, grow and go under Linux while another is in use: it learns of them by asynchronous events. */

import { Guest } from '@nvme-stack/linux-guest';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { driverLog, linuxMissing, TIMEOUT_MS, withLinux } from './linux-bench.js';

const missing = await linuxMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const MEBIBYTE = 1 << 20;

describe.skipIf(missing !== null)('Linux and changing namespaces', () => {
  it(
    'adds, resizes and removes one while another is mounted',
    () => {
      const namespaces = [{ sizeBytes: 16 * MEBIBYTE }, { sizeBytes: 32 * MEBIBYTE, attached: false }];
      return withLinux({ description: { namespaces } }, async ({ guest, controller }) => {
        const until = (condition: string): Promise<string> =>
          guest.output(`for i in $(seq 200); do ${condition} && exit 0; sleep 0.02; done; dmesg | tail; exit 1`);
        await guest.output('mkfs.ext4 -q /dev/nvme0n1; mount /dev/nvme0n1 /mnt; echo kept > /mnt/file');
        controller.setNamespaceActive(2, true);
        await until('[ -e /dev/nvme0n2 ]');
        expect(await guest.output('cat /sys/block/nvme0n2/size')).toBe('65536\n');
        controller.resizeNamespace(2, 24 * MEBIBYTE);
        await until('[ "$(cat /sys/block/nvme0n2/size)" = 49152 ]');
        controller.setNamespaceActive(2, false);
        await until('[ ! -e /dev/nvme0n2 ]');
        expect(
          await guest.output('cat /mnt/file; umount /mnt; fsck.ext4 -fn /dev/nvme0n1 > /dev/null 2>&1 && echo clean'),
        ).toBe('kept\nclean\n');
        expect((await driverLog(guest)).slice(2)).toEqual([
          'nvme nvme0: rescanning namespaces.',
          'nvme nvme0: rescanning namespaces.',
          'nvme0n2: detected capacity change from 65536 to 49152',
          'nvme nvme0: rescanning namespaces.',
        ]);
      });
    },
    TIMEOUT_MS,
  );

  it(
    'keeps several namespaces, and several controllers, apart',
    async () => {
      const two = createNvmeController({
        serial: 'TWO',
        namespaces: [{ sizeBytes: MEBIBYTE }, { sizeBytes: 2 * MEBIBYTE }],
      });
      const one = createNvmeController({ serial: 'ONE', namespaces: [{ sizeBytes: 3 * MEBIBYTE }] });
      const guest = await Guest.start([{ controller: two }, { controller: one, slot: 9 }]);
      try {
        const output = await guest.output(
          `insmod /modules/nvme.ko
          for i in $(seq 200); do [ $(ls /sys/block | grep -c nvme) = 3 ] && break; sleep 0.02; done
          cat /sys/class/nvme/*/serial
          for disk in $(ls /sys/block | grep nvme); do
            echo $disk > /tmp/name; dd if=/tmp/name of=/dev/$disk conv=sync,fsync 2>/dev/null
          done
          echo 3 > /proc/sys/vm/drop_caches
          for disk in $(ls /sys/block | grep nvme); do
            echo $(cat /sys/block/$disk/device/serial /sys/block/$disk/size) $(head -n 1 /dev/$disk)
          done`,
        );
        const [first, second, ...disks] = output
          .trim()
          .split('\n')
          .map((line) => line.trim());
        expect([first, second].sort()).toEqual(['ONE', 'TWO']);
        const [a, b] = first === 'TWO' ? ['nvme0', 'nvme1'] : ['nvme1', 'nvme0'];
        expect(disks.sort()).toEqual([`TWO 2048 ${a}n1`, `TWO 4096 ${a}n2`, `ONE 6144 ${b}n1`].sort());
      } finally {
        await guest.stop();
      }
    },
    TIMEOUT_MS,
  );
});
