/** Real Linux with controllers at the edge of what the specification allows. */
import { createHash } from 'node:crypto';
import { MemoryBlockStore, type NvmeControllerDescription } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { driverLog, linuxMissing, TIMEOUT_MS, withLinux } from './linux-bench.js';

const missing = await linuxMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const DISK_BYTES = 8 << 20;
const DATA_BYTES = 1 << 20;

const CASES: readonly [string, Partial<NvmeControllerDescription>, readonly string[]][] = [
  ['queues of two entries', { mqes: 1 }, []],
  ['one MSI-X vector', { msixVectors: 1 }, []],
  ['one I/O queue pair', { maxIoQueuePairs: 1 }, []],
  ['doorbells 32 bytes apart', { dstrd: 3 }, []],
  ['doorbells 1 KiB apart, in a BAR that must be moved', { dstrd: 8, maxIoQueuePairs: 64 }, []],
  ['transfers of at most two pages', { mdts: 1 }, []],
  ['no limit of transfers', { mdts: 0 }, []],
  ['a second until it is ready', { readyDelayNs: 1e9 }, []],
  ['a shutdown that takes its time', { shutdownDelayNs: 2e8 }, []],
  [
    'a memory buffer that a 32-bit kernel cannot use',
    { cmb: { sizeMiB: 1 } },
    ['nvme nvme0: failed to register the CMB'],
  ],
  ['everything small at once', { mqes: 1, msixVectors: 1, maxIoQueuePairs: 1, mdts: 1, aerLimit: 0 }, []],
];

describe.skipIf(missing !== null)('Linux on a controller with', () => {
  it.each(CASES)(
    '%s',
    (_name, description, says) => {
      const bytes = new Uint8Array(DISK_BYTES);
      for (let i = 0; i < DATA_BYTES; i++) bytes[i] = (i * 13 + (i >>> 9)) & 0xff;
      const deps = { createStore: () => new MemoryBlockStore(bytes, 0, DISK_BYTES) };
      const namespaces = [{ sizeBytes: DISK_BYTES }];
      return withLinux({ description: { ...description, namespaces }, deps }, async ({ guest, controller }) => {
        // 256 KiB at once and buffered behind it, so that commands are split, queued and waited for.
        await guest.output(
          `dd if=/dev/nvme0n1 of=/dev/nvme0n1 bs=256k count=2 iflag=direct oflag=direct seek=8 conv=notrunc 2>/dev/null
          dd if=/dev/nvme0n1 of=/dev/nvme0n1 bs=64k count=8 skip=8 seek=40 conv=notrunc,fsync 2>/dev/null`,
        );
        const sum = (from: number): string =>
          createHash('md5')
            .update(bytes.subarray(from, from + DATA_BYTES / 2))
            .digest('hex');
        expect([sum(2 << 20), sum(40 << 16)]).toEqual([sum(0), sum(DATA_BYTES / 2)]);
        expect((await driverLog(guest)).filter((line) => !line.startsWith('pci 0000:'))).toEqual([
          'nvme nvme0: pci function 0000:00:04.0',
          ...says,
          'nvme nvme0: 1/0/0 default/read/poll queues',
        ]);
        await guest.output('rmmod nvme');
        expect(controller.barRead(0, 0x1c, 4)).toBe(9);
      });
    },
    TIMEOUT_MS,
  );
});
