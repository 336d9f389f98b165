/** Virtual functions in a whole machine: as many controllers more as sriov_numvfs says, over one medium, and all that can end them. */
import { createMachine, type Machine, PROFILES } from '@nvme-stack/machine';
import type { NvmeController } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { codeOf, KIB, log, MIB } from '../features/bench.js';
import {
  ASSIGN,
  autoprobe,
  BY_THE_HOST,
  bdf,
  bytesOf,
  controllerOf,
  controllers,
  machineOf,
  manage,
  numVfs,
  OFFLINE,
  ONLINE,
  PF,
  stateOf,
  VI,
  VQ,
} from './bench.js';

async function leavesNothing(machine: Machine): Promise<void> {
  await machine.rmmod('nvme');
  await machine.rmmod('nvme_core');
  expect(machine.leaks()).toEqual([]);
}

describe.each(PROFILES)('on %s', (profile) => {
  // @acceptance 11
  it('a number written to sriov_numvfs is that many controllers more, over one medium', async () => {
    await using machine = await machineOf({}, { profile });
    await machine.modprobe('nvme');
    expect(machine.sysfs.read(`/sys/bus/pci/devices/${PF}/sriov_totalvfs`)).toBe('3\n');
    const from = machine.trace.entries.length;
    await numVfs(machine, 2);
    const called = machine.trace.entries.slice(from).map(({ symbol }) => symbol);
    expect(called).toContain(profile.startsWith('4') ? 'nvme_pci_sriov_configure' : 'pci_sriov_configure_simple');
    expect(called.filter((symbol) => symbol === 'nvme_probe')).toHaveLength(2);
    const names = ['nvme0', 'nvme1', 'nvme2'];
    expect(controllers(machine)).toEqual(names);
    expect(names.map((name) => stateOf(machine, name))).toEqual(['live', 'live', 'live']);
    const ids = names.map((name) => machine.sysfs.read(`/sys/class/nvme/${name}/cntlid`).trim());
    expect(ids.sort()).toEqual(['0', '1', '2']);
    expect(machine.sysfs.readlink(`/sys/bus/pci/devices/${bdf(2)}/physfn`)).toContain(PF);
    for (const [writer, reader, seed] of [
      ['nvme0n1', 'nvme1n1', 1],
      ['nvme1n1', 'nvme2n1', 2],
      ['nvme2n1', 'nvme0n1', 3],
    ] as const) {
      const written = bytesOf(64 * KIB, seed);
      await machine.disk(writer).write(seed * 128 * KIB, written);
      expect(await machine.disk(reader).read(seed * 128 * KIB, written.length)).toEqual(written);
    }
    await numVfs(machine, 0);
    expect(controllers(machine)).toEqual(['nvme0']);
    expect(machine.sysfs.exists(`/sys/bus/pci/devices/${bdf(1)}`)).toBe(false);
    expect(await machine.disk('nvme0n1').read(256 * KIB, 64 * KIB)).toEqual(bytesOf(64 * KIB, 2));
    await leavesNothing(machine);
  });

  it('a virtual function that the host has to provide for is not ready before, and works after', async () => {
    await using machine = await machineOf(BY_THE_HOST, { profile });
    await machine.modprobe('nvme');
    await numVfs(machine, 1);
    expect(controllers(machine)).toEqual(['nvme0']);
    expect(log(machine).join('\n')).toMatch(/nvme nvme1: Device not ready; aborting initialisation/);
    await numVfs(machine, 0);
    await numVfs(machine, 2);
    expect(await manage(machine, ONLINE, 1)).toEqual({ status: 0x4120, given: 0 });
    expect(await manage(machine, ASSIGN, 1, VQ, 3)).toEqual({ status: 0, given: 3 });
    expect(await manage(machine, ASSIGN, 1, VI, 2)).toEqual({ status: 0, given: 2 });
    expect(await manage(machine, ASSIGN, 2, VQ, 4)).toEqual({ status: 0x4121, given: 0 });
    expect(await manage(machine, ONLINE, 1)).toEqual({ status: 0, given: 0 });
    await machine.sysfs.write('/sys/bus/pci/drivers/nvme/bind', bdf(1));
    await machine.settle();
    const name = controllerOf(machine, 1) as string;
    expect(stateOf(machine, name)).toBe('live');
    // Three queue pairs are an admin queue pair and two for I/O; two vectors serve one of them beside the admin queue.
    expect(machine.queues(name).length).toBeGreaterThan(1);
    expect(machine.queues(name).length).toBeLessThanOrEqual(3);
    await machine.disk(`${name}n1`).write(MIB, bytesOf(32 * KIB, 5));
    expect(await machine.disk('nvme0n1').read(MIB, 32 * KIB)).toEqual(bytesOf(32 * KIB, 5));
    expect(controllerOf(machine, 2)).toBe(null);
    await numVfs(machine, 0);
    await leavesNothing(machine);
  });

  it('a virtual function that is taken offline in the middle of its work ends it with errors, and nobody else’s', async () => {
    await using machine = await machineOf({ latency: { kind: 'fixed', writeNs: 1e6 } }, { profile, trace: 'hash' });
    await machine.modprobe('nvme');
    await numVfs(machine, 2);
    const [lost, kept] = ['nvme1n1', 'nvme2n1'].map((name) => machine.disk(name));
    const writes = [lost, kept].map((disk) => codeOf(disk?.write(0, bytesOf(256 * KIB, 7)) as Promise<unknown>));
    expect(await manage(machine, OFFLINE, 1)).toEqual({ status: 0, given: 0 });
    const [first, second] = await Promise.all(writes);
    expect(first).toBe('EIO');
    expect(second).toBe(null);
    await machine.settle();
    expect(Buffer.compare(await machine.disk('nvme0n1').read(0, 256 * KIB), bytesOf(256 * KIB, 7))).toBe(0);
    await numVfs(machine, 0);
    await numVfs(machine, 2);
    const names = controllers(machine);
    expect(names.map((name) => stateOf(machine, name))).toEqual(['live', 'live', 'live']);
    await numVfs(machine, 0);
    await leavesNothing(machine);
  });
});

