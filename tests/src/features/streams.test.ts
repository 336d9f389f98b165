/** Write hints, and the streams that kernel 4.13 makes of them; what later kernels do with hints instead. */

import type { Request } from '@nvme-stack/blk-mq/ports';
import { type Machine, type MachineDescription, PROFILES, type WriteHint } from '@nvme-stack/machine';
import type { FaultPlanDescription, FaultRule, NvmeController, StreamReport } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { codeOf, firstDifference, KIB, leftBehind, log, MIB, machineWith, NVME_BDF, pattern } from './bench.js';
import { events } from './device-events.js';

type Nvme = NonNullable<MachineDescription['nvme']>[number];
type Profile = (typeof PROFILES)[number];

const DIRECTIVE_SEND = 0x19;
const DIRECTIVE_RECEIVE = 0x1a;
const IDENTIFY = 0x06;
const QUEUE = '/sys/block/nvme0n1/queue';
const WRITE_HINTS = '/sys/kernel/debug/block/nvme0n1/write_hints';
const STREAMS: Nvme = { streams: { maxStreams: 16 } };
const USING = 'nvme nvme0: Using 4 streams';

interface Options {
  readonly nvme?: Nvme;
  readonly streams?: boolean;
  readonly trace?: MachineDescription['trace'];
  readonly faults?: FaultRule[];
}

async function machineOf(
  profile: Profile,
  { nvme = STREAMS, streams = true, trace = 'full', faults = [] }: Options = {},
) {
  const plan: FaultPlanDescription = { faults };
  const machine = await machineWith({ ...nvme, faults: plan }, { profile, trace });
  await machine.modprobe('nvme_core', profile === '4.13' ? { streams } : {});
  await machine.modprobe('nvme');
  await machine.settle();
  return machine;
}

function controller(machine: Machine): NvmeController {
  return machine.device(NVME_BDF).function as NvmeController;
}

/** What each stream of the controller got, by identifier. */
function written(machine: Machine): [id: number, bytes: number][] {
  const all = controller(machine).streams?.all ?? [];
  return all.map(({ id, bytesWritten }: StreamReport): [number, number] => [id, bytesWritten]);
}

/** Opcodes of admin commands, from the first Identify on. */
function adminOpcodes(machine: Machine, from = 0): number[] {
  return events(machine, 'pci_nvme_admin_cmd', from).map(([, , opcode]) => opcode as number);
}

