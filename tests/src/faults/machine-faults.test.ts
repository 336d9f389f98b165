/** The fault plan from the front door: in the description, at run time, in the journal. */
import { createMachine, replay } from '@nvme-stack/machine';
import type { FaultRule } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { codeOf, firstDifference, KIB, leftBehind, log, NVME_BDF, pattern } from '../features/bench.js';

const NAMESPACES = [{ sizeMiB: 1 }];

describe('a fault plan', () => {
  it('of the description is in force from power-on', async () => {
    const faults: FaultRule[] = [{ kind: 'status', command: 'createCq', status: 0x4101, nth: 2 }];
    const machine = await createMachine({ trace: 'off', nvme: [{ namespaces: NAMESPACES, faults: { faults } }] });
    await machine.modprobe('nvme');
    expect(log(machine)).toContain('nvme nvme0: 1/0/0 default/read/poll queues');
    // The first queue is made twice: with fewer queues, the driver sets up anew.
    expect(machine.device(NVME_BDF).faults.rules).toEqual([
      { rule: { ...faults[0], on: 'command' }, matched: 3, acted: 1 },
    ]);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('comes and goes at run time, and a replay has it at the same moments', async () => {
    const machine = await createMachine({ trace: 'hash', nvme: [{ namespaces: NAMESPACES }] });
    await machine.modprobe('nvme');
    const { faults } = machine.device(NVME_BDF);
    const disk = machine.disk('nvme0n1');
    await disk.write(0, pattern(4 * KIB));
    await faults.set({ seed: 9, faults: [{ kind: 'media-error', dnr: true, probability: 0.5 }] });
    const codes: (string | null)[] = [];
    for (let i = 0; i < 12; i++) codes.push(await codeOf(disk.read(0, 4 * KIB)));
    expect(new Set(codes)).toEqual(new Set([null, 'ENODATA']));
    await faults.add({ kind: 'hang', command: 'write', nth: 1 });
    await disk.write(0, pattern(4 * KIB, 1)).catch(() => {});
    await faults.clear();
    expect(faults.rules).toEqual([]);
    expect((await disk.read(0, 4 * KIB)).length).toBe(4 * KIB);
    const again = await replay(machine.journal());
    expect(again.nowNs).toBe(machine.nowNs);
    expect(again.trace.hash()).toBe(machine.trace.hash());
  });

  it.each<[unknown, string]>([
    [{ faults: [{ kind: 'delay' }] }, 'faults[0].delayNs undefined is not allowed: it must be a whole number'],
    [{ faults: [{ kind: 'hang', qid: 70000 }] }, 'qid is 70000; allowed: a whole number from 0 to 65535'],
    [{ faults: [{ kind: 'boom' }] }, 'kind is "boom"; allowed: "hang", '],
    [{ seed: 1 }, 'faults is missing'],
  ])('that is wrong is refused with one sentence: %j', async (faults, sentence) => {
    const description = { nvme: [{ namespaces: NAMESPACES, faults }] } as never;
    await expect(createMachine(description)).rejects.toThrow(sentence);
  });

  it('that is wrong at run time changes nothing', async () => {
    const machine = await createMachine({ trace: 'off', nvme: [{ namespaces: NAMESPACES }] });
    const { faults } = machine.device(NVME_BDF);
    await expect(faults.add({ kind: 'status' })).rejects.toThrow('fault.status undefined is not allowed');
    expect(faults.rules).toEqual([]);
    expect(machine.journal().calls.map(({ method }) => method)).not.toContain('device.faults.add');
  });

  it('is none of a function that is no NVMe controller', async () => {
    const machine = await createMachine({ trace: 'off', nvme: [{ namespaces: NAMESPACES }] });
    expect(() => machine.device('0000:00:02.0').faults).toThrow(expect.objectContaining({ code: 'EOPNOTSUPP' }));
  });
});

describe('asynchronous events', () => {
  it('that nobody enabled, or of types nobody knows, leave the driver as it was', async () => {
    const machine = await createMachine({ trace: 'off', nvme: [{ namespaces: NAMESPACES }] });
    await machine.modprobe('nvme');
    const { faults } = machine.device(NVME_BDF);
    for (let type = 0; type < 8; type++) await faults.add({ kind: 'event', on: 'time', type, info: type, logPage: 2 });
    await machine.settle();
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    await machine.disk('nvme0n1').write(0, pattern(512));
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('a function that was gone', () => {
  it('and came back is a new one to the bus: removed and found again, it works', async () => {
    const machine = await createMachine({ trace: 'off', nvme: [{ namespaces: NAMESPACES }] });
    await machine.modprobe('nvme');
    const data = pattern(4 * KIB, 3);
    await machine.disk('nvme0n1').write(0, data);
    await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'gone', on: 'time', forNs: 100e9 }] });
    expect(['EIO', 'ENODEV']).toContain(await codeOf(machine.disk('nvme0n1').read(0, 512)));
    await machine.run(100e9);
    await machine.sysfs.write(`/sys/bus/pci/devices/${NVME_BDF}/remove`, '1');
    await machine.sysfs.write('/sys/bus/pci/devices/0000:00:00.0/rescan', '1');
    await machine.settle();
    expect(firstDifference(await machine.disk('nvme0n1').read(0, data.length), data)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

it('a controller without SR-IOV has no files to ask for virtual functions, and its driver answers ENODEV', async () => {
  const machine = await createMachine({ trace: 'off', nvme: [{ namespaces: NAMESPACES }] });
  await machine.modprobe('nvme');
  expect(machine.sysfs.exists(`/sys/bus/pci/devices/${NVME_BDF}/sriov_numvfs`)).toBe(false);
  const pdev = machine.device(NVME_BDF).pdev as NonNullable<ReturnType<typeof machine.device>['pdev']>;
  const asked = machine.task('sriov', ({ pciBus }) => pciBus.pciSriovConfigureSimple(pdev, 1));
  expect(await codeOf(asked)).toBe('ENODEV');
});