describe('with the physical function', () => {
  it('goes what it had: a reset of its controller puts virtual functions offline, which their drivers find out', async () => {
    await using machine = await machineOf({}, { trace: 'hash' });
    await machine.modprobe('nvme');
    await numVfs(machine, 2);
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    expect(await codeOf(machine.disk('nvme1n1').read(0, 4 * KIB))).toBe('EIO');
    await machine.settle();
    expect(stateOf(machine, 'nvme0')).toBe('live');
    await machine.disk('nvme0n1').write(0, bytesOf(4 * KIB, 1));
    // Off and on again: each has its share anew.
    await numVfs(machine, 0);
    await numVfs(machine, 3);
    expect(controllers(machine).map((name) => stateOf(machine, name))).toEqual(['live', 'live', 'live', 'live']);
    const name = controllerOf(machine, 3) as string;
    expect(await machine.disk(`${name}n1`).read(0, 4 * KIB)).toEqual(bytesOf(4 * KIB, 1));
    await numVfs(machine, 0);
    await leavesNothing(machine);
  });

  it('its reset from the bus keeps the number of virtual functions, as the kernel restores it', async () => {
    await using machine = await machineOf({}, { trace: 'hash' });
    await machine.modprobe('nvme');
    await autoprobe(machine, false);
    await numVfs(machine, 2);
    await machine.sysfs.write(`/sys/bus/pci/devices/${PF}/reset`, '1');
    await machine.settle();
    expect(stateOf(machine, 'nvme0')).toBe('live');
    const bind = '/sys/bus/pci/drivers/nvme/bind';
    expect(await codeOf(machine.sysfs.write(bind, bdf(2)))).toBe('ENODEV');
    await machine.sysfs.write(`/sys/bus/pci/devices/${bdf(2)}/driver_override`, 'nvme');
    await machine.sysfs.write(bind, bdf(2));
    await machine.settle();
    expect(stateOf(machine, controllerOf(machine, 2) as string)).toBe('live');
    expect(controllerOf(machine, 1)).toBe(null);
    await numVfs(machine, 0);
    await leavesNothing(machine);
  });

  it('asleep, virtual functions lose what they had, and have it again after off and on', async () => {
    await using machine = await machineOf({}, { trace: 'hash' });
    await machine.modprobe('nvme');
    await numVfs(machine, 2);
    await machine.disk('nvme1n1').write(0, bytesOf(4 * KIB, 6));
    await machine.suspend();
    await machine.resume();
    await machine.settle();
    expect(['nvme0', 'nvme1', 'nvme2'].map((name) => stateOf(machine, name))).toEqual(['live', 'dead', 'dead']);
    await numVfs(machine, 0);
    await numVfs(machine, 2);
    expect(controllers(machine).map((name) => stateOf(machine, name))).toEqual(['live', 'live', 'live']);
    expect(await machine.disk('nvme0n1').read(0, 4 * KIB)).toEqual(bytesOf(4 * KIB, 6));
    await numVfs(machine, 0);
    await leavesNothing(machine);
  });

  it('unplugged, virtual functions are gone too, and nothing is left', async () => {
    await using machine = await machineOf({}, { trace: 'hash' });
    await machine.modprobe('nvme');
    await numVfs(machine, 3);
    await machine.device(PF).unplug();
    // The kernel gives virtual functions a second to go.
    await machine.run(2e9);
    await machine.settle();
    expect(controllers(machine)).toEqual([]);
    expect(machine.sysfs.list('/sys/bus/pci/devices').filter((name) => name.startsWith('0000:00:03'))).toEqual([]);
    await leavesNothing(machine);
  });

  it('virtual functions stay when the driver goes, which the kernel says, and are found by the next', async () => {
    await using machine = await machineOf({}, { trace: 'hash' });
    await machine.modprobe('nvme');
    await numVfs(machine, 1);
    await machine.disk('nvme1n1').write(0, bytesOf(4 * KIB, 3));
    await machine.rmmod('nvme');
    expect(log(machine).join('\n')).toContain(`nvme ${PF}: driver left SR-IOV enabled after remove`);
    expect(machine.sysfs.exists(`/sys/bus/pci/devices/${bdf(1)}`)).toBe(true);
    await machine.modprobe('nvme');
    await machine.settle();
    expect(await machine.disk('nvme0n1').read(0, 4 * KIB)).toEqual(bytesOf(4 * KIB, 3));
    await numVfs(machine, 0);
    await leavesNothing(machine);
  });
});

