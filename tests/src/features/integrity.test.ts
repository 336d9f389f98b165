/** Namespaces with metadata, from the controller's checks to the block layer's: what is sent, what is found, what is shown. */
import { BLKRRPART } from '@nvme-stack/blk-mq/ports';
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import type { Machine, MachineDescription } from '@nvme-stack/machine';
import { MemoryBlockStore } from '@nvme-stack/nvme-controller';
import { FAULT_ALTER } from '@nvme-stack/nvme-controller/ports';
import {
  NVME_IOCTL_ADMIN_CMD,
  NVME_IOCTL_IO_CMD,
  NVME_IOCTL_SUBMIT_IO,
  type NvmeUserIo,
} from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { codeOf, Faults, firstDifference, KIB, leftBehind, log, MIB, machineWith, pattern } from './bench.js';

const PROFILES: readonly KernelProfile[] = ['6.12', '6.1', '4.13', '4.10'];
const READ = 2;
const WRITE = 1;
const FORMAT = 0x80;

type Namespace = NonNullable<NonNullable<MachineDescription['nvme']>[number]['namespaces']>[number];
type TraceLevel = NonNullable<MachineDescription['trace']>;

interface Protected {
  readonly machine: Machine;
  readonly faults: Faults;
  /** The medium of the one namespace. */
  readonly medium: Uint8Array;
}

/** A machine with one namespace of `format`, whose medium and commands the test may spoil; the driver is loaded. */
async function withFormat(
  format: Omit<Namespace, 'sizeMiB'>,
  profile: KernelProfile = '6.12',
  trace: TraceLevel = 'off',
  coreParams: Record<string, boolean> = {},
): Promise<Protected> {
  const medium = new Uint8Array(4 * MIB);
  const faults = new Faults();
  const machine = await machineWith(
    { namespaces: [{ sizeMiB: 4, ...format }] },
    { profile, trace, cpus: 2 },
    { faultPlans: [faults], parts: { blockStore: () => new MemoryBlockStore(medium, 0, medium.length, false) } },
  );
  await machine.modprobe('nvme_core', coreParams);
  await machine.modprobe('nvme');
  await machine.settle();
  return { machine, faults, medium };
}

const PI1: Omit<Namespace, 'sizeMiB'> = { metadataBytes: 8, protectionType: 1 };

function shown(machine: Machine, file: string): string {
  return machine.sysfs.read(`/sys/block/nvme0n1/${file}`).trim();
}

/** The six files of `integrity`, in the order of their names. */
function integrityFiles(machine: Machine): string[] {
  return machine.sysfs
    .list('/sys/block/nvme0n1/integrity')
    .sort()
    .map((name) => shown(machine, `integrity/${name}`));
}

/** Words of the read and write commands, as they were fetched. */
function commandsOf(faults: Faults): string[] {
  const seen: string[] = [];
  faults.onCommand = (sqid, _cid, opcode, nsid, slba) => {
    if (sqid > 0) seen.push(`${opcode} ${nsid} ${slba}`);
    return null;
  };
  return seen;
}

const RUNS = PROFILES.flatMap((profile) => (['off', 'full'] as const).map((trace) => ({ profile, trace })));

