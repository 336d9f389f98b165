/**
 * Where a kernel's recovery waits for ever, and which later one does not: docs/decisions/0008-recovery-that-waits.md tells why.
 * A call that waits is one that an hour does not end.
 */
import type { Machine, PROFILES } from '@nvme-stack/machine';
import { afterEach, describe, expect, it } from 'vitest';
import { stateOf } from '../controller-state.js';
import { codeOf, KIB, log, NVME_BDF, pattern, running } from './bench.js';

const HOUR_NS = 3600e9;
const RESET = '/sys/class/nvme/nvme0/reset_controller';
const LATENCY = { kind: 'fixed', writeNs: 60_000, readNs: 30_000, adminNs: 5_000 } as const;

type Profile = (typeof PROFILES)[number];

const machines: Machine[] = [];

afterEach(() => {
  // A call that waits keeps its machine running.
  for (const machine of machines.splice(0)) machine.close();
});

async function bench(profile: Profile, nvme: Parameters<typeof running>[0] = {}): Promise<Machine> {
  const machine = await running({ latency: LATENCY, ...nvme }, { cpus: 1, profile });
  machines.push(machine);
  await machine.settle();
  return machine;
}

/** What a call comes to within an hour: 'ended', the code it fails with, or 'waits'. */
function watch(call: Promise<unknown>): { outcome: string } {
  const watched = { outcome: 'waits' };
  void codeOf(call).then((code) => {
    watched.outcome = code?.includes('deadlock') ? 'waits' : (code ?? 'ended');
  });
  return watched;
}

/** Frozen, as a hot reset below a port begins. */
function busError(machine: Machine): Promise<unknown> {
  return machine.task('aer', async ({ pciBus }) => {
    const pdev = pciBus.pciGetDevice(NVME_BDF);
    if (pdev !== null) await pciBus.pcieDoRecovery(pdev, 'frozen');
  });
}

describe('a removal under way while the controller is pulled out with more I/O than tags', () => {
  it.each<[Profile, string]>([
    ['6.12', 'ended'],
    ['6.1', 'waits'],
    ['4.13', 'waits'],
    ['4.10', 'waits'],
  ])('%s: %s', async (profile, expected) => {
    const machine = await bench(profile, { mqes: 2 });
    await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'hang', command: 'write', nth: 1 }] });
    const disk = machine.disk('nvme0n1');
    const writes = Array.from({ length: 8 }, (_, i) => watch(disk.write(i * 16 * KIB, pattern(4 * KIB, i))));
    await machine.run(10_000);
    const unbind = watch(machine.sysfs.write('/sys/bus/pci/drivers/nvme/unbind', NVME_BDF));
    await machine.run(100_000);
    await machine.device(NVME_BDF).unplug();
    await machine.run(HOUR_NS);
    expect(unbind.outcome).toBe(expected);
    const waiting = writes.filter(({ outcome }) => outcome === 'waits').length;
    if (expected === 'ended') expect(waiting).toBe(0);
    else expect(waiting).toBeGreaterThan(0);
    if (expected === 'waits') return;
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });
});

describe('a command that is lost twice: before the reset, and while the reset waits for it', () => {
  it.each<[Profile, string, string]>([
    ['6.12', 'EIO', 'dead'],
    ['6.1', 'EIO', 'gone'],
    // It is as old as its time-out by then, and is not sent again: it is lost once only.
    ['4.13', 'EIO', 'live'],
    ['4.10', 'EIO', 'live'],
  ])('%s: %s, %s', async (profile, expected, state) => {
    const machine = await bench(profile);
    await machine.device(NVME_BDF).faults.set({
      faults: [
        { kind: 'hang', command: 'write', nth: 1, times: 2 },
        { kind: 'status', command: 'abortCmd', status: 0 },
      ],
    });
    const write = watch(machine.disk('nvme0n1').write(0, pattern(4 * KIB)));
    await machine.run(HOUR_NS);
    expect(write.outcome).toBe(expected);
    expect(stateOf(machine)).toBe(state);
  });
});

describe('more I/O than tags, while a reset waits for all of it and every tag’s command is lost', () => {
  it.each<[Profile, string, string]>([
    ['6.12', 'ended', 'dead'],
    ['4.13', 'waits', 'resetting'],
    // No reset of 4.10 waits for I/O: they are lost on a live controller, and aborted.
    ['4.10', 'ended', 'live'],
  ])('%s: the rest %s, %s', async (profile, expected, state) => {
    const machine = await bench(profile, { mqes: 2 });
    const disk = machine.disk('nvme0n1');
    await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'hang', command: 'write', nth: 3, times: 2 }] });
    const writes = Array.from({ length: 8 }, (_, i) => watch(disk.write(i * 16 * KIB, pattern(4 * KIB, i))));
    await machine.run(1_000);
    void codeOf(machine.sysfs.write(RESET, '1'));
    await machine.run(HOUR_NS);
    expect(writes.some(({ outcome }) => outcome === 'waits')).toBe(expected === 'waits');
    expect(stateOf(machine)).toBe(state);
  });
});

