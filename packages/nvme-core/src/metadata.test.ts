import {
  BLK_INTEGRITY_CSUM_CRC,
  BLK_INTEGRITY_CSUM_CRC64,
  BLK_INTEGRITY_CSUM_NONE,
  BLK_INTEGRITY_DEVICE_CAPABLE,
  BLK_INTEGRITY_REF_TAG,
  BLK_STS_OK,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
} from '@nvme-stack/blk-mq/ports';
import type { KernelProfile } from '@nvme-stack/kernel';
import { NVME_CTRL_ATTR_ELBAS, NVME_CTRL_CMIC_MULTI_CTRL, NvmeIdNsNvm } from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { createTestMachine, type TestMachine } from './fixtures/test-machine.js';
import type { FakeNvmeTransport } from './testing.js';

const PI_FIRST = 1 << 3;
const META_EXT = 0x10;
const PRACT = 1 << 13;
/** Of Write Zeroes: deallocate. */
const DEAC = 1 << 9;
const PRCHK_GUARD = 1 << 12;
const PRCHK_REF = 1 << 10;
/** A 64-bit guard, by field PIF; and the same through QPIF. */
const WIDE = 2 << 7;
const QUALIFIED_WIDE = (3 << 7) | (2 << 9);
const STORAGE_TAG = 4;

interface Format {
  readonly profile?: KernelProfile;
  readonly ms: number;
  readonly ds?: number;
  readonly dps?: number;
  readonly flbas?: number;
  /** What CNS 05h says of the format; absent: the controller does not have it. */
  readonly elbaf?: number;
  readonly pic?: number;
  readonly params?: Record<string, boolean>;
}

async function bench(format: Format): Promise<{ machine: TestMachine; transport: FakeNvmeTransport }> {
  const { profile = '6.12', ms, ds = 9, dps = 0, flbas = 0, elbaf, pic = 0, params = {} } = format;
  const machine = createTestMachine({ profile });
  const transport = machine.transport({
    ...(elbaf === undefined ? {} : { identify: { ctratt: NVME_CTRL_ATTR_ELBAS } }),
    namespaces: [{ nsid: 1, blocks: 4096, lbaShift: ds, identify: { flbas, dps, lbaf: [{ ms, ds, rp: 0 }] } }],
  });
  transport.intercept = ({ qid, words }) =>
    qid === 0 && (words[0] & 0xff) === 6 && words[10] === 5 && elbaf !== undefined
      ? { data: NvmeIdNsNvm.encode({ pic, elbaf: [elbaf] }) }
      : undefined;
  await machine.run(async () => {
    await machine.core.nvmeCoreInit(params);
    await transport.probe();
  });
  await machine.door.settle(1e9);
  transport.sent.length = 0;
  return { machine, transport };
}

/** The disk's profile as checksum, reference tags or not, tuple and offset; and its size. */
async function profileOf(format: Format): Promise<[string, number]> {
  const { machine } = await bench(format);
  const [disk] = machine.blkMq.disks;
  const { integrity } = disk.queue.limits;
  if (integrity === null) return ['none', disk.capacitySectors];
  const csum = {
    [BLK_INTEGRITY_CSUM_NONE]: 'nop',
    [BLK_INTEGRITY_CSUM_CRC]: 'crc',
    [BLK_INTEGRITY_CSUM_CRC64]: 'crc64',
  }[integrity.csumType];
  const ref = (integrity.flags & BLK_INTEGRITY_REF_TAG) !== 0 ? '+ref' : '';
  const capable = (integrity.flags & BLK_INTEGRITY_DEVICE_CAPABLE) !== 0;
  expect(capable).toBe(csum !== 'nop');
  return [`${csum}${ref} ${integrity.tupleSizeBytes}@${integrity.piOffsetBytes}`, disk.capacitySectors];
}

describe('a namespace’s metadata', () => {
  it.each<[Format, string]>([
    [{ ms: 0 }, 'none'],
    [{ ms: 8 }, 'nop 8@0'],
    [{ ms: 8, dps: 1 }, 'crc+ref 8@0'],
    [{ ms: 8, dps: 2 }, 'crc+ref 8@0'],
    [{ ms: 8, dps: 3 }, 'crc 8@0'],
    [{ ms: 4, dps: 1 }, 'nop 4@0'],
    [{ ms: 64, dps: 1 }, 'crc+ref 64@56'],
    [{ ms: 64, dps: 1 | PI_FIRST }, 'crc+ref 64@0'],
    [{ ms: 64, dps: 1, params: { disable_pi_offsets: true } }, 'nop 64@0'],
    [{ ms: 64, dps: 1 | PI_FIRST, params: { disable_pi_offsets: true } }, 'crc+ref 64@0'],
    [{ ms: 16, dps: 1, elbaf: WIDE }, 'crc64+ref 16@0'],
    [{ ms: 16, dps: 3, elbaf: WIDE }, 'crc64 16@0'],
    [{ ms: 16, dps: 1, elbaf: QUALIFIED_WIDE, pic: 8 }, 'crc64+ref 16@0'],
    [{ ms: 16, dps: 1, elbaf: QUALIFIED_WIDE }, 'nop 16@0'],
    [{ ms: 16, dps: 1, elbaf: WIDE | STORAGE_TAG }, 'nop 16@0'],
    [{ ms: 8, dps: 1, elbaf: WIDE }, 'nop 8@0'],
    [{ ms: 64, dps: 1, profile: '6.1' }, 'nop 64@0'],
    [{ ms: 64, dps: 1 | PI_FIRST, profile: '6.1' }, 'crc+ref 64@0'],
    [{ ms: 16, dps: 1, elbaf: WIDE, profile: '6.1' }, 'crc64+ref 16@0'],
    [{ ms: 16, dps: 1, elbaf: QUALIFIED_WIDE, pic: 8, profile: '6.1' }, 'nop 16@0'],
    [{ ms: 8, dps: 1, profile: '4.13' }, 'crc+ref 8@0'],
    [{ ms: 64, dps: 1 | PI_FIRST, profile: '4.13' }, 'nop 64@0'],
    [{ ms: 8, dps: 3, profile: '4.13' }, 'crc 8@0'],
  ])('of %j is a profile', async (format, profile) => {
    expect(await profileOf(format)).toEqual([profile, 4096]);
  });

  it.each<[Format, number]>([
    [{ ms: 8, dps: 1, flbas: META_EXT }, 4096],
    [{ ms: 8, dps: 0, flbas: META_EXT }, 0],
    [{ ms: 64, dps: 1, flbas: META_EXT }, 0],
    [{ ms: 16, dps: 1, elbaf: WIDE, flbas: META_EXT }, 4096],
    [{ ms: 8, dps: 1, flbas: META_EXT, profile: '6.1' }, 4096],
    [{ ms: 8, dps: 0, flbas: META_EXT, profile: '6.1' }, 0],
    [{ ms: 8, dps: 1, flbas: META_EXT, profile: '4.13' }, 4096],
    [{ ms: 64, dps: 1, flbas: META_EXT, profile: '4.13' }, 0],
  ])('of %j within the data leaves %i sectors', async (format, sectors) => {
    expect(await profileOf(format)).toEqual(['none', sectors]);
  });
});

