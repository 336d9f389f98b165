import { BLK_STS_IOERR, REQ_OP_READ, REQ_OP_WRITE } from '@nvme-stack/blk-mq/ports';
import { type KernelOptions, type KernelProfile, msleep } from '@nvme-stack/kernel';
import {
  NVME_ANA_CHANGE,
  NVME_ANA_INACCESSIBLE,
  NVME_ANA_NONOPTIMIZED,
  NVME_ANA_OPTIMIZED,
  NVME_CTRL_CMIC_ANA,
  NVME_CTRL_CMIC_MULTI_CTRL,
  NVME_SC_ANA_INACCESSIBLE,
  NVME_SC_HOST_PATH_ERROR,
} from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { createTestMachine, type TestMachine } from '../fixtures/test-machine.js';
import {
  NVME_CTRL_DEAD,
  NVME_CTRL_DELETING,
  NVME_CTRL_RESETTING,
  NVME_IOCTL_ID,
  type NvmeCtrlState,
} from '../ports.js';
import type { FakeNvmeTransport, TinyControllerOptions } from '../testing.js';

const BLOCKS = 2048;
const UUID = new Uint8Array(16).fill(5);
const MULTIPATH_PROFILES: readonly KernelProfile[] = ['6.12', '6.1'];

interface Bench {
  readonly machine: TestMachine;
  readonly paths: readonly FakeNvmeTransport[];
  readonly medium: Map<number, Uint8Array>;
}

interface BenchOptions {
  readonly kernel?: Partial<KernelOptions>;
  readonly params?: Record<string, boolean | string>;
  readonly controllers?: number;
  readonly more?: (cntlid: number) => Partial<TinyControllerOptions>;
}

/** Controllers of one subsystem over one medium. */
async function bench({ kernel, params = {}, controllers = 2, more }: BenchOptions = {}): Promise<Bench> {
  const machine = createTestMachine(kernel);
  await machine.run(async () => machine.blkMq.blkDevInit());
  machine.kernel.live.baseline();
  const medium = new Map<number, Uint8Array>();
  const paths = Array.from({ length: controllers }, (_, cntlid) => {
    const { identify, ...rest } = more?.(cntlid) ?? {};
    return machine.transport(
      {
        namespaces: [{ nsid: 1, blocks: BLOCKS, uuid: UUID, identify: { nmic: 1, anagrpid: 1 } }],
        medium,
        ...rest,
        identify: { cmic: NVME_CTRL_CMIC_MULTI_CTRL, cntlid, ...identify },
      },
      `fake${cntlid}`,
    );
  });
  await machine.run(() => machine.core.nvmeCoreInit(params));
  for (const path of paths) await machine.run(() => path.probe());
  await machine.door.settle(1e9);
  for (const path of paths) path.sent.length = 0;
  return { machine, paths, medium };
}

const ioCount = ({ sent }: FakeNvmeTransport): number => sent.filter(({ qid }) => qid > 0).length;
const ioCounts = ({ paths }: Bench): number[] => paths.map(ioCount);

async function change(machine: TestMachine, path: FakeNvmeTransport, state: NvmeCtrlState): Promise<void> {
  await machine.run(async () => {
    expect(machine.core.nvmeChangeCtrlState(path.ctrl, state)).toBe(true);
  });
}

async function io({ machine }: Bench, op: number, sector: number, fill: number): Promise<number> {
  return await machine.run(() => machine.io('nvme0n1', op, sector, new Uint8Array(4096).fill(fill)));
}