describe('Set Features of nvme_start_ctrl that is lost', () => {
  const LOST = [{ kind: 'hang', command: 'setFeatures', fid: 0x0b, nth: 1 }] as const;

  it.each(['6.12', '6.1'] as const)('resets the live controller once more after its time-out (%s)', async (profile) => {
    const machine = await bench(profile);
    await machine.device(NVME_BDF).faults.set({ faults: LOST });
    const reset = watch(machine.sysfs.write(RESET, '1'));
    await machine.run(5e9);
    expect(stateOf(machine)).toBe('live');
    expect(reset.outcome).toBe('waits');
    await machine.run(HOUR_NS);
    expect(reset.outcome).not.toBe('waits');
    expect(stateOf(machine)).toBe('live');
    expect(log(machine).some((line) => /QID 0 timeout, reset controller$/.test(line))).toBe(true);
  });

  it.each(['6.12', '6.1'] as const)(
    'makes a reset that is asked for meanwhile wait for ever; removal ends it (%s)',
    async (profile) => {
      const machine = await bench(profile);
      await machine.device(NVME_BDF).faults.set({ faults: LOST });
      const first = watch(machine.sysfs.write(RESET, '1'));
      await machine.run(5e9);
      const second = watch(machine.sysfs.write(RESET, '1'));
      await machine.run(HOUR_NS);
      expect([first.outcome, second.outcome]).toEqual(['waits', 'waits']);
      expect(stateOf(machine)).toBe('resetting');
      const rmmod = watch(machine.rmmod('nvme'));
      await machine.run(HOUR_NS);
      expect(rmmod.outcome).toBe('ended');
      expect(first.outcome).not.toBe('waits');
      expect(second.outcome).not.toBe('waits');
      await machine.rmmod('nvme_core');
      expect(machine.leaks()).toEqual([]);
    },
  );
});

describe('a controller that is pulled out while its recovery from a bus error waits for a reset', () => {
  it.each<[Profile, string]>([
    ['6.12', 'ended'],
    ['6.1', 'waits'],
  ])('%s: %s', async (profile, expected) => {
    const machine = await bench(profile);
    await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'hang', command: 'identify', nth: 1 }] });
    const recovery = watch(busError(machine));
    await machine.run(5e9);
    expect(stateOf(machine)).toBe('connecting');
    await machine.device(NVME_BDF).unplug();
    await machine.run(HOUR_NS);
    expect(recovery.outcome).toBe(expected);
    expect(machine.sysfs.exists('/sys/class/nvme/nvme0')).toBe(expected === 'waits');
  });
});

describe('a removal between the parts of the recovery from a bus error, while a scan waits for a lost command', () => {
  it.each<[Profile, string]>([
    ['6.12', 'ended'],
    ['6.1', 'waits'],
  ])('%s: %s', async (profile, expected) => {
    const machine = await bench(profile);
    await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'hang', command: 'write', nth: 1 }] });
    const write = watch(machine.disk('nvme0n1').write(0, pattern(4 * KIB)));
    await machine.run(20_000);
    await machine.sysfs.write('/sys/class/nvme/nvme0/rescan_controller', '1');
    await machine.run(1e6);
    const recovery = watch(busError(machine));
    await machine.run(5e6);
    const rmmod = watch(machine.rmmod('nvme'));
    await machine.run(HOUR_NS);
    expect([rmmod.outcome, recovery.outcome]).toEqual([expected, expected]);
    expect(write.outcome).not.toBe('waits');
  });
});

describe('a function reset in the middle of a reset', () => {
  it.each<[Profile, string]>([
    ['6.12', 'live'],
    ['6.1', 'live'],
    ['4.13', 'gone'],
    ['4.10', 'gone'],
  ])('%s: the controller is %s', async (profile, expected) => {
    const machine = await bench(profile, { readyDelayNs: 50_000 });
    const reset = watch(machine.sysfs.write(RESET, '1'));
    await machine.run(20_000);
    const flr = watch(machine.sysfs.write(`/sys/bus/pci/devices/${NVME_BDF}/reset`, '1'));
    await machine.run(HOUR_NS);
    expect(reset.outcome).not.toBe('waits');
    expect(flr.outcome).toBe('ended');
    expect(stateOf(machine)).toBe(expected);
    await machine.rmmod('nvme');
    await machine.rmmod('nvme_core');
    expect(machine.leaks()).toEqual([]);
  });
});
