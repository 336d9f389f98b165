/** What a device's own structure holds, on each kernel. */
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import type { Machine } from '@nvme-stack/machine';
import type { NvmeCtrl } from '@nvme-stack/nvme-core/ports';
import type { MmioRegion } from '@nvme-stack/pci-bus/ports';
import type { WorkStruct } from '@nvme-stack/workqueue/ports';
import { describe, expect, it } from 'vitest';
import { leftBehind } from '../features/bench.js';
import { calls, during, machineOf, NVME_BDF } from './bench.js';

/** Members that a text names, and those that came and went. */
interface NvmeDev {
  readonly ctrl: NvmeCtrl;
  readonly bar: MmioRegion | null;
  readonly queues: readonly { readonly qid: number; readonly dbOffset: number }[];
  readonly onlineQueues: number;
  readonly resetWork: WorkStruct | null;
  readonly removeWork: WorkStruct | null;
  readonly watchdogTimer: object | null;
  readonly cmb: object | null;
  readonly hostMem: object | null;
  readonly dbbufDbs: object | null;
}

/** A machine whose controller has everything a kernel may use. */
async function capable(profile: KernelProfile): Promise<Machine> {
  const controller = {
    dbbuf: true,
    cmb: { sizeMiB: 1, legacy: true },
    hmb: { preferredKiB: 256, minimumKiB: 64 },
    namespaces: [{ sizeMiB: 8 }],
  } as const;
  const machine = await machineOf(profile, { cpus: 3, nvme: [controller] });
  await machine.modprobe('nvme');
  await machine.settle();
  return machine;
}

function deviceOf(machine: Machine): NvmeDev {
  const { pdev } = machine.device(NVME_BDF);
  if (pdev === null) throw new Error('no device');
  return (pdev.dev.driverData as { readonly dev: NvmeDev }).dev;
}

/** Members that are there in one era and not in another, as Linux has them. */
const PRESENT = {
  '6.12': { resetWork: 'controller', removeWork: false, watchdogTimer: false, hostMem: true, dbbufDbs: true },
  '6.1': { resetWork: 'controller', removeWork: true, watchdogTimer: false, hostMem: true, dbbufDbs: true },
  '4.13': { resetWork: 'controller', removeWork: true, watchdogTimer: false, hostMem: true, dbbufDbs: true },
  '4.10': { resetWork: 'device', removeWork: true, watchdogTimer: true, hostMem: false, dbbufDbs: false },
} as const;
const EACH = Object.entries(PRESENT) as [KernelProfile, (typeof PRESENT)[KernelProfile]][];

describe('struct nvme_dev', () => {
  // @acceptance 99
  it.each(EACH)('of %s has the members of that kernel: %j', async (profile, present) => {
    const machine = await capable(profile);
    const dev = deviceOf(machine);
    const { resetWork, removeWork, watchdogTimer, hostMem, dbbufDbs, ctrl } = dev;
    expect({
      resetWork: [resetWork !== null && 'device', ctrl.resetWork !== null && 'controller'].filter(Boolean).join(),
      removeWork: removeWork !== null,
      watchdogTimer: watchdogTimer !== null,
      hostMem: hostMem !== null,
      dbbufDbs: dbbufDbs !== null,
    }).toEqual(present);
    expect(dev.cmb).not.toBe(null);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 99
  it.each(EACH)('of %s: ctrl, bar, queues and online_queues are in use while it is bound', async (profile) => {
    const machine = await capable(profile);
    const dev = deviceOf(machine);
    expect(dev.ctrl).toBe(machine.subsystems.nvmeCore.controllers[0]);
    const version = await machine.task('look', async () => dev.bar?.readl(8));
    expect(version).toBe(0x10400);
    expect(dev.queues.map(({ qid }) => qid)).toEqual([0, 1, 2, 3]);
    // Doorbells are a page behind the registers: `dbs` is `bar` and 4096 bytes.
    expect(dev.queues.map(({ dbOffset }) => dbOffset)).toEqual([0x1000, 0x1008, 0x1010, 0x1018]);
    expect(dev.onlineQueues).toBe(4);
    expect(await leftBehind(machine)).toEqual([]);
    expect([dev.bar, dev.queues.length, dev.onlineQueues]).toEqual([null, 0, 0]);
  });

  it.each(EACH)('of %s: its reset work, wherever it lies, resets it', async (profile) => {
    const machine = await capable(profile);
    const reset = await during(machine, async () => {
      await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
      await machine.settle();
    });
    expect(calls(reset, 'nvme_reset_work').length).toBe(1);
    expect(deviceOf(machine).onlineQueues).toBe(4);
    expect(await leftBehind(machine)).toEqual([]);
  });
});