describe.each(MULTIPATH_PROFILES)('a namespace of two controllers (%s)', (profile) => {
  it('is one disk over two hidden ones', async () => {
    const { machine } = await bench({ kernel: { profile } });
    const { sysfs } = machine.deviceCore;
    expect(machine.deviceCore.listNodes()).toEqual(['ng0n1', 'nvme0', 'nvme0n1', 'nvme1']);
    expect(sysfs.list('/sys/block')).toEqual(['nvme0c0n1', 'nvme0c1n1', 'nvme0n1']);
    expect(sysfs.list('/sys/class/nvme-generic')).toEqual(['ng0n1']);
    const hidden = ['nvme0c0n1', 'nvme0c1n1', 'nvme0n1'].map((name) => sysfs.read(`/sys/block/${name}/hidden`));
    expect(hidden).toEqual(['1\n', '1\n', '0\n']);
    expect(sysfs.readlink('/sys/block/nvme0n1')).toContain('nvme-subsys0/nvme0n1');
    expect(sysfs.exists('/sys/block/nvme0c0n1/dev')).toBe(false);
    expect(sysfs.exists('/sys/block/nvme0c0n1/bdi')).toBe(false);
    expect(sysfs.exists('/sys/block/nvme0c0n1/ana_state')).toBe(false);
    expect(sysfs.exists('/sys/block/nvme0n1/mq')).toBe(false);
    expect(sysfs.exists('/sys/block/nvme0n1/queue/nr_requests')).toBe(profile === '6.1');
    expect(sysfs.read('/sys/block/nvme0n1/wwid')).toBe(sysfs.read('/sys/block/nvme0c1n1/wwid'));
    expect(sysfs.read('/sys/block/nvme0n1/size')).toBe(`${BLOCKS}\n`);
    expect(machine.dmesg().some((line) => line.includes('multipathing'))).toBe(false);
    expect(machine.kernel.procfs.read('/proc/partitions')).not.toContain('nvme0c');
    expect(machine.kernel.procfs.read('/proc/diskstats')).toContain('nvme0c0n1');
  });

  it('reads by one path what was written by the other', async () => {
    const both = await bench({ kernel: { profile }, params: { iopolicy: 'round-robin' } });
    expect(await io(both, REQ_OP_WRITE, 0, 7)).toBe(0);
    const data = new Uint8Array(4096);
    expect(await both.machine.run(() => both.machine.io('nvme0n1', REQ_OP_READ, 0, data))).toBe(0);
    expect(data.every((byte) => byte === 7)).toBe(true);
    expect(ioCounts(both)).toEqual([1, 1]);
  });

  it('loses no bio and ends none twice when one path fails each of them once', async () => {
    const both = await bench({ kernel: { profile } });
    const [first] = both.paths as [FakeNvmeTransport];
    let failed = 0;
    first.intercept = ({ qid }) => (qid > 0 && failed++ < 3 ? { status: NVME_SC_HOST_PATH_ERROR } : undefined);
    const statuses = await Promise.all([8, 16, 24, 32].map((sector) => io(both, REQ_OP_WRITE, sector, sector)));
    expect(statuses).toEqual([0, 0, 0, 0]);
    for (const sector of [8, 16, 24, 32]) expect(both.medium.get(1)?.[sector * 512]).toBe(sector);
    expect(failed).toBeGreaterThan(2);
    expect(both.machine.dmesg().some((line) => line.includes('error'))).toBe(false);
  });

  it('waits for a path that is resetting and fails without any', async () => {
    const alone = await bench({ kernel: { profile }, controllers: 1 });
    const { machine } = alone;
    const [only] = alone.paths as [FakeNvmeTransport];
    await change(machine, only, NVME_CTRL_RESETTING);
    let status = -1;
    const waiting = io(alone, REQ_OP_WRITE, 0, 3).then((outcome) => {
      status = outcome;
    });
    await machine.run(() => msleep(machine, 100));
    expect(status).toBe(-1);
    expect(machine.dmesg()).toContain('block nvme0n1: no usable path - requeuing I/O');
    await machine.run(() => only.reset());
    await waiting;
    expect(status).toBe(0);
    expect(alone.medium.get(1)?.[0]).toBe(3);
  });

  it('goes with its last path, and what waits for it fails', async () => {
    const both = await bench({ kernel: { profile } });
    const { machine } = both;
    const [first, second] = both.paths as [FakeNvmeTransport, FakeNvmeTransport];
    await machine.run(() => first.remove());
    expect(machine.deviceCore.sysfs.list('/sys/block')).toEqual(['nvme0c1n1', 'nvme0n1']);
    expect(await io(both, REQ_OP_WRITE, 0, 9)).toBe(0);
    await change(machine, second, NVME_CTRL_RESETTING);
    const waiting = io(both, REQ_OP_WRITE, 8, 9);
    await machine.run(() => msleep(machine, 100));
    await machine.run(() => second.remove());
    expect(await waiting).toBe(BLK_STS_IOERR);
    expect(machine.deviceCore.listNodes()).toEqual([]);
    expect(machine.blkMq.disks.length).toBe(0);
    await machine.run(() => machine.core.nvmeCoreExit());
    expect(machine.kernel.live.leaks()).toEqual([]);
  });

  it('fails I/O that no path will ever take', async () => {
    const both = await bench({ kernel: { profile } });
    for (const path of both.paths) {
      await change(both.machine, path, NVME_CTRL_DELETING);
      await change(both.machine, path, NVME_CTRL_DEAD);
    }
    expect(await io(both, REQ_OP_WRITE, 0, 1)).toBe(BLK_STS_IOERR);
    expect(both.machine.dmesg()).toContain('block nvme0n1: no available path - failing I/O');
    expect(ioCounts(both)).toEqual([0, 0]);
  });

  it('is asked by the head’s nodes through a path', async () => {
    const both = await bench({ kernel: { profile } });
    const { deviceCore } = both.machine;
    const ask = async (path: string): Promise<number> => {
      const file = await deviceCore.open(path, { write: true });
      try {
        return await deviceCore.ioctl(file, NVME_IOCTL_ID, undefined);
      } finally {
        await deviceCore.close(file);
      }
    };
    for (const path of ['/dev/nvme0n1', '/dev/ng0n1']) expect(await both.machine.run(() => ask(path))).toBe(1);
    for (const path of both.paths) await change(both.machine, path, NVME_CTRL_RESETTING);
    await expect(both.machine.run(() => ask('/dev/ng0n1'))).rejects.toMatchObject({ code: 'EAGAIN' });
  });
});

