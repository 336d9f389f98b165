/**
 * Random fault plans, many at once: a device that misbehaves in any way hangs nobody, breaks nothing of the host's, and once
 * it behaves again, the disk works or the controller is cleanly dead and the driver can be loaded anew.
 */
import { createMachine, type Machine, PROFILES } from '@nvme-stack/machine';
import type { FaultKind, FaultRule } from '@nvme-stack/nvme-controller';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stateOf } from '../controller-state.js';
import { codeOf, firstDifference, KIB, log, NVME_BDF, pattern } from '../features/bench.js';

const CHUNK = 8 * KIB;
const CHUNKS = 16;
const HOUR_NS = 3600e9;
/** Longer than any time-out with its abort, and than a reset that times out. */
const SETTLED_NS = 300e9;

const command = fc.constantFrom(
  'read',
  'write',
  'flush',
  'identify',
  'setFeatures',
  'getLogPage',
  'createCq',
  'createSq',
);
const when = fc.oneof(
  fc.record({ nth: fc.integer({ min: 1, max: 30 }), times: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ probability: fc.constantFrom(0.02, 0.1, 0.3), times: fc.integer({ min: 1, max: 6 }) }),
);
const delayNs = fc.constantFrom(1000, 1e6, 2e9, 40e9);
const on = fc.constantFrom('command' as const, 'register' as const, 'doorbell' as const, 'interrupt' as const);

/** A rule of `kind` with fields of `what`, as often as `when` says. */
function rule(kind: FaultKind, what: fc.Arbitrary<object> = fc.constant({})): fc.Arbitrary<FaultRule> {
  return fc.tuple(what, when).map(([fields, count]) => ({ kind, ...fields, ...count }) as FaultRule);
}

/** What a device may do without lying: its successes are successes. */
const HONEST: readonly fc.Arbitrary<FaultRule>[] = [
  rule('hang', fc.record({ command })),
  rule('drop-completion', fc.record({ command })),
  rule('delay', fc.record({ command, delayNs })),
  rule(
    'status',
    fc.record({ command, status: fc.constantFrom(0x06, 0x4006, 0x281, 0x4281, 0x02, 0x4002, 0x83, 0x80) }),
  ),
  rule('media-error', fc.record({ firstLba: fc.integer({ min: 0, max: 255 }), dnr: fc.boolean() })),
  rule('duplicate', fc.record({ queue: fc.constantFrom('admin', 'io'), count: fc.integer({ min: 1, max: 5 }) })),
  rule('transfer-error', fc.record({ command, afterBytes: fc.integer({ min: 0, max: 8192 }) })),
  rule('doorbell-ignored', fc.record({ queue: fc.constantFrom('admin', 'io') })),
  rule('interrupt-lost', fc.record({ queue: fc.constantFrom('admin', 'io') })),
  rule('interrupt-late', fc.record({ delayNs })),
  rule('interrupt-misdirected', fc.record({ toVector: fc.integer({ min: 0, max: 8 }) })),
  rule('not-ready', fc.record({ on: fc.constantFrom('enable', 'disable', 'shutdown'), delayNs })),
  rule('not-ready', fc.record({ on: fc.constantFrom('enable', 'disable', 'shutdown') })),
  rule('fatal', fc.record({ on })),
  rule('gone', fc.record({ on })),
  rule('event', fc.record({ on, type: fc.integer({ min: 0, max: 7 }), info: fc.integer({ min: 0, max: 5 }) })),
  rule(
    'spurious-interrupt',
    fc.record({ on, toVector: fc.integer({ min: 0, max: 8 }), count: fc.constantFrom(1, 50) }),
  ),
];
/** What only a broken or hostile one does. */
const DISHONEST: readonly fc.Arbitrary<FaultRule>[] = [
  rule('status', fc.record({ command, status: fc.constant(0) })),
  rule('completion', fc.record({ command, status: fc.integer({ min: 0, max: 0x7fff }) })),
  rule('completion', fc.record({ command, cid: fc.integer({ min: 0, max: 0xffff }) })),
  rule('completion', fc.record({ command, cidXor: fc.constantFrom(1, 0x10, 0x1000, 0xffff) })),
  rule(
    'completion',
    fc.record({ command, sqid: fc.integer({ min: 0, max: 9 }), sqhd: fc.integer({ min: 0, max: 0xffff }) }),
  ),
  rule('completion', fc.record({ command, dw0: fc.integer({ min: 0, max: 0xffffffff }) })),
  rule('completion', fc.record({ command, invertPhase: fc.constant(true) })),
  rule(
    'corrupt',
    fc.record({ command, offsetBytes: fc.integer({ min: 0, max: 4095 }), lengthBytes: fc.constantFrom(1, 16, 4096) }),
  ),
  rule(
    'register',
    fc.record({
      register: fc.constantFrom('CAP', 'CAP_HI', 'VS', 'CSTS', 'CC'),
      set: fc.integer({ min: 0, max: 0xffffffff }),
    }),
  ),
];

const scene = (kinds: readonly fc.Arbitrary<FaultRule>[]) =>
  fc.record({
    profile: fc.constantFrom(...PROFILES),
    seed: fc.integer({ min: 0, max: 0xffff }),
    cpus: fc.constantFrom(1, 2),
    duringProbe: fc.boolean(),
    faults: fc.array(fc.oneof(...kinds), { minLength: 1, maxLength: 4 }),
  });

