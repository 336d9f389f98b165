import { createMachine, type Machine } from '@nvme-stack/machine';
import { NVME_IOCTL_RESET } from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { ADDED_IN_6_12, blurred, CHANGED_IN_6_12, NOT_THERE } from './known-differences.js';
import { captured, capturedFiles, fileAt, namesBeside, wholeDirectories } from './sysfs-capture.js';

/** The machine of the capture: two CPUs, QEMU's controller in slot 4 with a gigabyte and 64 MiB. */
async function capturedMachine(profile: '6.1' | '6.12'): Promise<Machine> {
  const namespaces = [{ sizeMiB: 1024, uuid: '6c3f5e0a-1111-4222-8333-444455556666' }, { sizeMiB: 64 }];
  const machine = await createMachine({
    profile,
    cpus: 2,
    trace: 'off',
    nvme: [{ slot: 4, serial: 'LAB0001', namespaces }],
  });
  await machine.modprobe('nvme');
  await machine.settle();
  return machine;
}

const CAPTURES = [
  'sysfs.block',
  'sysfs.class_nvme0',
  'sysfs.drv',
  'sysfs.generic',
  'sysfs.modpar',
  'sysfs.modpar_core',
  'sysfs.pci',
  'sysfs.subsys',
];

/** Paths of a capture that differ on a machine, with both lines. */
async function differences(
  machine: Machine,
  name: string,
  changed: Readonly<Record<string, string>>,
): Promise<string[]> {
  const files = capturedFiles(name);
  expect(files.size).toBeGreaterThan(1);
  const found: string[] = [];
  for (const [path, line] of files) {
    if (NOT_THERE.some(([pattern]) => pattern.test(path))) continue;
    const want = blurred(path, changed[path] ?? line);
    const got = await fileAt(machine, path, line === 'B');
    if (got === undefined || blurred(path, got) !== want) found.push(`${path}: ${want} | ${got}`);
  }
  return found;
}

/** Names beside those of a capture, with their directory. */
async function additions(machine: Machine, name: string): Promise<string[]> {
  const files = capturedFiles(name);
  const found: string[] = [];
  for (const directory of wholeDirectories(name)) {
    if (NOT_THERE.some(([pattern]) => pattern.test(directory))) continue;
    for (const other of await namesBeside(machine, files, directory)) found.push(`${directory}/${other}`);
  }
  return found;
}

describe('sysfs on profile 6.1', () => {
  it.each(CAPTURES)('%s is what Linux 6.1 showed: names, modes and values', async (name) => {
    const machine = await capturedMachine('6.1');
    expect(await differences(machine, name, {})).toEqual([]);
    expect(await additions(machine, name)).toEqual([]);
  });

  it('lacks only what is listed as not modelled', async () => {
    const machine = await capturedMachine('6.1');
    for (const name of CAPTURES) {
      for (const path of capturedFiles(name).keys()) {
        const listed = NOT_THERE.some(([pattern]) => pattern.test(path));
        expect([path, (await fileAt(machine, path, false)) === undefined]).toEqual([path, listed]);
      }
    }
  });
});

describe('sysfs on profile 6.12', () => {
  it.each(CAPTURES)('%s differs from 6.1 in what is listed', async (name) => {
    const machine = await capturedMachine('6.12');
    expect(await differences(machine, name, CHANGED_IN_6_12)).toEqual([]);
    const expected = wholeDirectories(name).flatMap((directory) =>
      ADDED_IN_6_12.filter(([pattern]) => pattern.test(directory)).flatMap(([, names]) =>
        names.map((other) => `${directory}/${other}`),
      ),
    );
    expect((await additions(machine, name)).sort()).toEqual(expected.sort());
  });
});

