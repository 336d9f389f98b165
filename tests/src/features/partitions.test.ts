import { BLKRRPART } from '@nvme-stack/blk-mq/ports';
import { describe, expect, it } from 'vitest';
import { codeOf, firstDifference, KIB, leftBehind, log, pattern, running } from './bench.js';

const SECTOR = 512;
const LINUX_DATA = '0fc63daf-8483-4772-8e79-3d69d8477de4';

interface Wanted {
  readonly first: number;
  readonly last: number;
}

/** An MBR of up to four primary partitions. */
function mbr(partitions: readonly Wanted[]): Uint8Array {
  const bytes = new Uint8Array(SECTOR);
  const view = new DataView(bytes.buffer);
  partitions.forEach(({ first, last }, i) => {
    const at = 446 + 16 * i;
    bytes[at + 4] = 0x83;
    view.setUint32(at + 8, first, true);
    view.setUint32(at + 12, last - first + 1, true);
  });
  view.setUint16(510, 0xaa55, true);
  return bytes;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** A GUID as the disk has it: three little-endian fields, then bytes. */
function guid(text: string): number[] {
  const [a, b, c, d, e] = text
    .split('-')
    .map((part) => part.match(/../g)?.map((byte) => Number.parseInt(byte, 16)) ?? []);
  return [...(a ?? []).reverse(), ...(b ?? []).reverse(), ...(c ?? []).reverse(), ...(d ?? []), ...(e ?? [])];
}

const uuidOf = (i: number): string => `00112233-4455-6677-8899-aabbccddee0${i}`;

/** The first 34 sectors and the last 33 of a disk with a GUID partition table. */
function gpt(sectors: number, partitions: readonly Wanted[]): { head: Uint8Array; tail: Uint8Array } {
  const entries = new Uint8Array(128 * 128);
  const view = new DataView(entries.buffer);
  partitions.forEach(({ first, last }, i) => {
    entries.set(guid(LINUX_DATA), i * 128);
    entries.set(guid(uuidOf(i)), i * 128 + 16);
    view.setBigUint64(i * 128 + 32, BigInt(first), true);
    view.setBigUint64(i * 128 + 40, BigInt(last), true);
  });
  const header = (own: number, other: number, table: number): Uint8Array => {
    const bytes = new Uint8Array(SECTOR);
    const at = new DataView(bytes.buffer);
    bytes.set(new TextEncoder().encode('EFI PART'));
    at.setUint32(8, 0x10000, true);
    at.setUint32(12, 92, true);
    at.setBigUint64(24, BigInt(own), true);
    at.setBigUint64(32, BigInt(other), true);
    at.setBigUint64(40, 34n, true);
    at.setBigUint64(48, BigInt(sectors - 34), true);
    bytes.set(guid('99999999-8888-7777-6666-555555555555'), 56);
    at.setBigUint64(72, BigInt(table), true);
    at.setUint32(80, 128, true);
    at.setUint32(84, 128, true);
    at.setUint32(88, crc32(entries), true);
    at.setUint32(16, crc32(bytes.subarray(0, 92)), true);
    return bytes;
  };
  const head = new Uint8Array(34 * SECTOR);
  head.set(mbr([{ first: 1, last: sectors - 1 }]));
  head[446 + 4] = 0xee;
  head.set(header(1, sectors - 1, 2), SECTOR);
  head.set(entries, 2 * SECTOR);
  const tail = new Uint8Array(33 * SECTOR);
  tail.set(entries);
  tail.set(header(sectors - 1, 1, sectors - 33), 32 * SECTOR);
  return { head, tail };
}

const WANTED: readonly Wanted[] = [
  { first: 64, last: 2111 },
  { first: 2112, last: 6207 },
];

describe('partitions', () => {
  it.each(['MBR', 'GPT'])(
    'of a %s appear after BLKRRPART, with their node, files and place on the disk',
    async (kind) => {
      const machine = await running();
      const disk = machine.disk('nvme0n1');
      expect(disk.partitions).toEqual([]);
      if (kind === 'MBR') await disk.write(0, mbr(WANTED));
      else {
        const { head, tail } = gpt(disk.sizeBytes / SECTOR, WANTED);
        await disk.write(0, head);
        await disk.write(disk.sizeBytes - tail.length, tail);
      }
      await machine.ioctl('/dev/nvme0n1', BLKRRPART, null);
      expect(log(machine).at(-1)).toBe(' nvme0n1: p1 p2');
      expect(disk.partitions.map(({ name, startSector, sectors }) => [name, startSector, sectors])).toEqual([
        ['nvme0n1p1', 64, 2048],
        ['nvme0n1p2', 2112, 4096],
      ]);
      const files = '/sys/block/nvme0n1/nvme0n1p2';
      expect(machine.sysfs.read(`${files}/partition`)).toBe('2\n');
      expect(machine.sysfs.read(`${files}/start`)).toBe('2112\n');
      expect(machine.sysfs.read(`${files}/size`)).toBe('4096\n');
      expect(machine.procfs.read('/proc/partitions')).toMatch(/^ 259 +2 +2048 nvme0n1p2$/m);
      if (kind === 'GPT') expect(disk.partitions[1]?.uuid?.toLowerCase()).toBe(uuidOf(1));

      const second = machine.disk('nvme0n1p2');
      expect(second.sizeBytes).toBe(4096 * SECTOR);
      await second.write(4 * KIB, pattern(20 * KIB, 1));
      expect(firstDifference(await disk.read(2112 * SECTOR + 4 * KIB, 20 * KIB), pattern(20 * KIB, 1))).toBe(-1);
      await disk.write(64 * SECTOR, pattern(SECTOR, 2));
      expect(firstDifference(await machine.disk('nvme0n1p1').read(0, SECTOR), pattern(SECTOR, 2))).toBe(-1);
      expect(await codeOf(second.read(second.sizeBytes, SECTOR))).toBe('EINVAL');
      expect(await leftBehind(machine)).toEqual([]);
      expect(machine.sysfs.exists(files)).toBe(false);
    },
  );

  it('are found when the driver is loaded', async () => {
    const machine = await running();
    await machine.disk('nvme0n1').write(0, mbr(WANTED));
    await machine.rmmod('nvme');
    await machine.modprobe('nvme');
    expect(log(machine)).toContain(' nvme0n1: p1 p2');
    expect(machine.disk('nvme0n1p1').sizeBytes).toBe(2048 * SECTOR);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('of a damaged GUID table are none: without the boot parameter gpt Linux asks no backup', async () => {
    const machine = await running();
    const disk = machine.disk('nvme0n1');
    const { head, tail } = gpt(disk.sizeBytes / SECTOR, WANTED);
    head[SECTOR + 90] = (head[SECTOR + 90] as number) ^ 0xff;
    await disk.write(0, head);
    await disk.write(disk.sizeBytes - tail.length, tail);
    await machine.ioctl('/dev/nvme0n1', BLKRRPART, null);
    expect(disk.partitions).toEqual([]);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('go when the table goes', async () => {
    const machine = await running();
    const disk = machine.disk('nvme0n1');
    await disk.write(0, mbr(WANTED));
    await machine.ioctl('/dev/nvme0n1', BLKRRPART, null);
    await disk.write(0, new Uint8Array(SECTOR));
    await machine.ioctl('/dev/nvme0n1', BLKRRPART, null);
    expect(disk.partitions).toEqual([]);
    expect(() => machine.disk('nvme0n1p1')).toThrow('there is no disk nvme0n1p1');
    expect(await leftBehind(machine)).toEqual([]);
  });
});