async function write(machine: Machine, i: number): Promise<string> {
  try {
    return (await codeOf(machine.disk('nvme0n1').write(i * CHUNK, pattern(CHUNK, i)))) ?? 'ok';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** The outcome of each write while the device misbehaves. */
async function undergo(machine: Machine, plan: { seed: number; faults: FaultRule[] }, duringProbe: boolean) {
  const { faults } = machine.device(NVME_BDF);
  if (duringProbe) await faults.set(plan);
  await machine.modprobe('nvme');
  await machine.settle();
  if (!duringProbe) await faults.set(plan);
  const outcomes = await Promise.all(Array.from({ length: CHUNKS }, (_, i) => write(machine, i)));
  // Time-outs first: a user's reset during a reset that hangs on a command would wait for that one for ever, in Linux too.
  await machine.run(SETTLED_NS);
  const reset = '/sys/class/nvme/nvme0/reset_controller';
  if (machine.sysfs.exists(reset)) await codeOf(machine.sysfs.write(reset, '1'));
  await machine.settle();
  await faults.clear();
  return outcomes;
}

function ready(machine: Machine): boolean {
  return stateOf(machine) === 'live' && machine.sysfs.exists('/sys/block/nvme0n1');
}

/** A reset of 4.13 waits for ever for a command that is lost in it: era-hangs.test.ts. */
function waitsForReset(machine: Machine, code: string | null): boolean {
  if (code === null) return false;
  expect(machine.description.profile).toBe('4.13');
  expect(code).toMatch(/^DeadlockError: .* waits for mq_freeze_wq;/);
  expect(log(machine).join('\n')).toMatch(/timeout, disable controller/);
  return true;
}

describe('a swarm of faults', () => {
  it('of an honest device loses nothing that it said was written, and passes', async () => {
    await fc.assert(
      fc.asyncProperty(scene(HONEST), async ({ profile, seed, cpus, duringProbe, faults }) => {
        const machine = await createMachine({
          profile,
          seed,
          cpus,
          trace: 'off',
          nvme: [{ namespaces: [{ sizeMiB: 1 }] }],
        });
        const outcomes = await undergo(machine, { seed, faults }, duringProbe);
        for (const outcome of outcomes)
          expect(['ok', 'EIO', 'ENODEV', 'ENODATA', 'EOPNOTSUPP', 'EREMOTEIO', 'EBADE', 'ENXIO', 'ENOSPC']).toContain(
            outcome,
          );
        expect(log(machine).join('\n')).not.toMatch(/BUG|ended twice|DMAR/);
        expect(machine.subsystems.platform.dmaFaultCount).toBe(0);
        expect(machine.nowNs).toBeLessThan(HOUR_NS);
        const written = outcomes.flatMap((outcome, i) => (outcome === 'ok' ? [i] : []));
        // A function that is gone for good is replaced; one that is not is loaded anew.
        const gone = machine.device(NVME_BDF).function.configRead(0, 2) === 0xffff;
        if (ready(machine) && !gone) {
          for (const i of written) {
            const read = await machine.disk('nvme0n1').read(i * CHUNK, CHUNK);
            expect(firstDifference(read, pattern(CHUNK, i)), `chunk ${i}`).toBe(-1);
          }
        }
        if (waitsForReset(machine, await codeOf(machine.rmmod('nvme')))) return;
        await machine.rmmod('nvme_core');
        expect(machine.leaks()).toEqual([]);
        if (gone) return;
        // Kernels before 6.12 leave a controller that ignored CC.EN = 0 to its user.
        await machine.sysfs.write(`/sys/bus/pci/devices/${NVME_BDF}/reset`, '1');
        await machine.modprobe('nvme');
        await machine.settle();
        for (const i of written) {
          const read = await machine.disk('nvme0n1').read(i * CHUNK, CHUNK);
          expect(firstDifference(read, pattern(CHUNK, i)), `chunk ${i}`).toBe(-1);
        }
      }),
      { numRuns: 40, seed: 11 },
    );
  });

  it('of a lying device breaks nothing of the host', async () => {
    await fc.assert(
      fc.asyncProperty(scene([...HONEST, ...DISHONEST, ...DISHONEST]), async (drawn) => {
        const { profile, seed, cpus, duringProbe, faults } = drawn;
        const machine = await createMachine({
          profile,
          seed,
          cpus,
          trace: 'off',
          nvme: [{ namespaces: [{ sizeMiB: 1 }] }],
        });
        await undergo(machine, { seed, faults }, duringProbe);
        expect(log(machine).join('\n')).not.toMatch(/BUG|ended twice/);
        expect(machine.nowNs).toBeLessThan(HOUR_NS);
        if (waitsForReset(machine, await codeOf(machine.rmmod('nvme')))) return;
        await machine.rmmod('nvme_core');
        expect(machine.leaks()).toEqual([]);
        if (machine.device(NVME_BDF).function.configRead(0, 2) === 0xffff) return;
        // Kernels before 6.12 leave a controller that ignored CC.EN = 0 to its user.
        await machine.sysfs.write(`/sys/bus/pci/devices/${NVME_BDF}/reset`, '1');
        await machine.modprobe('nvme');
        await machine.settle();
        const data = pattern(CHUNK, 99);
        await machine.disk('nvme0n1').write(0, data);
        expect(firstDifference(await machine.disk('nvme0n1').read(0, CHUNK), data)).toBe(-1);
      }),
      { numRuns: 60, seed: 12 },
    );
  });
});