describe('each virtual function', () => {
  it('is one of up to 127, which all work', async () => {
    await using machine = await machineOf(
      { sriovMaxVfs: 127, maxIoQueuePairs: 600, msixVectors: 400 },
      { trace: 'off', pci: 'bare', memoryMiB: 256 },
    );
    await machine.modprobe('nvme');
    await numVfs(machine, 127);
    const names = controllers(machine);
    expect(names).toHaveLength(128);
    expect(names.filter((name) => stateOf(machine, name) !== 'live')).toEqual([]);
    await machine.disk('nvme127n1').write(0, bytesOf(4 * KIB, 9));
    expect(await machine.disk('nvme64n1').read(0, 4 * KIB)).toEqual(bytesOf(4 * KIB, 9));
    await numVfs(machine, 0);
    await leavesNothing(machine);
  }, 30_000);

  it('has a reset of its own, in the middle of its work', async () => {
    await using machine = await machineOf({ latency: { kind: 'fixed', writeNs: 2e6 } }, { trace: 'hash' });
    await machine.modprobe('nvme');
    await numVfs(machine, 2);
    const writes = ['nvme0n1', 'nvme1n1', 'nvme2n1'].map((name, i) =>
      machine.disk(name).write(i * MIB, bytesOf(512 * KIB, i)),
    );
    await machine.sysfs.write(`/sys/bus/pci/devices/${bdf(1)}/reset`, '1');
    await machine.sysfs.write('/sys/class/nvme/nvme2/reset_controller', '1');
    await Promise.all(writes);
    for (let i = 0; i < 3; i++) {
      const read = await machine.disk('nvme2n1').read(i * MIB, 512 * KIB);
      expect(Buffer.compare(read, bytesOf(512 * KIB, i))).toBe(0);
    }
    await numVfs(machine, 0);
    await leavesNothing(machine);
  });

  it('learns that a namespace has another size', async () => {
    await using machine = await machineOf({}, { trace: 'hash' });
    await machine.modprobe('nvme');
    await numVfs(machine, 1);
    const controller = machine.device(PF).function as NvmeController;
    await machine.task('shrink', async () => controller.resizeNamespace(1, 2 * MIB));
    await machine.settle();
    expect(['nvme0n1', 'nvme1n1'].map((name) => machine.disk(name).sizeBytes)).toEqual([2 * MIB, 2 * MIB]);
  });

  it('takes faults of its own', async () => {
    await using machine = await machineOf({}, { trace: 'hash' });
    await machine.modprobe('nvme');
    await numVfs(machine, 2);
    const { faults } = machine.device(bdf(1));
    await faults.add({ kind: 'media-error', firstLba: 0, lastLba: 7, dnr: true });
    expect(await codeOf(machine.disk('nvme1n1').read(0, 4 * KIB))).not.toBe(null);
    expect(await codeOf(machine.disk('nvme2n1').read(0, 4 * KIB))).toBe(null);
    await faults.clear();
    expect(await codeOf(machine.disk('nvme1n1').read(0, 4 * KIB))).toBe(null);
  });
});

