import { describe, expect, it } from 'vitest';
import { createTestMachine, makeDisk, type TestMachine } from '../fixtures/test-machine.js';
import { BLKGETSIZE64, BLKRRPART, type BlkIoctlValue, REQ_OP_READ } from '../ports.js';
import { makeBio } from '../testing/bios.js';
import { RamDriver } from '../testing/ram-driver.js';
import { crc32 } from './crc32.js';

const SECTORS = 8192;

interface MbrEntry {
  readonly slot: number;
  readonly type: number;
  readonly start: number;
  readonly size: number;
}

function writeMbr(media: Uint8Array, lba: number, entries: readonly MbrEntry[]): void {
  const view = new DataView(media.buffer, lba * 512, 512);
  for (const { slot, type, start, size } of entries) {
    view.setUint8(446 + slot * 16 + 4, type);
    view.setUint32(446 + slot * 16 + 8, start, true);
    view.setUint32(446 + slot * 16 + 12, size, true);
  }
  view.setUint16(510, 0xaa55, true);
}

/** A GPT with one Linux partition per range. */
function writeGpt(media: Uint8Array, ranges: readonly (readonly [number, number])[]): void {
  const last = SECTORS - 1;
  writeMbr(media, 0, [{ slot: 0, type: 0xee, start: 1, size: last }]);
  const entries = new Uint8Array(128 * 128);
  const view = new DataView(entries.buffer);
  ranges.forEach(([from, to], i) => {
    const at = i * 128;
    const type = [0x0fc63daf, 0x47728483, 0x693d798e, 0xe47d47d8];
    for (const [w, word] of type.entries()) view.setUint32(at + w * 4, word, true);
    view.setUint32(at + 16, 0x1000 + i, true);
    view.setUint32(at + 32, from, true);
    view.setUint32(at + 40, to, true);
    for (const [n, c] of [...'data'].entries()) view.setUint16(at + 56 + 2 * n, c.charCodeAt(0), true);
  });
  const header = (lba: number, other: number, table: number): void => {
    const h = new DataView(media.buffer, lba * 512, 512);
    for (const [n, c] of [...'EFI PART'].entries()) h.setUint8(n, c.charCodeAt(0));
    h.setUint32(8, 0x10000, true);
    h.setUint32(12, 92, true);
    h.setUint32(24, lba, true);
    h.setUint32(32, other, true);
    h.setUint32(40, 34, true);
    h.setUint32(48, last - 33, true);
    h.setUint32(72, table, true);
    h.setUint32(80, 128, true);
    h.setUint32(84, 128, true);
    h.setUint32(88, crc32(entries), true);
    h.setUint32(16, 0, true);
    h.setUint32(16, crc32(media.subarray(lba * 512, lba * 512 + 92)), true);
    media.set(entries, table * 512);
  };
  header(1, last, 2);
  header(last, 1, last - 32);
}

async function addDisk(m: TestMachine, prepare: (media: Uint8Array) => void) {
  const driver = new RamDriver(m.blkMq, { sectors: SECTORS });
  prepare(driver.media);
  const made = await makeDisk(m, driver);
  await m.blkMq.deviceAddDisk(made.parent, made.disk, []);
  return made;
}

const logged = (m: TestMachine): string[] => m.kernel.printk.lines.map(({ text }) => text);

describe('crc32', () => {
  it('has the check value of CRC-32', () => {
    expect(crc32(new Uint8Array([...'123456789'].map((c) => c.charCodeAt(0))))).toBe(0xcbf43926);
  });
});

