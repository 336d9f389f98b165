/** Native multipath on whole machines: two controllers over the same namespaces, and what happens when one goes. */

import type { Leak } from '@nvme-stack/kernel';
import { createMachine, type Machine, type MachineDescription, type MachineNvme } from '@nvme-stack/machine';
import type { LatencyDescription, NvmeController } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';

const MIB = 1 << 20;
const BLOCK = 4096;
const POLICY = '/sys/class/nvme-subsystem/nvme-subsys0/iopolicy';
const SLOW = { kind: 'fixed', writeNs: 5_000_000 } as const;
const PATHS = ['0000:00:03.0', '0000:00:04.0'] as const;

/** The second controller comes when the first one is there: the subsystem is named after nvme0. */
async function loaded(
  description: Partial<MachineDescription> = {},
  params: Record<string, unknown> = {},
  latency: LatencyDescription = { kind: 'none' },
): Promise<Machine> {
  const nvme = [{ slot: 3, multiController: true, latency, namespaces: [{ sizeMiB: 4 }] }];
  const machine = await createMachine({ ...description, nvme });
  await machine.modprobe('nvme_core', params);
  await machine.modprobe('nvme');
  await machine.settle();
  await machine.plug({ slot: 4, latency, sharesWith: 0 });
  await machine.settle();
  return machine;
}

const block = (fill: number): Uint8Array => new Uint8Array(BLOCK).fill(fill);
const commandsOf = (machine: Machine, bdf: string): number =>
  (machine.device(bdf).function as NvmeController).counters.hostWriteCommands;
const writes = (machine: Machine): number[] => PATHS.map((bdf) => commandsOf(machine, bdf));
const errors = (machine: Machine): string[] => machine.dmesg().filter((line) => /error/i.test(line));

/** The device that was plugged in is there still, or was there when the machine booted. */
const leaks = (machine: Machine): Leak[] => machine.leaks().filter(({ name }) => name !== PATHS[1]);

/** Every block is what was last written to it. */
async function expectBlocks(machine: Machine, expected: ReadonlyMap<number, number>): Promise<void> {
  const disk = machine.disk('nvme0n1');
  for (const [at, fill] of expected) expect([at, (await disk.read(at * BLOCK, BLOCK))[7]]).toEqual([at, fill]);
}

describe.each(['6.12', '6.1'] as const)('two controllers over one namespace (%s)', (profile) => {
  it('are one disk, of which nothing is left after rmmod', async () => {
    const machine = await loaded({ profile });
    expect(machine.sysfs.list('/sys/block')).toEqual(['nvme0c0n1', 'nvme0c1n1', 'nvme0n1']);
    expect(machine.sysfs.list('/sys/class/nvme-subsystem')).toEqual(['nvme-subsys0']);
    expect(machine.disk('nvme0n1').sizeBytes).toBe(4 * MIB);
    expect(() => machine.disk('nvme0c0n1')).toThrow('ENODEV');
    await machine.disk('nvme0n1').write(0, block(1));
    await machine.disk('nvme0n1').flush();
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(leaks(machine)).toEqual([]);
  });

  it('lose nothing and show no error when one is pulled out in the middle of writing', async () => {
    const machine = await loaded({ profile }, { iopolicy: 'round-robin' }, SLOW);
    const disk = machine.disk('nvme0n1');
    const expected = new Map<number, number>();
    const outstanding: Promise<void>[] = [];
    for (let at = 0; at < 128; at++) {
      expected.set(at, 1 + (at % 250));
      outstanding.push(disk.write(at * BLOCK, block(1 + (at % 250))));
    }
    // Every command is with its controller by then.
    const unplugged = machine.run(SLOW.writeNs / 2).then(() => machine.device(PATHS[0]).unplug());
    await Promise.all([...outstanding, unplugged]);
    expect(commandsOf(machine, PATHS[1])).toBe(128);
    await machine.settle();
    await expectBlocks(machine, expected);
    expect(machine.sysfs.list('/sys/block')).toEqual(['nvme0c1n1', 'nvme0n1']);
    expect(errors(machine)).toEqual([]);
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(leaks(machine)).toEqual([]);
  });

  it('fail what is written after both are gone', async () => {
    const machine = await loaded({ profile }, {}, SLOW);
    const disk = machine.disk('nvme0n1');
    const outstanding = Array.from({ length: 16 }, (_, at) => disk.write(at * BLOCK, block(1)));
    const gone = PATHS.map((bdf) => machine.device(bdf).unplug());
    const outcomes = await Promise.allSettled(outstanding);
    await Promise.all(gone);
    await machine.settle();
    expect(outcomes.some(({ status }) => status === 'rejected')).toBe(true);
    expect(machine.sysfs.list('/sys/block')).toEqual([]);
    expect(() => machine.disk('nvme0n1')).toThrow('ENODEV');
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(leaks(machine)).toEqual([]);
  });

  it('go on by the other path while one is reset, and by both afterwards', async () => {
    const machine = await loaded({ profile });
    const disk = machine.disk('nvme0n1');
    const before = writes(machine);
    const reset = machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    const during = Array.from({ length: 32 }, (_, at) => disk.write(at * BLOCK, block(at + 1)));
    await Promise.all([reset, ...during]);
    const after = writes(machine);
    expect((after[1] as number) - (before[1] as number)).toBeGreaterThan(0);
    await expectBlocks(machine, new Map(during.map((_, at) => [at, at + 1])));
    expect(errors(machine)).toEqual([]);
  });

  it('are used as the policy says', async () => {
    const machine = await loaded({ profile });
    const disk = machine.disk('nvme0n1');
    const run = async (): Promise<number[]> => {
      const before = writes(machine);
      for (let at = 0; at < 10; at++) await disk.write(at * BLOCK, block(1));
      return writes(machine).map((count, index) => count - (before[index] as number));
    };
    expect(await run()).toEqual([10, 0]);
    await machine.sysfs.write(POLICY, 'round-robin');
    expect(await run()).toEqual([5, 5]);
    await machine.sysfs.write(POLICY, 'numa');
    expect((await run()).includes(10)).toBe(true);
    const later = machine.sysfs.write(POLICY, 'queue-depth');
    if (profile === '6.12') await later;
    else await expect(later).rejects.toMatchObject({ code: 'EINVAL' });
  });

  it('are two disks without multipath', async () => {
    const machine = await loaded({ profile }, { multipath: false });
    expect(machine.sysfs.list('/sys/block')).toEqual(['nvme0n1', 'nvme1n1']);
    expect(machine.sysfs.read('/sys/module/nvme_core/parameters/multipath')).toBe('N\n');
    expect(machine.dmesg().some((line) => line.includes('but multipathing not supported.'))).toBe(true);
  });
});

