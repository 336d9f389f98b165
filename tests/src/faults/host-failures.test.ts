/**
 * Every step of the host that can fail, fails once: in modprobe, in a reset, in I/O. Whatever it was, nothing is left, the
 * log has what Linux says, and the next try works. Points are counted, so a new fallible step is walked by itself.
 */
import { createMachine, type Machine, PROFILES } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { stateOf } from '../controller-state.js';
import { codeOf, firstDifference, leftBehind, log, NVME_BDF, pattern } from '../features/bench.js';
import { HostFaults } from './host-faults.js';

const MAX_STEPS = 400;

interface Bench {
  readonly machine: Machine;
  readonly host: HostFaults;
}

async function bench(profile: (typeof PROFILES)[number]): Promise<Bench> {
  const host = new HostFaults();
  const machine = await createMachine(
    { profile, cpus: 2, trace: 'off', nvme: [{ namespaces: [{ sizeMiB: 1 }] }] },
    { parts: host.parts() },
  );
  return { machine, host };
}

async function works(machine: Machine): Promise<void> {
  const data = pattern(8192);
  await machine.disk('nvme0n1').write(0, data);
  expect(firstDifference(await machine.disk('nvme0n1').read(0, data.length), data)).toBe(-1);
}

function noDefect(machine: Machine, point: string): void {
  expect(log(machine).join('\n'), point).not.toMatch(/BUG|WARN|DMAR|ended twice/);
  expect(machine.subsystems.platform.dmaFaultCount, point).toBe(0);
}

/** Runs `walk` with the first step failing, the second …, until a run passes fewer steps than the one that was to fail. */
async function everyStep(walk: (nth: number) => Promise<string | null>): Promise<string[]> {
  const points: string[] = [];
  for (let nth = 1; nth < MAX_STEPS; nth++) {
    const point = await walk(nth);
    if (point === null) return points;
    points.push(point);
  }
  throw new Error(`more than ${MAX_STEPS} fallible steps`);
}

describe.each(PROFILES)('profile %s', (profile) => {
  it('unwinds modprobe from wherever it stops', async () => {
    const points = await everyStep(async (nth) => {
      const { machine, host } = await bench(profile);
      host.start(nth);
      await codeOf(machine.modprobe('nvme'));
      await machine.settle();
      host.stop();
      if (host.failed === null) return null;
      const what = `step ${nth}: ${host.failed}`;
      noDefect(machine, what);
      await codeOf(machine.rmmod('nvme'));
      await codeOf(machine.rmmod('nvme_core'));
      expect(machine.leaks(), what).toEqual([]);
      expect(machine.procfs.read('/proc/interrupts'), what).not.toContain('nvme');
      expect(machine.procfs.read('/proc/iomem'), what).not.toContain('nvme');
      await machine.modprobe('nvme');
      await machine.settle();
      await works(machine);
      expect(await leftBehind(machine), what).toEqual([]);
      return host.failed;
    });
    expect(points.length).toBeGreaterThan(40);
  });

  it('survives a reset, or gives the controller up, from wherever it stops', async () => {
    const outcomes = new Map<string, number>();
    await everyStep(async (nth) => {
      const { machine, host } = await bench(profile);
      await machine.modprobe('nvme');
      await machine.settle();
      host.start(nth);
      await codeOf(machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1'));
      await machine.settle();
      host.stop();
      if (host.failed === null) return null;
      const what = `step ${nth}: ${host.failed}`;
      noDefect(machine, what);
      const state = stateOf(machine);
      expect(['live', 'dead', 'gone'], what).toContain(state);
      outcomes.set(state, (outcomes.get(state) ?? 0) + 1);
      if (state === 'live' && machine.sysfs.exists('/sys/block/nvme0n1')) await works(machine);
      expect(await leftBehind(machine), what).toEqual([]);
      await machine.modprobe('nvme');
      await machine.settle();
      await works(machine);
      expect(await leftBehind(machine), what).toEqual([]);
      return host.failed;
    });
    expect(outcomes.get('live')).toBeGreaterThan(0);
    expect((outcomes.get('dead') ?? 0) + (outcomes.get('gone') ?? 0)).toBeGreaterThan(0);
  });

  it('ends I/O with an error or after a retry when its mapping fails, and loses no memory', async () => {
    const data = pattern(65536);
    await everyStep(async (nth) => {
      const { machine, host } = await bench(profile);
      await machine.modprobe('nvme');
      await machine.settle();
      host.start(nth);
      const code = await codeOf(machine.disk('nvme0n1').write(0, data));
      host.stop();
      if (host.failed === null) return null;
      const what = `step ${nth}: ${host.failed}`;
      noDefect(machine, what);
      expect([null, 'EIO', 'ENOMEM'], what).toContain(code);
      await works(machine);
      expect(await leftBehind(machine), what).toEqual([]);
      return host.failed;
    });
  });
});

describe('the log of probe', () => {
  const failure = (errno: number): string => `nvme ${NVME_BDF}: probe with driver nvme failed with error ${errno}`;

  /** The lines of a modprobe whose first `point` (or `nth` of them) fails, on 6.12. */
  async function failing(point: string, occurrence = 1): Promise<string[]> {
    const counting = await bench('6.12');
    counting.host.start();
    await counting.machine.modprobe('nvme');
    const all = [...counting.host.passed];
    let seen = 0;
    const nth = all.findIndex((one) => one === point && ++seen === occurrence) + 1;
    expect(nth, point).toBeGreaterThan(0);
    const { machine, host } = await bench('6.12');
    host.start(nth);
    await codeOf(machine.modprobe('nvme'));
    await machine.settle();
    expect(host.failed).toBe(point);
    return log(machine);
  }

  it.each<[string, number, string]>([
    ['pciBus.pciEnableDeviceMem', 1, failure(-12)],
    ['pciBus.pciAllocIrqVectors', 1, failure(-28)],
    ['pciBus.pciAllocIrqVectorsAffinity', 1, failure(-5)],
    ['blkMq.blkMqAllocTagSet', 1, failure(-12)],
    ['blkMq.blkMqAllocQueue', 1, failure(-12)],
    ['deviceCore.cdevDeviceAdd', 1, failure(-12)],
    ['pciBus.pciRequestIrq', 1, failure(-12)],
    ['blkMq.blkMqAllocTagSet', 2, 'nvme nvme0: IO queues not created'],
  ])('says what Linux says when %s fails (%i)', async (point, occurrence, line) => {
    expect(await failing(point, occurrence)).toContain(line);
  });
});