describe('a description', () => {
  const refusal = (promise: Promise<unknown>): Promise<string> =>
    promise.then(
      () => 'no error',
      (error: Error) => error.message,
    );

  it('of virtual functions that cannot be is refused with one sentence', async () => {
    const tried = async (nvme: Parameters<typeof machineOf>[0]) => refusal(machineOf(nvme));
    expect(await tried({ sriovMaxVfs: 200 })).toBe(
      'machine.nvme[0].sriovMaxVfs is 200; allowed: a whole number from 0 to 127',
    );
    expect(await tried({ sriovVqFlexible: 5 })).toBe(
      'sriovVqFlexible 5 is not allowed: it must be a whole number from 6 to 62',
    );
    expect(await tried({ maxIoQueuePairs: 4 })).toBe(
      'sriovVqFlexible 6 is not allowed: it must be 6 or more, for which maxIoQueuePairs must be 4 larger',
    );
    expect(await tried({ interrupts: 'msi' })).toBe(
      'sriovMaxVfs 3 is not allowed: it must be 0 where interrupts is "msi"',
    );
    expect(await tried({ sriovMaxVfs: 0, sriovViFlexible: 4 })).toBe(
      'sriovViFlexible 4 is not allowed: it must be absent where there are no sriovMaxVfs',
    );
    expect(await tried({ cmb: { sizeMiB: 1 } })).toBe(
      'sriovMaxVfs 3 is not allowed: it must be 0 where there is a cmb',
    );
  });

  it('of more than there is room for on the bus is refused as well', async () => {
    const one = { namespaces: [{ sizeMiB: 1 }] };
    const nvme = [
      { ...one, sriovMaxVfs: 8, slot: 4 },
      { ...one, slot: 5 },
    ];
    expect(await refusal(createMachine({ nvme }))).toBe(
      'machine.nvme[0].sriovMaxVfs is 8; allowed in slot 4: at most 7, for there is another function',
    );
    await using machine = await createMachine({ nvme: [one] });
    await machine.modprobe('nvme');
    expect(
      await refusal(machine.plug({ ...one, sriovMaxVfs: 90, maxIoQueuePairs: 400, msixVectors: 200, slot: 20 })),
    ).toBe('machine.plug.sriovMaxVfs is 90; allowed in slot 20: at most 87, for there is another function');
  });
});