describe('controllers that share from the start', () => {
  it('are paths of one disk, named after the one that was identified first', async () => {
    const machine = await createMachine({ nvme: [{ namespaces: [{ sizeMiB: 4 }] }, { sharesWith: 0 }] });
    await machine.modprobe('nvme');
    await machine.settle();
    const [subsystem = ''] = machine.sysfs.list('/sys/class/nvme-subsystem');
    const number = subsystem.replace('nvme-subsys', '');
    expect(machine.sysfs.list('/sys/block')).toEqual(
      [0, 1].map((c) => `nvme${number}c${c}n1`).concat(`nvme${number}n1`),
    );
  });

  it('are refused what the other one says', async () => {
    const refused = async (second: MachineNvme): Promise<string> => {
      const error = await createMachine({ nvme: [{ namespaces: [{ sizeMiB: 1 }] }, second] }).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(RangeError);
      return (error as Error).message;
    };
    expect(await refused({ sharesWith: 1 })).toBe(
      'machine.nvme[1].sharesWith is 1; allowed is the index of an earlier controller',
    );
    expect(await refused({ sharesWith: 0, serial: 'X' })).toBe(
      'machine.nvme[1].serial is there; allowed with sharesWith: absent, it is that of nvme[0]',
    );
    expect(await refused({ sharesWith: 0, controllerId: 0 })).toBe(
      'controllerId 0 is not allowed: it must be one that no other controller has',
    );
  });
});

describe('a path that comes back', () => {
  it('is used again', async () => {
    const machine = await loaded();
    await machine.device(PATHS[0]).unplug();
    await machine.settle();
    await expect(machine.plug({ slot: 7, sharesWith: 0, controllerId: 1 })).rejects.toThrow(
      new RangeError('controllerId 1 is not allowed: it must be one that no other controller has'),
    );
    await machine.plug({ slot: 7, sharesWith: 0 });
    await machine.settle();
    expect(machine.sysfs.list('/sys/block')).toEqual(['nvme0c1n1', 'nvme0c2n1', 'nvme0n1']);
    await machine.sysfs.write(POLICY, 'round-robin');
    for (let at = 0; at < 4; at++) await machine.disk('nvme0n1').write(at * BLOCK, block(9));
    expect(['0000:00:04.0', '0000:00:07.0'].map((bdf) => commandsOf(machine, bdf))).toEqual([2, 2]);
  });
});

describe.each(['off', 'full'] as const)('the head’s disk (trace %s)', (trace) => {
  it('counts what its paths do, in whichever way it is sent', async () => {
    const machine = await loaded({ trace }, { iopolicy: 'queue-depth' }, SLOW);
    const counted = (): number => Number(machine.sysfs.read('/sys/block/nvme0n1/stat').trim().split(/ +/)[4]);
    const before = counted();
    const disk = machine.disk('nvme0n1');
    await Promise.all(Array.from({ length: 20 }, (_, at) => disk.write(at * BLOCK, block(1))));
    expect(counted() - before).toBe(20);
    expect(writes(machine)).toEqual([10, 10]);
  });
});

