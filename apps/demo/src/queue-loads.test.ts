/** Operations and interrupts stand beside the queues that had them, also where a disk has two paths. */
import { createMachine, type Machine } from '@nvme-stack/machine';
import { expect, it } from 'vitest';
import { loadPhase } from './load-phase.js';
import type { QueueLoad } from './queue-loads.js';
import { load } from './session.js';

async function loadsOf(policy: string): Promise<{ machine: Machine; queues: readonly QueueLoad[] }> {
  const machine = await createMachine({ cpus: 2, nvme: [{ namespaces: [{ sizeMiB: 4 }] }, { sharesWith: 0 }] });
  const [disk] = (await load(machine)).disks;
  if (disk === undefined) throw new Error('there is no disk');
  await machine.sysfs.write('/sys/class/nvme-subsystem/nvme-subsys0/iopolicy', policy);
  const { queues } = await loadPhase(machine, disk, 400, () => {});
  return { machine, queues };
}

it('one path that does it all', async () => {
  const { queues } = await loadsOf('numa');
  expect(queues).toHaveLength(2);
  expect(new Set(queues.map(({ name }) => name.slice(0, 5))).size).toBe(1);
  expect(queues.reduce((sum, { operations }) => sum + (operations ?? 0), 0)).toBe(400);
  expect(queues.every(({ interrupts }) => (interrupts ?? 0) > 0)).toBe(true);
});

it('two paths in turn, whose operations nobody counts by queue', async () => {
  const { queues } = await loadsOf('round-robin');
  expect(queues.map(({ name }) => name).sort()).toEqual(['nvme0q1', 'nvme0q2', 'nvme1q1', 'nvme1q2']);
  expect(queues.map(({ operations }) => operations)).toEqual([null, null, null, null]);
  for (const controller of ['nvme0', 'nvme1']) {
    const own = queues.filter(({ name }) => name.startsWith(controller));
    expect(own.reduce((sum, { interrupts }) => sum + (interrupts ?? 0), 0)).toBeGreaterThan(0);
  }
});