describe('the log and /dev on profile 6.1', () => {
  /** Lines of the driver, without time stamps. */
  const linesOf = (text: string): string[] =>
    text.split('\n').flatMap((line) => /\] (nvme nvme0: .*)$/.exec(line)?.[1] ?? []);

  it('say what Linux said at probe and at a reset', async () => {
    const machine = await capturedMachine('6.1');
    expect(linesOf(machine.dmesg().join('\n'))).toEqual(linesOf(captured('dmesg.probe')));
    const probe = machine.dmesg().length;
    await machine.ioctl('/dev/nvme0', NVME_IOCTL_RESET, null);
    await machine.settle();
    expect(linesOf(machine.dmesg().slice(probe).join('\n'))).toEqual(linesOf(captured('dmesg.reset')));
  });

  it('say what Linux said at a rescan, and when the driver was unbound and bound again', async () => {
    const machine = await capturedMachine('6.1');
    const driver = '/sys/bus/pci/drivers/nvme';
    const said = async (act: () => Promise<unknown>): Promise<string[]> => {
      const from = machine.dmesg().length;
      await act();
      await machine.settle();
      return linesOf(machine.dmesg().slice(from).join('\n'));
    };
    // The lines of the file are of a rescan; unbinding itself says nothing.
    const unbinding = [
      ...(await said(() => machine.sysfs.write('/sys/class/nvme/nvme0/rescan_controller', '1'))),
      ...(await said(() => machine.sysfs.write(`${driver}/unbind`, '0000:00:04.0'))),
    ];
    expect(unbinding).toEqual(linesOf(captured('dmesg.unbind')));
    const binding = await said(() => machine.sysfs.write(`${driver}/bind`, '0000:00:04.0'));
    expect(binding.length).toBe(4);
    expect(binding).toEqual(linesOf(captured('dmesg.bind')));
  });

  /** Rows of the driver in /proc/interrupts: number, chip, place and name; and what each has taken, of both CPUs. */
  const interruptsOf = (text: string): { readonly rows: string[]; readonly taken: number[] } => {
    const lines = text.split('\n').filter((line) => line.includes('nvme0q'));
    const words = lines.map((line) => line.trim().split(/\s+/));
    return {
      rows: words.map(([irq, , , ...rest]) => [irq, ...rest].join(' ')),
      taken: words.map(([, first, second]) => Number(first) + Number(second)),
    };
  };

  it('has the interrupts of the capture, as many as Linux took, and counts anew after a reset', async () => {
    const machine = await capturedMachine('6.1');
    const [adminAfterProbe, ...ioAfterProbe] = await compare('interrupts.after_probe');
    expect(adminAfterProbe).toBe(16);
    await machine.ioctl('/dev/nvme0', NVME_IOCTL_RESET, null);
    await machine.settle();
    const [, ...ioAfterReset] = await compare('interrupts.after_reset');
    expect(sum(ioAfterReset)).toBe(0);
    expect(sum(ioAfterProbe)).toBe(6);

    function sum(counts: readonly number[]): number {
      return counts.reduce((all, count) => all + count, 0);
    }

    /** Rows and the admin queue's count are those of Linux; which I/O queue a task uses is chance. */
    async function compare(name: string): Promise<number[]> {
      const text = machine.procfs.read('/proc/interrupts');
      const linux = interruptsOf(captured(name));
      const ours = interruptsOf(text);
      expect(linux.rows.length).toBe(3);
      expect(ours.rows).toEqual(linux.rows);
      expect([ours.taken[0], sum(ours.taken)]).toEqual([linux.taken[0], sum(linux.taken)]);
      expect(text.split('\n')[0]).toBe(captured(name).split('\n')[0]);
      return ours.taken;
    }
  });

  it('has the nodes of the capture, open to their owner only', async () => {
    const machine = await capturedMachine('6.1');
    const { deviceCore } = machine.subsystems;
    const listed = captured('dev.ls').trim().split('\n');
    expect(listed.length).toBe(3);
    for (const line of listed) {
      const [rights, , , , , minor, ...rest] = line.trim().split(/[\s,]+/);
      const { kind, mode, devt } = deviceCore.statNode(rest.at(-1) as string);
      expect([kind === 'char' ? 'c' : 'b', mode, devt.minor]).toEqual([rights?.[0], 0o600, Number(minor)]);
      expect(rights).toMatch(/^.rw-------$/);
    }
  });
});
