/** Whatever happens to a controller under load, in whatever order: every I/O ends once, nothing is left, no BUG. */

import { type Machine, PROFILES } from '@nvme-stack/machine';
import { FAULT_DROP } from '@nvme-stack/nvme-controller/ports';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf, Faults, firstDifference, KIB, log, NVME_BDF, pattern, running } from './bench.js';

const CHUNK = 12 * KIB;
const CHUNKS = 24;
const HOUR_NS = 3600e9;

const EVENTS: Readonly<Record<string, (machine: Machine) => Promise<unknown>>> = {
  reset: (machine) => machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1'),
  rescan: (machine) => machine.sysfs.write('/sys/class/nvme/nvme0/rescan_controller', '1'),
  flr: (machine) => machine.sysfs.write(`/sys/bus/pci/devices/${NVME_BDF}/reset`, '1'),
  'bus error': (machine) =>
    machine.task('aer', async ({ pciBus }) => {
      const pdev = pciBus.pciGetDevice(NVME_BDF);
      if (pdev !== null) await pciBus.pcieDoRecovery(pdev, 'frozen');
    }),
  unplug: (machine) => machine.device(NVME_BDF).unplug(),
  unbind: (machine) => machine.sysfs.write('/sys/bus/pci/drivers/nvme/unbind', NVME_BDF),
  remove: (machine) => machine.sysfs.write(`/sys/bus/pci/devices/${NVME_BDF}/remove`, '1'),
  rmmod: (machine) => machine.rmmod('nvme'),
};
/** After these the disk lives on. A bus error in the middle of a reset costs the controller, in Linux as well. */
const HARMLESS = ['reset', 'rescan', 'flr'];
/** What an event may answer when another is in its way. */
const REFUSALS = [null, 'EBUSY', 'ENODEV', 'ENOENT', 'EIO', 'ENOTTY', 'EINVAL', 'EAGAIN', 'ENETRESET'];

interface Scene {
  readonly profile: (typeof PROFILES)[number];
  readonly dropped: number;
  readonly events: readonly { readonly what: string }[];
}

function has({ events }: Scene, ...names: string[]): boolean {
  return events.some(({ what }) => names.includes(what));
}

/** Resets of 4.x are not kept apart: one that meets a function reset or a bus error fails, or waits for ever. */
function resetsMeet(scene: Scene): boolean {
  const resets = scene.events.filter(({ what }) => ['reset', 'flr', 'bus error'].includes(what));
  return scene.profile.startsWith('4.') && resets.length > 1 && has(scene, 'flr', 'bus error');
}

/** What that kernel may wait for without end; era-hangs.test.ts shows each case. */
function mayWait(scene: Scene): boolean {
  const { profile, dropped } = scene;
  if (profile === '6.12') return false;
  if (has(scene, 'unplug') && has(scene, 'unbind', 'remove', 'rmmod', 'flr', 'bus error')) return true;
  if (has(scene, 'bus error') && has(scene, 'unbind', 'remove', 'rmmod')) return true;
  return resetsMeet(scene) || (profile === '4.13' && dropped >= 0 && has(scene, 'reset', 'flr', 'bus error'));
}

/** Whether all of them settle within an hour, none of them because nothing can go on. */
async function settleInTime(machine: Machine, calls: readonly Promise<string | null>[]): Promise<boolean> {
  let settled = 0;
  for (const call of calls)
    void call.then((code) => {
      if (!code?.includes('deadlock')) settled++;
    });
  await machine.run(HOUR_NS);
  return settled === calls.length;
}

async function write(machine: Machine, i: number): Promise<string> {
  try {
    return (await codeOf(machine.disk('nvme0n1').write(i * CHUNK, pattern(CHUNK, i)))) ?? 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

const event = fc.record({
  what: fc.constantFrom(...Object.keys(EVENTS)),
  afterNs: fc.integer({ min: 0, max: 400_000 }),
});
const scene = fc.record({
  profile: fc.constantFrom(...PROFILES),
  seed: fc.integer({ min: 0, max: 0xffff }),
  cpus: fc.constantFrom(1, 2, 4),
  interleave: fc.boolean(),
  depth: fc.constantFrom(3, 1024),
  dbbuf: fc.boolean(),
  dropped: fc.constantFrom(-1, -1, -1, -1, 0, 7),
  // A function reset between error_detected and slot_reset holds the device's lock while it waits for the recovery, which
  // needs that lock: Linux hangs there too.
  events: fc
    .array(event, { minLength: 1, maxLength: 4 })
    .filter((events) => !['bus error', 'flr'].every((what) => events.some((one) => one.what === what))),
});

describe('turmoil', () => {
  it('loses no I/O, ends none twice, and leaves nothing behind', async () => {
    await fc.assert(
      fc.asyncProperty(scene, async (drawn) => {
        const { profile, seed, cpus, interleave, depth, dbbuf, dropped, events } = drawn;
        const faults = new Faults();
        const latency = { kind: 'fixed', writeNs: 60_000, readNs: 30_000, adminNs: 5_000 } as const;
        const machine = await running(
          {
            dbbuf,
            latency,
            mqes: depth - 1,
            readyDelayNs: 50_000,
            shutdownDelayNs: 20_000,
            namespaces: [{ sizeMiB: 1 }],
          },
          { profile, seed, cpus, interleave },
          { faultPlans: [faults] },
        );
        await machine.settle();
        let count = 0;
        faults.onCommand = (sqid) => (sqid > 0 && count++ === dropped ? { kind: FAULT_DROP } : null);
        const writes = Array.from({ length: CHUNKS }, (_, i) => write(machine, i));
        const answers: Promise<string | null>[] = [];
        for (const { what, afterNs } of events) {
          await machine.run(afterNs);
          let call: Promise<unknown>;
          try {
            call = (EVENTS[what] as (machine: Machine) => Promise<unknown>)(machine);
          } catch (error) {
            call = Promise.reject(error);
          }
          answers.push(codeOf(call));
        }
        if (mayWait(drawn) && !(await settleInTime(machine, [...writes, ...answers]))) {
          machine.close();
          return;
        }
        const outcomes = await Promise.all(writes);
        for (const answer of await Promise.all(answers)) expect(REFUSALS).toContain(answer);
        for (const outcome of outcomes) expect(['ok', 'EIO', 'ENODEV']).toContain(outcome);
        faults.clear();
        await machine.settle();
        expect(log(machine).join('\n')).not.toMatch(/BUG|ended twice|DMAR/);
        expect(machine.subsystems.platform.dmaFaultCount).toBe(0);
        // A time-out while a reset waits for I/O disables the controller, in Linux as well.
        if (dropped < 0 && !resetsMeet(drawn) && events.every(({ what }) => HARMLESS.includes(what))) {
          expect(outcomes).toEqual(outcomes.map(() => 'ok'));
          for (let i = 0; i < CHUNKS; i++) {
            expect(firstDifference(await machine.disk('nvme0n1').read(i * CHUNK, CHUNK), pattern(CHUNK, i))).toBe(-1);
          }
        }
        await codeOf(machine.rmmod('nvme'));
        await machine.rmmod('nvme_core');
        expect(machine.leaks()).toEqual([]);
      }),
      { numRuns: 120, seed: 7 },
    );
  });
});