describe('partitions and large I/O of a head’s disk', () => {
  it('are as those of any other', async () => {
    const machine = await loaded({}, { iopolicy: 'round-robin' });
    const disk = machine.disk('nvme0n1');
    const large = Uint8Array.from({ length: 3 * MIB }, (_, at) => (at * 7) >>> 3);
    await disk.write(0, large);
    const back = await disk.read(0, large.length);
    expect([back.length, back.findIndex((byte, at) => byte !== large[at])]).toEqual([large.length, -1]);
    await disk.discard(0, MIB);
    await disk.writeZeroes(MIB, MIB);
    expect((await disk.read(MIB, MIB)).every((byte) => byte === 0)).toBe(true);
    expect(writes(machine).every((count) => count > 0)).toBe(true);
  });
});

describe('a namespace with protection information', () => {
  it('is checked and fails over like any other', async () => {
    const namespace = { sizeMiB: 2, metadataBytes: 8, protectionType: 1 } as const;
    const nvme = [{ slot: 3, multiController: true, latency: SLOW, namespaces: [namespace] }];
    const machine = await createMachine({ nvme });
    await machine.modprobe('nvme_core', { iopolicy: 'round-robin' });
    await machine.modprobe('nvme');
    await machine.plug({ slot: 4, latency: SLOW, sharesWith: 0 });
    await machine.settle();
    const format = machine.sysfs.read('/sys/block/nvme0n1/integrity/format');
    expect(format).toBe(machine.sysfs.read('/sys/block/nvme0c1n1/integrity/format'));
    const disk = machine.disk('nvme0n1');
    const expected = new Map(Array.from({ length: 32 }, (_, at) => [at, at + 1] as const));
    const outstanding = [...expected].map(([at, fill]) => disk.write(at * BLOCK, block(fill)));
    const unplugged = machine.run(SLOW.writeNs / 2).then(() => machine.device(PATHS[0]).unplug());
    await Promise.all([...outstanding, unplugged]);
    await expectBlocks(machine, expected);
    expect(errors(machine)).toEqual([]);
  });
});

describe('turmoil', () => {
  it.each(Array.from({ length: 30 }, (_, seed) => seed + 1))(
    'of resets and another policy loses nothing (seed %i)',
    async (seed) => {
      const machine = await loaded({ seed, interleave: true, trace: 'off' }, { iopolicy: 'round-robin' });
      const disk = machine.disk('nvme0n1');
      const expected = new Map<number, number>();
      const calls: Promise<unknown>[] = [];
      const reset = (name: string) =>
        machine.sysfs.write(`/sys/class/nvme/${name}/reset_controller`, '1').catch(() => undefined);
      for (let at = 0; at < 64; at++) {
        expected.set(at, 1 + ((at * seed) % 250));
        calls.push(disk.write(at * BLOCK, block(1 + ((at * seed) % 250))));
        if (at % 16 === 3) calls.push(reset(`nvme${(at + seed) & 1}`));
        if (at % 16 === 9) calls.push(machine.sysfs.write(POLICY, at & 16 ? 'numa' : 'queue-depth'));
        if (at === 40) calls.push(machine.device(PATHS[seed & 1] as string).unplug());
        if (at % 8 === 7) await calls[at - 4];
      }
      await Promise.all(calls);
      await machine.settle();
      await expectBlocks(machine, expected);
      await machine.rmmod('nvme');
      await machine.rmmod('nvme_core');
      expect(leaks(machine)).toEqual([]);
    },
  );
});

describe('virtual functions', () => {
  it('are paths of the physical function’s disk, and come and go with it in use', async () => {
    const nvme = [{ slot: 3, sriovMaxVfs: 2, namespaces: [{ sizeMiB: 4 }] }];
    const machine = await createMachine({ nvme });
    await machine.modprobe('nvme_core', { iopolicy: 'round-robin' });
    await machine.modprobe('nvme');
    await machine.settle();
    await machine.sysfs.write('/sys/bus/pci/devices/0000:00:03.0/sriov_numvfs', '2');
    await machine.settle();
    expect(machine.sysfs.list('/sys/block')).toEqual(['nvme0c0n1', 'nvme0c1n1', 'nvme0c2n1', 'nvme0n1']);
    const disk = machine.disk('nvme0n1');
    const expected = new Map(Array.from({ length: 64 }, (_, at) => [at, at + 1] as const));
    const outstanding = [...expected].map(([at, fill]) => disk.write(at * BLOCK, block(fill)));
    const off = machine.sysfs.write('/sys/bus/pci/devices/0000:00:03.0/sriov_numvfs', '0');
    await Promise.all([...outstanding, off]);
    await expectBlocks(machine, expected);
    expect(machine.sysfs.list('/sys/block')).toEqual(['nvme0c0n1', 'nvme0n1']);
  });
});