describe('commands of a namespace with metadata', () => {
  /** Of a write, or what `op` is: PRINFO, the reference tag's two parts. */
  async function sent(format: Format, op = REQ_OP_WRITE, sector = 80): Promise<number[]> {
    const { machine, transport } = await bench(format);
    await machine.run(async () => {
      expect(await machine.io('nvme0n1', op, sector, new Uint8Array(4096))).toBe(BLK_STS_OK);
    });
    const [{ words }] = transport.sent;
    return [(words[12] >>> 16) & 0x3fff, words[14], words[3]];
  }

  it('have the controller check guard and reference tag', async () => {
    expect(await sent({ ms: 8, dps: 1 })).toEqual([PRCHK_GUARD | PRCHK_REF, 80, 0]);
    expect(await sent({ ms: 8, dps: 1 }, REQ_OP_READ)).toEqual([PRCHK_GUARD | PRCHK_REF, 80, 0]);
    expect(await sent({ ms: 8, dps: 1, ds: 12 })).toEqual([PRCHK_GUARD | PRCHK_REF, 10, 0]);
    expect(await sent({ ms: 8, dps: 3 })).toEqual([PRCHK_GUARD, 0, 0]);
    expect(await sent({ ms: 8 })).toEqual([0, 0, 0]);
    expect(await sent({ ms: 8, dps: 1, profile: '4.13' })).toEqual([PRCHK_GUARD | PRCHK_REF, 80, 0]);
  });

  it('have it make what the block layer does not', async () => {
    const all = PRACT | PRCHK_GUARD | PRCHK_REF;
    expect(await sent({ ms: 8, dps: 1, flbas: META_EXT })).toEqual([all, 80, 0]);
    expect(await sent({ ms: 8, dps: 1 }, REQ_OP_WRITE_ZEROES)).toEqual([PRACT | DEAC, 80, 0]);
    expect(await sent({ ms: 8, dps: 3 }, REQ_OP_WRITE_ZEROES)).toEqual([PRACT | DEAC, 0, 0]);
  });

  it('have 48 bits of reference tag with a 64-bit guard', async () => {
    expect(await sent({ ms: 16, dps: 1, elbaf: WIDE })).toEqual([PRCHK_GUARD | PRCHK_REF, 80, 0]);
  });
});

describe.each<KernelProfile>(['6.12', '6.1'])('a head over two paths (%s)', (profile) => {
  it('has the profile of its namespace, and metadata is made once, for the path', async () => {
    const machine = createTestMachine({ profile });
    const identify = { nmic: 1, dps: 1, lbaf: [{ ms: 8, ds: 9, rp: 0 }] };
    const namespaces = [{ nsid: 1, blocks: 2048, uuid: new Uint8Array(16).fill(5), identify }];
    const paths = [0, 1].map((cntlid) =>
      machine.transport(
        { namespaces, medium: new Map(), identify: { cmic: NVME_CTRL_CMIC_MULTI_CTRL, cntlid } },
        `fake${cntlid}`,
      ),
    );
    await machine.run(() => machine.core.nvmeCoreInit({}));
    for (const path of paths) await machine.run(() => path.probe());
    await machine.door.settle(1e9);
    for (const name of ['nvme0n1', 'nvme0c0n1', 'nvme0c1n1'])
      expect(machine.deviceCore.sysfs.read(`/sys/block/${name}/integrity/format`)).toBe('T10-DIF-TYPE1-CRC\n');
    for (const path of paths) path.sent.length = 0;
    const free = machine.kernel.memory.freePageCount;
    expect(await machine.run(() => machine.io('nvme0n1', REQ_OP_WRITE, 8, new Uint8Array(4096)))).toBe(BLK_STS_OK);
    expect(await machine.run(() => machine.io('nvme0n1', REQ_OP_READ, 8, new Uint8Array(4096)))).toBe(BLK_STS_OK);
    const sent = paths.flatMap((path) => path.sent);
    expect(sent.map(({ words }) => (words[12] >>> 16) & 0x3fff)).toEqual([
      PRCHK_GUARD | PRCHK_REF,
      PRCHK_GUARD | PRCHK_REF,
    ]);
    expect(machine.kernel.memory.freePageCount).toBe(free);
  });
});