describe('streams of kernel 4.13', () => {
  it('are enabled after the power states and before the queues, and asked for by each namespace before it is identified', async () => {
    const machine = await machineOf('4.13', { nvme: { ...STREAMS, apst: true } });
    expect(log(machine).filter((line) => line.includes('streams'))).toEqual([USING]);
    // Identify, Set Features (APST), enable, parameters, Set Features (queues), then the I/O queues.
    expect(adminOpcodes(machine).slice(0, 6)).toEqual([IDENTIFY, 0x09, DIRECTIVE_SEND, DIRECTIVE_RECEIVE, 0x09, 0x05]);
    const scan = adminOpcodes(machine).slice(adminOpcodes(machine).lastIndexOf(0x0c) + 1);
    expect(scan.filter((opcode) => opcode === DIRECTIVE_RECEIVE).length).toBe(1);
    expect(scan[scan.indexOf(DIRECTIVE_RECEIVE) + 1]).toBe(IDENTIFY);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each<[string, Options]>([
    ['nobody asked for them', { streams: false }],
    ['the controller has no directives', { nvme: {} }],
  ])('are not spoken of when %s', async (_why, options) => {
    const machine = await machineOf('4.13', options);
    expect(log(machine).join('\n')).not.toContain('streams');
    expect(adminOpcodes(machine)).not.toContain(DIRECTIVE_SEND);
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB), { writeHint: 'short' });
    expect(written(machine)).toEqual([]);
  });

  it.each(['6.12', '6.1', '4.10'] as const)('are unknown to %s', async (profile) => {
    const machine = await machineOf(profile);
    expect(adminOpcodes(machine)).not.toContain(DIRECTIVE_SEND);
    expect(machine.sysfs.exists('/sys/module/nvme_core/parameters/streams')).toBe(false);
    expect(machine.sysfs.exists('/sys/kernel/debug/block')).toBe(false);
  });

  it('are given back when there are too few of them', async () => {
    const machine = await machineOf('4.13', { nvme: { streams: { maxStreams: 3 } } });
    expect(log(machine)).toContain('nvme nvme0: too few streams (3) available');
    expect(adminOpcodes(machine).filter((opcode) => opcode === DIRECTIVE_SEND).length).toBe(2);
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(4 * KIB), { writeHint: 'long' });
    expect(written(machine)).toEqual([]);
    expect(firstDifference(await disk.read(0, 4 * KIB), pattern(4 * KIB))).toBe(-1);
  });

  it.each<[string, FaultRule]>([
    ['to enable them', { kind: 'status', opcode: DIRECTIVE_SEND, queue: 'admin', status: 0x4002 }],
    ['to tell of them', { kind: 'status', opcode: DIRECTIVE_RECEIVE, queue: 'admin', status: 0x4002 }],
  ])('are not used when the controller refuses %s', async (_what, fault) => {
    const machine = await machineOf('4.13', { faults: [fault] });
    expect(log(machine).join('\n')).not.toContain('streams');
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB), { writeHint: 'short' });
    expect(written(machine)).toEqual([]);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
  });

  it.each(['full', 'off'] as const)(
    'are named by the hint of a write, and of no other command (trace %s)',
    async (trace) => {
      const machine = await machineOf('4.13', { trace });
      const disk = machine.disk('nvme0n1');
      const hints: WriteHint[] = ['short', 'medium', 'long', 'extreme', 'none'];
      for (const [i, writeHint] of hints.entries())
        await disk.write(i * 64 * KIB, pattern((i + 1) * 4 * KIB, i), { writeHint });
      await disk.write(512 * KIB, pattern(32 * KIB));
      expect(written(machine)).toEqual([
        [1, 4 * KIB],
        [2, 8 * KIB],
        [3, 12 * KIB],
        [4, 16 * KIB],
      ]);
      for (const i of hints.keys())
        expect(firstDifference(await disk.read(i * 64 * KIB, (i + 1) * 4 * KIB), pattern((i + 1) * 4 * KIB, i))).toBe(
          -1,
        );
      expect(machine.sysfs.read(WRITE_HINTS)).toBe('hint0: 104\nhint1: 8\nhint2: 16\nhint3: 24\nhint4: 32\n');
      await machine.sysfs.write(WRITE_HINTS, '0');
      expect(machine.sysfs.read(WRITE_HINTS)).toBe('hint0: 0\nhint1: 0\nhint2: 0\nhint3: 0\nhint4: 0\n');
      expect(await leftBehind(machine)).toEqual([]);
      expect(machine.sysfs.exists('/sys/kernel/debug/block/nvme0n1')).toBe(false);
    },
  );

  it('keep the hint of a write that is split', async () => {
    const machine = await machineOf('4.13', { nvme: { ...STREAMS, mdts: 3 } });
    await machine.disk('nvme0n1').write(0, pattern(MIB), { writeHint: 'medium' });
    expect(written(machine)).toEqual([[2, MIB]]);
  });

  it('are not left out by whoever fills the commands of a list at once', async () => {
    for (const [streams, filled] of [
      [false, true],
      [true, false],
    ] as const) {
      const { nvmeCore, blkMq } = (await machineOf('4.13', { streams, trace: 'off' })).subsystems;
      const [ctrl] = nvmeCore.controllers;
      const hctx = blkMq.lookup('nvme0n1')?.disk.queue.hctxs[0];
      if (ctrl === undefined || hctx === undefined) throw new Error('no disk');
      const pdu = { nvme: nvmeCore.nvmeInitRequestData(ctrl, {} as Request) };
      const request = {
        cmdFlags: 1,
        rqFlags: 0,
        mqHctx: hctx,
        tag: 0,
        sector: 0,
        dataLengthBytes: 4096,
        next: null,
        pdu,
      };
      expect(nvmeCore.nvmeSetupCmds(ctrl, hctx, request as unknown as Request)).toBe(filled);
    }
  });

  it('make sizes that a namespace prefers, in blocks of 512 bytes for writing', async () => {
    const machine = await machineOf('4.13', {
      nvme: { streams: { maxStreams: 8, writeSizeBlocks: 64, granularity: 4 } },
    });
    const sizes = ['minimum_io_size', 'optimal_io_size', 'discard_granularity'].map((name) =>
      machine.sysfs.read(`${QUEUE}/${name}`),
    );
    expect(sizes).toEqual(['32768\n', '131072\n', '131072\n']);
    const plain = await machineOf('4.13', { streams: false });
    expect(plain.sysfs.read(`${QUEUE}/discard_granularity`)).toBe('512\n');
  });

  it('are enabled again after a reset', async () => {
    const machine = await machineOf('4.13');
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB), { writeHint: 'short' });
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await machine.settle();
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB), { writeHint: 'short' });
    expect(log(machine).filter((line) => line === USING).length).toBe(2);
    expect(written(machine)).toEqual([[1, 8 * KIB]]);
  });

  it('are still named in writes, which fail, when a reset does not enable them', async () => {
    const machine = await machineOf('4.13');
    await machine.sysfs.write('/sys/module/nvme_core/parameters/streams', '0');
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await machine.settle();
    const disk = machine.disk('nvme0n1');
    expect(await codeOf(disk.write(0, pattern(4 * KIB), { writeHint: 'short' }))).toBe('EIO');
    expect(await codeOf(disk.write(0, pattern(4 * KIB)))).toBe(null);
  });
});