describe('the I/O policy', () => {
  it('chooses the controllers: one, in turn, or the idle one', async () => {
    const both = await bench();
    const { machine } = both;
    const { sysfs } = machine.deviceCore;
    const file = '/sys/class/nvme-subsystem/nvme-subsys0/iopolicy';
    const write = (text: string) => machine.run(() => sysfs.write(file, text));
    expect(sysfs.read(file)).toBe('numa\n');
    for (let i = 0; i < 4; i++) await io(both, REQ_OP_WRITE, i * 8, 1);
    expect(ioCounts(both)).toEqual([4, 0]);
    await write('round-robin\n');
    expect(machine.dmesg()).toContain(
      'subsysnqn nqn.2019-08.org.qemu:LAB0001 iopolicy changed from numa to round-robin',
    );
    for (let i = 0; i < 4; i++) await io(both, REQ_OP_WRITE, i * 8, 1);
    expect(ioCounts(both)).toEqual([6, 2]);
    await write('queue-depth');
    const [first] = both.paths as [FakeNvmeTransport];
    let holds = 1;
    first.intercept = ({ qid }) => (qid > 0 && holds-- > 0 ? 'hold' : undefined);
    const held = io(both, REQ_OP_WRITE, 0, 1);
    for (let i = 1; i < 5; i++) await io(both, REQ_OP_WRITE, i * 8, 1);
    expect(ioCounts(both)).toEqual([7, 6]);
    expect(await held).toBe(0);
    await expect(write('fastest')).rejects.toMatchObject({ code: 'EINVAL' });
  });

  it('follows the distance to the controllers’ nodes', async () => {
    const both = await bench({ kernel: { nrCpus: 4, nrNodes: 2 } });
    for (const [index, path] of both.paths.entries()) Object.assign(path.ctrl, { numaNode: index });
    await both.machine.run(() =>
      both.machine.deviceCore.sysfs.write('/sys/class/nvme-subsystem/nvme-subsys0/iopolicy', 'round-robin'),
    );
    await both.machine.run(() =>
      both.machine.deviceCore.sysfs.write('/sys/class/nvme-subsystem/nvme-subsys0/iopolicy', 'numa'),
    );
    const from = (cpu: number) =>
      both.machine.door.call('test', () => both.machine.io('nvme0n1', REQ_OP_WRITE, 0, new Uint8Array(512)), cpu);
    await from(0);
    expect(ioCounts(both)).toEqual([1, 0]);
    await from(3);
    expect(ioCounts(both)).toEqual([1, 1]);
  });

  it('counts the I/O on the head’s disk since 6.4', async () => {
    for (const [profile, ios] of [
      ['6.12', 2],
      ['6.1', 0],
    ] as const) {
      const both = await bench({ kernel: { profile } });
      const head = both.machine.blkMq.disks.find(({ name }) => name === 'nvme0n1');
      const before = head?.stats.ios[1] ?? 0;
      await io(both, REQ_OP_WRITE, 0, 1);
      await io(both, REQ_OP_WRITE, 8, 1);
      expect((head?.stats.ios[1] ?? 0) - before).toBe(ios);
    }
  });
});