describe.each(RUNS)('a disk with protection information on $profile, trace $trace', ({ profile, trace }) => {
  it.each([512, 4096] as const)('of blocks of %i bytes keeps what is written', async (logicalBlockSize) => {
    const { machine } = await withFormat({ ...PI1, logicalBlockSize }, profile, trace);
    expect(integrityFiles(machine)).toEqual(['1', 'T10-DIF-TYPE1-CRC', String(logicalBlockSize), '1', '2', '1']);
    expect(shown(machine, 'queue/max_integrity_segments')).toBe('1');
    const disk = machine.disk('nvme0n1');
    const bytes = pattern(700 * KIB);
    await disk.write(12 * KIB, bytes);
    expect(firstDifference(await disk.read(12 * KIB, bytes.length), bytes)).toBe(-1);
    if (profile.startsWith('6')) {
      await disk.writeZeroes(16 * KIB, 8 * KIB);
      expect(firstDifference(await disk.read(16 * KIB, 8 * KIB), new Uint8Array(8 * KIB))).toBe(-1);
    }
    await disk.flush();
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    expect(
      firstDifference((await disk.read(64 * KIB, 64 * KIB)).subarray(0), bytes.subarray(52 * KIB, 116 * KIB)),
    ).toBe(-1);
    expect(log(machine).join('\n')).not.toMatch(/error|I\/O Error|WARN/i);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('of blocks of 4096 bytes is numbered by the disk’s blocks within a partition', async () => {
    const { machine } = await withFormat({ ...PI1, logicalBlockSize: 4096 }, profile, trace);
    const table = new Uint8Array(4096);
    const view = new DataView(table.buffer);
    table[450] = 0x83;
    view.setUint32(454, 64, true);
    view.setUint32(458, 256, true);
    view.setUint16(510, 0xaa55, true);
    await machine.disk('nvme0n1').write(0, table);
    await machine.ioctl('/dev/nvme0n1', BLKRRPART, null);
    const bytes = pattern(64 * KIB, 3);
    await machine.disk('nvme0n1p1').write(8 * KIB, bytes);
    expect(firstDifference(await machine.disk('nvme0n1p1').read(8 * KIB, bytes.length), bytes)).toBe(-1);
    const tuple = new Uint8Array(8);
    const io: NvmeUserIo = { opcode: READ, slba: 66, nblocks: 0, data: new Uint8Array(4096), metadata: tuple };
    expect(await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_SUBMIT_IO, io)).toBe(0);
    expect([...tuple.subarray(2)]).toEqual([0, 0, 0, 0, 0, 66]);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('has a bit that flipped in the medium found by the controller', async () => {
    const { machine, medium } = await withFormat(PI1, profile, trace);
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(16 * KIB));
    medium[9 * 512 + 3] = (medium[9 * 512 + 3] as number) ^ 1;
    const knowsStatus = profile === '6.12' || profile === '6.1';
    expect(await codeOf(disk.read(4 * KIB, 4 * KIB))).toBe(knowsStatus ? 'EILSEQ' : 'EIO');
    expect(await codeOf(disk.read(0, 4 * KIB))).toBeNull();
    const lines = log(machine);
    if (knowsStatus) {
      expect(lines.at(-2)).toMatch(/^nvme0n1: I\/O Cmd\(0x2\) @ LBA 8, 8 blocks, I\/O Error \(sct 0x2 \/ sc 0x82\)/);
      expect(lines.at(-1)).toMatch(/^protection error, dev nvme0n1, sector 8 op 0x0:\(READ\) flags 0x10800 phys_seg 1/);
    } else {
      expect(lines.at(-1)).toMatch(/I\/O error, dev nvme0n1, sector 8$/);
    }
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('has a bit that flipped on the way found by the block layer, or on the way out by the controller', async () => {
    const { machine, faults } = await withFormat(PI1, profile, trace);
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(16 * KIB));
    faults.onCommand = (sqid, _cid, opcode) =>
      sqid > 0 && opcode === READ ? { kind: FAULT_ALTER, data: { offset: 3 * 512, xor: 4 } } : null;
    expect(await codeOf(disk.read(4 * KIB, 4 * KIB))).toBe('EILSEQ');
    expect(log(machine).at(-1)).toMatch(
      /^nvme0n1: guard tag error at sector 11 \(rcvd [0-9a-f]{4}, want [0-9a-f]{4}\)$/,
    );
    await machine.sysfs.write('/sys/block/nvme0n1/integrity/read_verify', '0');
    expect(await codeOf(disk.read(4 * KIB, 4 * KIB))).toBeNull();
    faults.onCommand = (sqid, _cid, opcode) =>
      sqid > 0 && opcode === WRITE ? { kind: FAULT_ALTER, data: { offset: 700, xor: 4 } } : null;
    expect(await codeOf(disk.write(4 * KIB, pattern(4 * KIB)))).toMatch(/EILSEQ|EIO/);
    faults.clear();
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('leaves its metadata to the controller where the switches are off', async () => {
    const { machine, faults } = await withFormat(PI1, profile, trace);
    const disk = machine.disk('nvme0n1');
    await machine.sysfs.write('/sys/block/nvme0n1/integrity/write_generate', '0');
    await disk.write(0, pattern(8 * KIB));
    await machine.sysfs.write('/sys/block/nvme0n1/integrity/write_generate', '1');
    // The controller made it, and the block layer finds it right.
    const seen = commandsOf(faults);
    expect(firstDifference(await disk.read(0, 8 * KIB), pattern(8 * KIB))).toBe(-1);
    expect(seen).toEqual(['2 1 0']);
    await machine.sysfs.write('/sys/block/nvme0n1/integrity/read_verify', '0');
    expect(firstDifference(await disk.read(0, 8 * KIB), pattern(8 * KIB))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe.each(PROFILES)('other formats on %s', (profile) => {
  it('of type 3 check the guard', async () => {
    const { machine, medium } = await withFormat({ metadataBytes: 8, protectionType: 3 }, profile);
    expect(integrityFiles(machine)).toEqual(['1', 'T10-DIF-TYPE3-CRC', '512', '1', '6', '1']);
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(8 * KIB));
    expect(firstDifference(await disk.read(0, 8 * KIB), pattern(8 * KIB))).toBe(-1);
    medium[100] = (medium[100] as number) ^ 0x10;
    expect(await codeOf(disk.read(0, 8 * KIB))).toMatch(/EILSEQ|EIO/);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('without protection information are a disk with metadata of zeroes', async () => {
    const { machine } = await withFormat({ metadataBytes: 64 }, profile);
    expect(integrityFiles(machine)).toEqual(['0', 'nop', '512', '1', '0', '1']);
    const disk = machine.disk('nvme0n1');
    const metadata = new Uint8Array(64).fill(7);
    const io: NvmeUserIo = { opcode: WRITE, slba: 3, nblocks: 0, data: new Uint8Array(512), metadata };
    expect(await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_SUBMIT_IO, io)).toBe(0);
    await disk.write(0, pattern(1536));
    const back: NvmeUserIo = { ...io, opcode: READ, metadata: new Uint8Array(64) };
    expect(await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_SUBMIT_IO, back)).toBe(0);
    expect(back.metadata).toEqual(metadata);
    await disk.write(0, pattern(2048));
    expect(await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_SUBMIT_IO, back)).toBe(0);
    expect(back.metadata).toEqual(new Uint8Array(64));
    expect(firstDifference(await disk.read(0, 2048), pattern(2048))).toBe(-1);
    // Nothing else can stand in for metadata that nobody makes.
    await machine.sysfs.write('/sys/block/nvme0n1/integrity/write_generate', '0');
    expect(await codeOf(disk.write(0, pattern(512)))).toBe('EOPNOTSUPP');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('with metadata within the data are usable where the controller makes it', async () => {
    const { machine } = await withFormat({ ...PI1, metadataExtended: true }, profile);
    expect([shown(machine, 'integrity/format'), shown(machine, 'size')]).not.toContain('0');
    expect(shown(machine, 'integrity/format')).toBe('none');
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(8 * KIB));
    expect(firstDifference(await disk.read(0, 8 * KIB), pattern(8 * KIB))).toBe(-1);
    const data = new Uint8Array(520);
    expect(await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_SUBMIT_IO, { opcode: READ, slba: 5, nblocks: 0, data })).toBe(
      0,
    );
    expect([...data.subarray(514)]).toEqual([0, 0, 0, 0, 0, 5]);
    expect(await leftBehind(machine)).toEqual([]);
    const other = await withFormat({ metadataBytes: 16, protectionType: 1, metadataExtended: true }, profile);
    expect(shown(other.machine, 'size')).toBe('0');
  });

  it('with protection information first are known since 5.18, and last since 6.9', async () => {
    const first = await withFormat({ metadataBytes: 16, protectionType: 1, protectionFirst: true }, profile);
    const last = await withFormat({ metadataBytes: 16, protectionType: 1 }, profile);
    expect([first, last].map(({ machine }) => shown(machine, 'integrity/format'))).toEqual([
      profile.startsWith('6') ? 'T10-DIF-TYPE1-CRC' : 'nop',
      profile === '6.12' ? 'T10-DIF-TYPE1-CRC' : 'nop',
    ]);
    for (const { machine } of [first, last]) {
      const disk = machine.disk('nvme0n1');
      await disk.write(0, pattern(32 * KIB));
      expect(firstDifference(await disk.read(0, 32 * KIB), pattern(32 * KIB))).toBe(-1);
      expect(await leftBehind(machine)).toEqual([]);
    }
  });

  it('pass a user’s metadata both ways, which the controller checks when asked to', async () => {
    const { machine } = await withFormat(PI1, profile);
    const PRCHK_ALL = 7 << 10;
    const data = pattern(1024);
    await machine.disk('nvme0n1').write(10 * 512, data);
    const metadata = new Uint8Array(16);
    const nsid = 1;
    const read = { opcode: READ, nsid, cdw10: 10, cdw12: 1, data: new Uint8Array(1024), metadata };
    expect(await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_IO_CMD, read)).toBe(0);
    expect(firstDifference(read.data, data)).toBe(-1);
    expect([metadata[7], metadata[15]]).toEqual([10, 11]);
    const write: NvmeUserIo = { opcode: WRITE, slba: 20, nblocks: 1, control: PRCHK_ALL, reftag: 20, data, metadata };
    // Its reference tags are those of blocks 10 and 11.
    expect((await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_SUBMIT_IO, write)) & 0x7ff).toBe(0x284);
    metadata[7] = 20;
    metadata[15] = 21;
    expect(await machine.ioctl('/dev/nvme0n1', NVME_IOCTL_SUBMIT_IO, write)).toBe(0);
    expect(firstDifference(await machine.disk('nvme0n1').read(20 * 512, 1024), data)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('come and go with Format NVM', async () => {
    const { machine } = await withFormat({}, profile);
    const format = async (cdw10: number): Promise<void> => {
      expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: FORMAT, nsid: 1, cdw10 })).toBe(0);
      await machine.sysfs.write('/sys/class/nvme/nvme0/rescan_controller', '1');
      await machine.settle();
    };
    expect(shown(machine, 'integrity/format')).toBe('none');
    await format(1 | (1 << 5));
    expect(integrityFiles(machine)).toEqual(['1', 'T10-DIF-TYPE1-CRC', '512', '1', '2', '1']);
    await machine.disk('nvme0n1').write(0, pattern(64 * KIB));
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 64 * KIB), pattern(64 * KIB))).toBe(-1);
    await format(4);
    expect([shown(machine, 'integrity/format'), shown(machine, 'queue/logical_block_size')]).toEqual(['none', '4096']);
    await machine.disk('nvme0n1').write(0, pattern(64 * KIB));
    expect(firstDifference(await machine.disk('nvme0n1').read(0, 64 * KIB), pattern(64 * KIB))).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('nvme_core.disable_pi_offsets', () => {
  it('has protection information that does not come first taken for none, on 6.12', async () => {
    const format = { metadataBytes: 16, protectionType: 1 } as const;
    const { machine } = await withFormat(format, '6.12', 'off', { disable_pi_offsets: true });
    expect(machine.sysfs.read('/sys/module/nvme_core/parameters/disable_pi_offsets')).toBe('Y\n');
    expect(integrityFiles(machine)).toEqual(['0', 'nop', '512', '1', '0', '1']);
    const without = await withFormat(format);
    expect(shown(without.machine, 'integrity/format')).toBe('T10-DIF-TYPE1-CRC');
    const first = await withFormat({ ...format, protectionFirst: true }, '6.12', 'off', { disable_pi_offsets: true });
    expect(shown(first.machine, 'integrity/format')).toBe('T10-DIF-TYPE1-CRC');
  });

  it('is no parameter of 6.1', async () => {
    const { machine } = await withFormat({}, '6.1');
    expect(machine.sysfs.list('/sys/module/nvme_core/parameters')).not.toContain('disable_pi_offsets');
  });
});