describe('write hints', () => {
  /** Blocks of the commands that two neighbouring writes in one plug become. */
  async function together(profile: Profile, hints: readonly [number, number]): Promise<number[]> {
    const machine = await machineOf(profile, { nvme: {} });
    const { blkMq } = machine.subsystems;
    const disk = blkMq.lookup('nvme0n1');
    if (disk === null) throw new Error('no disk');
    const buffer = machine.allocBuffer(8 * KIB);
    const from = machine.trace.entries.length;
    await machine.task('writer', async () => {
      const plug = blkMq.blkStartPlug();
      const done = hints.map((hint, i) => {
        const bio = blkMq.allocBio(1);
        Object.assign(bio, { disk: disk.disk, opf: 1, sector: 8 * i, sizeBytes: 4 * KIB, vcnt: 1, writeHint: hint });
        bio.vecAddr[0] = buffer.pages[i] as number;
        bio.vecLengthBytes[0] = 4 * KIB;
        return bio;
      });
      for (const bio of done) blkMq.submitBio(bio);
      blkMq.blkFinishPlug(plug);
    });
    await machine.settle();
    buffer.free();
    return events(machine, 'pci_nvme_write', from).map(([, , blocks]) => blocks as number);
  }

  it.each(['6.12', '4.13'] as const)('keep writes apart that would be merged (%s)', async (profile) => {
    expect(await together(profile, [2, 2])).toEqual([16]);
    expect(await together(profile, [2, 3])).toEqual([8, 8]);
  });

  it.each(PROFILES)('are what the kernel knows of them (%s)', async (profile) => {
    const machine = await machineOf(profile, { nvme: {} });
    const disk = machine.disk('nvme0n1');
    const refused = profile === '4.10' ? 'EINVAL' : null;
    expect(await codeOf(disk.write(0, pattern(4 * KIB), { writeHint: 'long' }))).toBe(refused);
    await expect(disk.write(0, pattern(4 * KIB), { writeHint: 'eternal' as WriteHint })).rejects.toThrow(
      'nvme0n1: writeHint is "eternal"; allowed are none, short, medium, long, extreme',
    );
  });
});
