import type { KernelProfile } from '@nvme-stack/kernel';
import { NVME_SC_INVALID_FIELD, NVME_STATUS_DNR } from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { createTestMachine, type TestMachine } from './fixtures/test-machine.js';
import type { FakeNvmeTransport, TinyControllerOptions } from './testing.js';

const ids = (machine: TestMachine, index = 0) => machine.core.controllers[index].namespaces.map(({ nsid }) => nsid);
const NS_CHANGED = 2 | (0 << 8) | (4 << 16);

async function probed(
  options: TinyControllerOptions,
  params: Record<string, boolean> = {},
  profile: KernelProfile = '6.12',
): Promise<{ machine: TestMachine; transport: FakeNvmeTransport }> {
  const machine = createTestMachine({ profile });
  const transport = machine.transport(options);
  await machine.run(async () => {
    await machine.core.nvmeCoreInit(params);
    await transport.probe();
  });
  await machine.door.settle(1e9);
  transport.sent.length = 0;
  return { machine, transport };
}

async function event(
  { machine, transport }: { machine: TestMachine; transport: FakeNvmeTransport },
  result: number,
): Promise<void> {
  await machine.run(async () => machine.core.nvmeCompleteAsyncEvent(transport.ctrl, 0, result));
  await machine.door.settle(1e9);
}

describe('a namespace change event', () => {
  it('brings new namespaces and takes away those that went, and asks for the next event', async () => {
    const bench = await probed({
      namespaces: [
        { nsid: 1, blocks: 64 },
        { nsid: 2, blocks: 64 },
        { nsid: 7, blocks: 64 },
      ],
    });
    const { machine, transport } = bench;
    expect(ids(machine)).toEqual([1, 2, 7]);
    transport.controller.namespaces = [
      { nsid: 2, blocks: 64 },
      { nsid: 4, blocks: 128 },
    ];
    await event(bench, NS_CHANGED);
    expect(ids(machine)).toEqual([2, 4]);
    expect(machine.dmesg()).toContain('nvme nvme0: rescanning namespaces.');
    expect(transport.story().slice(0, 3)).toEqual(['identify 6', 'log 4', 'identify 2']);
    expect(transport.asyncEvents).toBe(2);
    expect(transport.ctrl.asyncEventsOutstanding).toBe(1);
    expect(machine.blkMq.disks.length).toBe(2);
  });

  it('resizes a namespace that grew', async () => {
    const bench = await probed({ namespaces: [{ nsid: 1, blocks: 64 }] });
    bench.transport.controller.namespaces = [{ nsid: 1, blocks: 256 }];
    await event(bench, NS_CHANGED);
    expect(bench.machine.blkMq.disks[0].capacitySectors).toBe(256);
  });

  it('replaces nothing when identifiers changed: the namespace goes', async () => {
    const uuid = (seed: number) => new Uint8Array(16).fill(seed);
    const bench = await probed({ namespaces: [{ nsid: 1, blocks: 64, uuid: uuid(1) }] });
    bench.transport.controller.namespaces = [{ nsid: 1, blocks: 64, uuid: uuid(2) }];
    await event(bench, NS_CHANGED);
    expect(ids(bench.machine)).toEqual([]);
    expect(bench.machine.dmesg()).toContain('nvme nvme0: identifiers changed for nsid 1');
  });
});

describe('other events', () => {
  it('are told to userland', async () => {
    const bench = await probed({ namespaces: [] });
    await event(bench, 1 | (1 << 8) | (2 << 16));
    expect(bench.machine.deviceCore.uevents.at(-1)?.env).toMatchObject({ ACTION: 'change', NVME_AEN: '0x020101' });
    expect(
      bench.machine.kernel.trace.entries.filter(({ symbol }) => symbol === 'nvme_async_event').map(({ text }) => text),
    ).toEqual(['nvme0: NVME_AEN=0x020101 [NVME_AER_SMART]']);
  });

  it.each([
    ['6.12', 'persistent internal error'],
    ['6.1', 'AER'],
  ] as const)('reset the controller when it cannot go on, in the words of %s', async (profile, name) => {
    const bench = await probed({ namespaces: [] }, {}, profile);
    await event(bench, 0 | (3 << 8) | (1 << 16));
    expect(bench.machine.dmesg()).toContain(`nvme nvme0: resetting controller due to ${name}`);
    expect(bench.transport.story()[0]).toBe('identify 1');
  });
});

