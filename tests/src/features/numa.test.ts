/** Memory and work of a controller on a machine of two NUMA nodes, on each kernel. */
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import { createMachine, type Machine, type MachineDescription } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { ALL, calls, during, machineOf, NVME_BDF, OLD } from '../profiles/bench.js';
import { codeOf, firstDifference, KIB, leftBehind, pattern } from './bench.js';

const PCI_NODE = `/sys/bus/pci/devices/${NVME_BDF}/numa_node`;
const CTRL_NODE = '/sys/class/nvme/nvme0/numa_node';

/** Four CPUs, the last two on node 1. */
function twoNodes(profile: KernelProfile, more: MachineDescription = {}): Promise<Machine> {
  return machineOf(profile, { cpus: 4, numaNodes: 2, memoryMiB: 16, ...more });
}

interface Allocation {
  readonly owner: string;
  /** Asked for; undefined: any. */
  readonly node: number | undefined;
  /** Where it came to lie. */
  readonly at: number;
}

/** Every allocation of pages by the driver's structures, queues and pools while `act` runs. */
async function allocations(machine: Machine, act: () => Promise<unknown>): Promise<Allocation[]> {
  const { memory } = machine.subsystems.kernel;
  const made: Allocation[] = [];
  const { allocPages } = memory;
  memory.allocPages = (count, owner, node) => {
    const address = allocPages.call(memory, count, owner, node);
    if (owner === 'nvme_dev' || owner === NVME_BDF) made.push({ owner, node, at: memory.nodeOf(address) });
    return address;
  };
  await act();
  memory.allocPages = allocPages;
  return made;
}

async function load(machine: Machine): Promise<void> {
  await machine.modprobe('nvme');
  await machine.settle();
}

/** A transfer that takes a list from each pool. */
async function movesData(machine: Machine): Promise<void> {
  const disk = machine.disk('nvme0n1');
  for (const lengthBytes of [64 * KIB, 512 * KIB]) {
    const data = pattern(lengthBytes, 5);
    await disk.write(0, data);
    expect(firstDifference(await disk.read(0, lengthBytes), data)).toBe(-1);
  }
}

describe('a controller below a root complex on node 1', () => {
  // @acceptance 34
  it.each(ALL)('has its structures, queues and pools there, and is probed there (%s)', async (profile) => {
    const machine = await twoNodes(profile, { numaNode: 1 });
    const { kernel } = machine.subsystems;
    let made: Allocation[] = [];
    const entries = await during(machine, async () => {
      made = await allocations(machine, async () => {
        await load(machine);
        await movesData(machine);
      });
    });
    const of = (owner: string): Allocation[] => made.filter((one) => one.owner === owner);
    // The structure and the array of its queues.
    expect(of('nvme_dev')).toEqual([1, 1].map((node) => ({ owner: 'nvme_dev', node, at: 1 })));
    // Two for each of five queues, and the pools' pages among the rest.
    expect(of(NVME_BDF).length).toBeGreaterThanOrEqual(12);
    expect(of(NVME_BDF).filter(({ node, at }) => node !== 1 || at !== 1)).toEqual([]);
    const [probe] = calls(entries, 'nvme_probe');
    expect(kernel.cpuToNode(probe?.cpu ?? -1)).toBe(1);
    expect(calls(entries, 'work_on_cpu').length).toBe(1);
    expect(machine.sysfs.read(PCI_NODE)).toBe('1\n');
    expect(machine.sysfs.read(`/sys/bus/pci/devices/${NVME_BDF}/local_cpulist`)).toBe('2-3\n');
    expect(machine.sysfs.exists(CTRL_NODE)).toBe(!OLD.includes(profile));
    if (machine.sysfs.exists(CTRL_NODE)) expect(machine.sysfs.read(CTRL_NODE)).toBe('1\n');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each(ALL)('is probed by %s on a CPU of that node that is on', async (profile) => {
    const machine = await twoNodes(profile, { numaNode: 1 });
    await machine.cpu(2).offline();
    const entries = await during(machine, () => load(machine));
    expect(calls(entries, 'nvme_probe').map(({ cpu }) => cpu)).toEqual([3]);
  });

  it.each(['6.12', '6.1'] as const)('has the calls of %s that are not waited for on its node', async (profile) => {
    const machine = await twoNodes(profile, { numaNode: 1 });
    const entries = await during(machine, () => load(machine));
    const own = calls(entries, profile === '6.1' ? 'nvme_async_probe' : '__driver_attach_async_helper');
    expect(own.map(({ cpu }) => machine.subsystems.kernel.cpuToNode(cpu))).toEqual([1]);
  });

  it('takes memory of the other node when its own has none left', async () => {
    const machine = await twoNodes('6.12', { numaNode: 1 });
    const { memory } = machine.subsystems.kernel;
    const hog: number[] = [];
    for (;;) {
      const page = memory.allocPages(1, 'hog', 1);
      hog.push(page);
      if (memory.nodeOf(page) !== 1) break;
    }
    const made = await allocations(machine, () => load(machine));
    expect(made.length).toBeGreaterThan(12);
    expect(new Set(made.map(({ node, at }) => `${node} ${at}`))).toEqual(new Set(['1 0']));
    await movesData(machine);
    for (const page of hog) memory.freePages(page, 1);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('a controller whose node the firmware does not tell', () => {
  it.each(ALL)('%s: until 4.13 it is put on the first node, and nobody probes it elsewhere', async (profile) => {
    const machine = await twoNodes(profile);
    expect(machine.sysfs.read(PCI_NODE)).toBe('-1\n');
    let made: Allocation[] = [];
    const entries = await during(machine, async () => {
      made = await allocations(machine, () => load(machine));
    });
    const isOld = OLD.includes(profile);
    expect(machine.sysfs.read(PCI_NODE)).toBe(isOld ? '0\n' : '-1\n');
    // The structures are allocated before the node is chosen.
    const asked = (owner: string) => new Set(made.filter((one) => one.owner === owner).map(({ node }) => node));
    expect(asked('nvme_dev')).toEqual(new Set([undefined]));
    expect(asked(NVME_BDF)).toEqual(new Set([isOld ? 0 : -1]));
    expect(calls(entries, 'work_on_cpu')).toEqual([]);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each(ALL)('can be put on one by the user, which %s calls a firmware bug', async (profile) => {
    const machine = await twoNodes(profile);
    for (const refused of ['2', '-2', 'x', '']) {
      expect(await codeOf(machine.sysfs.write(PCI_NODE, refused))).toBe('EINVAL');
    }
    await machine.sysfs.write(PCI_NODE, '1\n');
    expect(machine.dmesg().at(-1)).toMatch(
      /\] pci 0000:00:03\.0: \[Firmware Bug\]: Overriding NUMA node to 1\. {2}Contact your vendor for updates\.$/,
    );
    const made = await allocations(machine, () => load(machine));
    expect(new Set(made.map(({ at }) => at))).toEqual(new Set([1]));
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('a description', () => {
  it.each([
    [{ numaNode: 1 }, 'machine.numaNode is 1; allowed is -1 or a node below 1'],
    [
      { numaNodes: 2, numaNode: 0, platform: 'qemu' },
      "machine.numaNode is 0; allowed is -1: QEMU's root complex is on no node",
    ],
  ] as const)('%j is refused', async (description, message) => {
    await expect(createMachine(description)).rejects.toThrow(message);
  });
});
