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