describe('scanning', () => {
  it('goes through 1 to NN when the list is refused', async () => {
    const machine = createTestMachine();
    const transport = machine.transport({
      namespaces: [
        { nsid: 1, blocks: 64 },
        { nsid: 3, blocks: 64 },
      ],
      identify: { nn: 4 },
    });
    transport.intercept = ({ words }) =>
      (words[0] & 0xff) === 6 && (words[10] & 0xff) === 2
        ? { status: NVME_SC_INVALID_FIELD | NVME_STATUS_DNR }
        : undefined;
    await machine.run(async () => {
      await machine.core.nvmeCoreInit({});
      await transport.probe();
    });
    expect(ids(machine)).toEqual([1, 3]);
  });

  it('leaves out a namespace whose identifier another one has', async () => {
    const uuid = new Uint8Array(16).fill(9);
    const { machine } = await probed({
      namespaces: [
        { nsid: 1, blocks: 64, uuid },
        { nsid: 2, blocks: 64, uuid },
      ],
    });
    expect(ids(machine).length).toBe(1);
    expect(machine.dmesg().some((line) => line.includes('duplicate IDs in subsystem for nsid'))).toBe(true);
  });

  it('keeps a namespace without usable format as an empty disk', async () => {
    const { machine } = await probed({ namespaces: [{ nsid: 1, blocks: 64, lbaShift: 13 }] });
    expect(machine.blkMq.disks[0].capacitySectors).toBe(0);
  });

  it('reads every list of a controller with more than 1024 namespaces', async () => {
    const namespaces = Array.from({ length: 1030 }, (_, i) => ({ nsid: i + 1, blocks: 8 }));
    const machine = createTestMachine({ memoryBytes: 64 << 20, trace: 'off' });
    const transport = machine.transport({ namespaces: namespaces.map((ns) => ({ ...ns })) });
    transport.intercept = ({ words }) =>
      (words[0] & 0xff) === 6 && (words[10] & 0xff) === 3 ? { status: 0x4002 } : undefined;
    await machine.run(async () => {
      await machine.core.nvmeCoreInit({});
      await transport.probe();
    });
    expect(
      transport.sent
        .filter(({ words }) => (words[0] & 0xff) === 6 && (words[10] & 0xff) === 2)
        .map(({ words }) => words[1]),
    ).toEqual([0, 1024]);
  });
});

describe('two controllers', () => {
  it('of one subsystem must differ in their ids', async () => {
    const { machine } = await probed({ namespaces: [], identify: { cmic: 2 } });
    const twin = machine.transport({ namespaces: [], identify: { cmic: 2 } }, 'fake1');
    await expect(machine.run(() => twin.probe())).rejects.toMatchObject({ code: 'EINVAL' });
    expect(machine.dmesg().some((line) => line.startsWith('nvme nvme1: Duplicate cntlid 0 with nvme0'))).toBe(true);
  });

  it('of two subsystems have their own numbers', async () => {
    const { machine } = await probed({ namespaces: [] });
    const other = machine.transport(
      { namespaces: [{ nsid: 1, blocks: 64 }], identify: { sn: 'LAB0002', subnqn: 'nqn.other' } },
      'fake1',
    );
    await machine.run(async () => {
      await other.probe();
    });
    await machine.door.settle(1e9);
    expect(machine.deviceCore.listNodes()).toContain('nvme1n1');
    expect(machine.deviceCore.sysfs.exists('/sys/class/nvme-subsystem/nvme-subsys1/nvme1')).toBe(true);
  });
});

describe('a shared subsystem', () => {
  const options = (cntlid: number): TinyControllerOptions => ({
    namespaces: [{ nsid: 1, blocks: 64, uuid: new Uint8Array(16).fill(5), identify: { nmic: 1 } }],
    identify: { cmic: 2, cntlid },
  });

  it('holds both controllers, and its namespaces have one number on each', async () => {
    const { machine } = await probed(options(0), { multipath: false });
    const twin = machine.transport(options(1), 'fake1');
    await machine.run(async () => {
      await twin.probe();
    });
    expect(machine.deviceCore.sysfs.list('/sys/class/nvme-subsystem')).toEqual(['nvme-subsys0']);
    expect(machine.deviceCore.sysfs.list('/sys/class/nvme-subsystem/nvme-subsys0')).toEqual(
      expect.arrayContaining(['nvme0', 'nvme1']),
    );
    expect(machine.blkMq.disks.map(({ name }) => name)).toEqual(['nvme0n1', 'nvme1n1']);
    expect(machine.dmesg()).toContain('nvme nvme1: Found shared namespace 1, but multipathing not supported.');
  });

  it('keeps the number it is named after until it goes itself', async () => {
    const { machine, transport } = await probed(options(0));
    const twin = machine.transport(options(1), 'fake1');
    const name = (other: FakeNvmeTransport) => machine.run(async () => (await other.probe()).name);
    await name(twin);
    await machine.run(() => transport.remove());
    const third = machine.transport({ namespaces: [], identify: { subnqn: 'nqn.other' } }, 'fake2');
    expect(await name(third)).toBe('nvme2');
    await machine.run(() => twin.remove());
    expect(machine.deviceCore.sysfs.list('/sys/class/nvme-subsystem')).toEqual(['nvme-subsys2']);
    const fourth = machine.transport({ namespaces: [], identify: { subnqn: 'nqn.another' } }, 'fake3');
    expect(await name(fourth)).toBe('nvme0');
  });
});

describe('a controller of an old version', () => {
  it('is not asked for lists or descriptors it cannot know', async () => {
    const machine = createTestMachine();
    const transport = machine.transport({
      vs: 0x10000,
      namespaces: [1, 2].map((nsid) => ({ nsid, blocks: 8 })),
      identify: { nn: 2, ctratt: 0 },
    });
    await machine.run(async () => {
      await machine.core.nvmeCoreInit({});
      await transport.probe();
    });
    expect(ids(machine)).toEqual([1, 2]);
    const asked = transport.sent.filter(({ words }) => (words[0] & 0xff) === 6).map(({ words }) => words[10] & 0xff);
    expect([...new Set(asked)].sort()).toEqual([0, 1]);
  });
});