describe('Asymmetric Namespace Access', () => {
  const ana = (states: readonly number[]): BenchOptions => ({
    more: (cntlid) => ({
      anaState: states[cntlid],
      identify: {
        cmic: NVME_CTRL_CMIC_MULTI_CTRL | NVME_CTRL_CMIC_ANA,
        anatt: 10,
        anagrpmax: 1,
        nanagrpid: 1,
        mnan: 8,
      },
    }),
  });
  const NOTICE = 2 | (3 << 8) | (0x0c << 16);

  it('prefers optimized paths', async () => {
    const both = await bench(ana([NVME_ANA_NONOPTIMIZED, NVME_ANA_OPTIMIZED]));
    const { sysfs } = both.machine.deviceCore;
    expect(sysfs.read('/sys/block/nvme0c0n1/ana_state')).toBe('non-optimized\n');
    expect(sysfs.read('/sys/block/nvme0c1n1/ana_state')).toBe('optimized\n');
    expect(sysfs.read('/sys/block/nvme0c1n1/ana_grpid')).toBe('1\n');
    expect(sysfs.exists('/sys/block/nvme0n1/ana_state')).toBe(false);
    await io(both, REQ_OP_WRITE, 0, 1);
    expect(ioCounts(both)).toEqual([0, 1]);
  });

  it('follows the notice of a change', async () => {
    const both = await bench(ana([NVME_ANA_OPTIMIZED, NVME_ANA_NONOPTIMIZED]));
    const [first] = both.paths as [FakeNvmeTransport];
    first.controller.anaState = NVME_ANA_INACCESSIBLE;
    await both.machine.run(async () => both.machine.core.nvmeCompleteAsyncEvent(first.ctrl, 0, NOTICE));
    await both.machine.door.settle(1e9);
    expect(both.machine.deviceCore.sysfs.read('/sys/block/nvme0c0n1/ana_state')).toBe('inaccessible\n');
    await io(both, REQ_OP_WRITE, 0, 1);
    expect(ioCounts(both)).toEqual([0, 1]);
  });

  it('reads the log again when a command is told that this is not the way', async () => {
    const both = await bench(ana([NVME_ANA_OPTIMIZED, NVME_ANA_NONOPTIMIZED]));
    const [first] = both.paths as [FakeNvmeTransport];
    first.controller.anaState = NVME_ANA_INACCESSIBLE;
    first.intercept = ({ qid }) => (qid > 0 ? { status: NVME_SC_ANA_INACCESSIBLE } : undefined);
    expect(await io(both, REQ_OP_WRITE, 0, 1)).toBe(0);
    await both.machine.door.settle(1e9);
    expect(first.story()).toContain('log 12');
    expect(both.machine.deviceCore.sysfs.read('/sys/block/nvme0c0n1/ana_state')).toBe('inaccessible\n');
    expect(ioCounts(both)).toEqual([1, 1]);
  });

  it('resets a controller that changes for longer than it may', async () => {
    const both = await bench(ana([NVME_ANA_OPTIMIZED, NVME_ANA_OPTIMIZED]));
    const [first] = both.paths as [FakeNvmeTransport];
    first.controller.anaState = NVME_ANA_CHANGE;
    await both.machine.run(async () => both.machine.core.nvmeCompleteAsyncEvent(first.ctrl, 0, NOTICE));
    await both.machine.door.settle(19e9);
    expect(both.machine.dmesg()).not.toContain('nvme nvme0: ANATT timeout, resetting controller.');
    first.controller.anaState = NVME_ANA_OPTIMIZED;
    await both.machine.door.settle(21e9);
    expect(both.machine.dmesg()).toContain('nvme nvme0: ANATT timeout, resetting controller.');
    expect(first.story()).toContain('identify 1');
  });

  it('is not believed where the log would not fit', async () => {
    const one = await bench({
      controllers: 1,
      more: () => ({
        anaState: NVME_ANA_OPTIMIZED,
        identify: {
          cmic: NVME_CTRL_CMIC_MULTI_CTRL | NVME_CTRL_CMIC_ANA,
          mdts: 1,
          anagrpmax: 1000,
          nanagrpid: 1000,
          mnan: 8,
        },
      }),
    });
    expect(one.machine.dmesg()).toEqual(
      expect.arrayContaining([
        'nvme nvme0: ANA log page size (32048) larger than MDTS (8192).',
        'nvme nvme0: disabling ANA support.',
      ]),
    );
    expect(await io(one, REQ_OP_WRITE, 0, 1)).toBe(0);
  });
});

describe('without multipath', () => {
  it('each controller has a disk of its own, named after it', async () => {
    const { machine } = await bench({ params: { multipath: false } });
    expect(machine.blkMq.disks.map(({ name }) => name)).toEqual(['nvme0n1', 'nvme1n1']);
    expect(machine.dmesg()).toContain('nvme nvme1: Found shared namespace 1, but multipathing not supported.');
  });

  it('a controller alone has a plain disk', async () => {
    const { machine } = await bench({ controllers: 1, more: () => ({ identify: { cmic: 0 } }) });
    expect(machine.deviceCore.sysfs.list('/sys/block')).toEqual(['nvme0n1']);
    expect(machine.deviceCore.sysfs.readlink('/sys/block/nvme0n1')).toContain('nvme0/nvme0n1');
  });
});
