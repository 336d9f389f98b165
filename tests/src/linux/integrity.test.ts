/** Protection information under Linux on our controller, against our own driver on the same: the same files, tuples and log. */
import { createMachine } from '@nvme-stack/machine';
import { MemoryBlockStore } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { driverLog, linuxMissing, TIMEOUT_MS, withLinux } from './linux-bench.js';

const missing = await linuxMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const DISK_BYTES = 4 << 20;
const FORMAT = { metadataBytes: 8, protectionType: 1 } as const;
const FILES = [
  'integrity/device_is_integrity_capable',
  'integrity/format',
  'integrity/protection_interval_bytes',
  'integrity/read_verify',
  'integrity/tag_size',
  'integrity/write_generate',
  'queue/max_integrity_segments',
  'queue/stable_writes',
  'size',
];
/** 16 KiB from 64 KiB on. */
const WRITE = `yes protected | dd of=/dev/nvme0n1 bs=16384 count=1 seek=4 iflag=fullblock oflag=direct 2>/dev/null`;

const store = (bytes: Uint8Array) => new MemoryBlockStore(bytes, 0, DISK_BYTES, false);

describe.skipIf(missing !== null)('Linux and protection information', () => {
  it(
    'shows and writes what our driver shows and writes, and finds the bit that flipped',
    async () => {
      const theirs = new Uint8Array(DISK_BYTES);
      const ours = new Uint8Array(DISK_BYTES);
      await using machine = await createMachine(
        { profile: '6.1', nvme: [{ namespaces: [{ sizeBytes: DISK_BYTES, ...FORMAT }] }] },
        { parts: { blockStore: () => store(ours) } },
      );
      await machine.modprobe('nvme');
      await machine.settle();
      const text = new TextEncoder().encode('protected\n');
      const bytes = Uint8Array.from({ length: 16384 }, (_, i) => text[i % text.length] as number);
      await machine.disk('nvme0n1').write(65536, bytes);
      const shown = FILES.map((file) => machine.sysfs.read(`/sys/block/nvme0n1/${file}`));
      const description = { namespaces: [{ sizeBytes: DISK_BYTES, ...FORMAT }] };
      const deps = { createStore: () => store(theirs) };
      await withLinux({ description, deps }, async ({ guest }) => {
        expect(await guest.output(`cd /sys/block/nvme0n1; cat ${FILES.join(' ')}`)).toBe(shown.join(''));
        await guest.output(WRITE);
        // Data and, behind all of them, metadata.
        expect(Buffer.compare(theirs, ours)).toBe(0);
        for (const medium of [theirs, ours]) medium[65536 + 5000] = (medium[65536 + 5000] as number) ^ 1;
        const read = 'dd if=/dev/nvme0n1 of=/dev/null bs=4096 count=1 skip=17 iflag=direct 2>&1 || true';
        expect(await guest.output(read)).toContain('Invalid or incomplete multibyte or wide character');
        await expect(machine.disk('nvme0n1').read(65536 + 4096, 4096)).rejects.toMatchObject({ code: 'EILSEQ' });
        const lines = machine.dmesg().map((line) => line.replace(/^\[ *[\d.]+\] /, ''));
        expect((await driverLog(guest)).slice(-2)).toEqual(lines.slice(-2));
      });
    },
    TIMEOUT_MS,
  );
});
