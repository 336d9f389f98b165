/** Our driver's metadata on QEMU's controller, which checks it, and QEMU's on our driver. */
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import { NVME_IOCTL_SUBMIT_IO } from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { KIB, MIB, missing, pattern, same, TROUBLE, withQemu } from './with-qemu.js';

const PROFILES: readonly KernelProfile[] = ['6.12', '4.10'];
const READ = 2;
const WRITE = 1;
const PRCHK_ALL = 7 << 10;

const formatted = (properties: Record<string, number>) => ({
  controllers: [{ slot: 1, namespaces: [{ sizeBytes: 16 * MIB, ownDevice: true, properties }] }],
});

describe.skipIf(missing !== null)('protection information on QEMU’s controller', () => {
  it.each(PROFILES.flatMap((profile) => [512, 4096].map((block) => ({ profile, block }))))(
    'of type 1 in blocks of $block bytes is made and checked by both, on $profile',
    async ({ profile, block }) => {
      const properties = { ms: 8, pi: 1, logical_block_size: block, physical_block_size: block };
      await withQemu(
        formatted(properties),
        async ({ machine }) => {
          await machine.modprobe('nvme');
          await machine.settle();
          expect(machine.sysfs.read('/sys/block/nvme0n1/integrity/format')).toBe('T10-DIF-TYPE1-CRC\n');
          const disk = machine.disk('nvme0n1');
          await disk.write(64 * KIB, pattern(64 * KIB, 300 * KIB, 4));
          expect(same(await disk.read(64 * KIB, 300 * KIB), pattern(64 * KIB, 300 * KIB, 4))).toBe(true);
          // What the controller makes by itself is right for the block layer, and the other way round.
          await machine.sysfs.write('/sys/block/nvme0n1/integrity/write_generate', '0');
          await disk.write(0, pattern(0, 32 * KIB, 5));
          expect(same(await disk.read(0, 32 * KIB), pattern(0, 32 * KIB, 5))).toBe(true);
          const metadata = new Uint8Array(8);
          const data = new Uint8Array(block);
          const slba = (64 * KIB) / block;
          const io = { slba, nblocks: 0, control: PRCHK_ALL, reftag: slba, data, metadata };
          expect(await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_SUBMIT_IO, { ...io, opcode: READ })).toBe(0);
          expect([...metadata.subarray(2)]).toEqual([0, 0, 0, 0, 0, slba]);
          metadata[0] = (metadata[0] as number) ^ 1;
          expect((await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_SUBMIT_IO, { ...io, opcode: WRITE })) & 0x7ff).toBe(
            0x282,
          );
          expect(machine.dmesg().join('\n')).not.toMatch(TROUBLE);
          await machine.rmmod('nvme');
          await machine.rmmod('nvme_core');
          expect(machine.leaks()).toEqual([]);
        },
        { profile },
      );
    },
  );
});