describe('GPT', () => {
  it('makes a device of every partition', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await addDisk(m, (media) =>
        writeGpt(media, [
          [64, 1023],
          [1024, 4095],
        ]),
      );
      expect(logged(m)).toContain(' nvme0n1: p1 p2');
      expect(disk.partitions.map(({ name, startSector, sectors }) => [name, startSector, sectors])).toEqual([
        ['nvme0n1p1', 64, 960],
        ['nvme0n1p2', 1024, 3072],
      ]);
      expect(disk.partitions[0]).toMatchObject({
        typeGuid: '0fc63daf-8483-4772-8e79-3d69d8477de4',
        uuid: '00001000-0000-0000-0000-000000000000',
      });
    });
    const { sysfs } = m.deviceCore;
    expect(sysfs.read('/sys/block/nvme0n1/nvme0n1p2/start')).toBe('1024\n');
    expect(sysfs.read('/sys/block/nvme0n1/nvme0n1p2/partition')).toBe('2\n');
    expect(sysfs.read('/sys/class/block/nvme0n1p1/uevent')).toContain('DEVTYPE=partition\n');
    expect(m.kernel.procfs.read('/proc/partitions')).toContain(' 259        2       1536 nvme0n1p2\n');
    expect(m.deviceCore.listNodes()).toEqual(expect.arrayContaining(['nvme0n1', 'nvme0n1p1', 'nvme0n1p2']));
    expect(m.blkMq.lookup('nvme0n1p2')).toMatchObject({ startSector: 1024, sectors: 3072 });
  });

  it('is not believed with a wrong checksum, unless the kernel was told to look at the backup', async () => {
    const spoil = (media: Uint8Array): void => {
      writeGpt(media, [[64, 1023]]);
      media[512 + 60] ^= 1;
    };
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await addDisk(m, spoil);
      expect(disk.partitions).toHaveLength(0);
    });
    const forced = createTestMachine({}, true);
    await forced.run(async () => {
      const { disk } = await addDisk(forced, spoil);
      expect(logged(forced)).toContain('Primary GPT is invalid, using alternate GPT.');
      expect(disk.partitions).toHaveLength(1);
    });
  });

  it('warns when the backup is bad', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await addDisk(m, (media) => {
        writeGpt(media, [[64, 1023]]);
        media[(SECTORS - 1) * 512 + 60] ^= 1;
      });
      expect(logged(m)).toContain('Alternate GPT is invalid, using primary GPT.');
      expect(disk.partitions).toHaveLength(1);
    });
  });
});

describe('MBR', () => {
  it('shows logical partitions in angle brackets', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await addDisk(m, (media) => {
        writeMbr(media, 0, [
          { slot: 0, type: 0x83, start: 64, size: 1000 },
          { slot: 1, type: 0x05, start: 2000, size: 4000 },
        ]);
        writeMbr(media, 2000, [
          { slot: 0, type: 0x83, start: 16, size: 500 },
          { slot: 1, type: 0x05, start: 1000, size: 600 },
        ]);
        writeMbr(media, 3000, [{ slot: 0, type: 0x82, start: 8, size: 100 }]);
      });
      expect(logged(m)).toContain(' nvme0n1: p1 p2 < p5 p6 >');
      expect(disk.partitions.map(({ number, startSector, sectors }) => [number, startSector, sectors])).toEqual([
        [1, 64, 1000],
        [2, 2000, 2],
        [5, 2016, 500],
        [6, 3008, 100],
      ]);
    });
  });

  it('cuts a partition short that reaches beyond the disk', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await addDisk(m, (media) =>
        writeMbr(media, 0, [{ slot: 0, type: 0x83, start: 8000, size: 1000 }]),
      );
      expect(logged(m)).toContain('nvme0n1: p1 size 1000 extends beyond EOD, truncated');
      expect(disk.partitions[0].sectors).toBe(192);
    });
  });
});

describe('the node of a disk', () => {
  it('tells sizes and reads the table again', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await addDisk(m, (media) => writeGpt(media, [[64, 1023]]));
      const size: BlkIoctlValue = { value: 0 };
      const part = await m.deviceCore.open('/dev/nvme0n1p1', { write: false });
      await m.deviceCore.ioctl(part, BLKGETSIZE64, size);
      expect(size.value).toBe(960 * 512);
      const file = await m.deviceCore.open('/dev/nvme0n1', { write: true });
      await m.deviceCore.ioctl(file, BLKGETSIZE64, size);
      expect(size.value).toBe(SECTORS * 512);
      await expect(m.deviceCore.ioctl(file, BLKRRPART, null)).rejects.toMatchObject({ code: 'EBUSY' });
      await m.deviceCore.close(part);
      writeGpt(driver.media, [
        [64, 127],
        [128, 1023],
      ]);
      await m.deviceCore.ioctl(file, BLKRRPART, null);
      expect(disk.partitions.map(({ sectors }) => sectors)).toEqual([64, 896]);
      await expect(m.deviceCore.ioctl(file, 0x4e40, null)).rejects.toMatchObject({ code: 'ENOTTY' });
      await m.deviceCore.close(file);
    });
  });

  it('counts I/O of a partition with the disk and with the partition', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await addDisk(m, (media) => writeGpt(media, [[64, 1023]]));
      await m.blkMq.submitBioWait(makeBio(m.blkMq, disk, REQ_OP_READ, 64, 8));
    });
    expect(m.deviceCore.sysfs.read('/sys/block/nvme0n1/nvme0n1p1/stat').trim().split(/\s+/).slice(0, 3)).toEqual([
      '1',
      '0',
      '8',
    ]);
  });
});
