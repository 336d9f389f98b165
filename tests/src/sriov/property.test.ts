/**
 * Random days of a controller with virtual functions: numbers of them, resources, resets and I/O in any order and at once.
 * What was said to be written is there, whoever reads it; the physical function never fails; at the end all work and
 * nothing is left.
 */
import { type Machine, PROFILES } from '@nvme-stack/machine';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codeOf, KIB } from '../features/bench.js';
import {
  ASSIGN,
  askNumVfs,
  bdf,
  bytesOf,
  controllerOf,
  controllers,
  machineOf,
  manage,
  numVfs,
  OFFLINE,
  ONLINE,
  stateOf,
} from './bench.js';

const CHUNK = 8 * KIB;
const BLOCK = 512;
const CHUNKS = 8;

interface Transfer {
  readonly do: 'write' | 'read';
  readonly vf: number;
  readonly chunk: number;
}
type Step =
  | { readonly do: 'numvfs'; readonly count: number }
  | {
      readonly do: 'manage';
      readonly action: number;
      readonly id: number;
      readonly type: number;
      readonly count: number;
    }
  | { readonly do: 'reset-controller' | 'reset-function' | 'bind'; readonly vf: number }
  | Transfer;

const vf = fc.integer({ min: 0, max: 3 });
const chunk = fc.integer({ min: 0, max: CHUNKS - 1 });
const io = (kind: 'write' | 'read') => fc.record({ do: fc.constant(kind), vf, chunk });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('numvfs' as const), count: fc.integer({ min: 0, max: 3 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('manage' as const),
      action: fc.constantFrom(ASSIGN, ONLINE, OFFLINE),
      id: fc.integer({ min: 1, max: 3 }),
      type: fc.constantFrom(0, 1),
      count: fc.integer({ min: 0, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('reset-controller', 'reset-function', 'bind'), vf }) },
  { weight: 6, arbitrary: io('write') },
  { weight: 4, arbitrary: io('read') },
);
/** What happens at once; then all is waited for. */
const moments = fc.array(fc.array(step, { minLength: 1, maxLength: 5 }), { minLength: 3, maxLength: 12 });

/** What each block of the medium may hold, by the seed of its bytes; 0: nothing was ever written. */
class Medium {
  private readonly may: Set<number>[] = Array.from({ length: (CHUNKS * CHUNK) / BLOCK }, () => new Set([0]));
  private nextSeed = 1;

  async write(machine: Machine, disk: string, chunkNumber: number): Promise<string | null> {
    const seed = this.nextSeed++;
    const blocks = this.may.slice((chunkNumber * CHUNK) / BLOCK, ((chunkNumber + 1) * CHUNK) / BLOCK);
    for (const block of blocks) block.add(seed);
    const code = await codeOf(machine.disk(disk).write(chunkNumber * CHUNK, bytesOf(CHUNK, seed)));
    // Of a write that failed any part may have come through.
    if (code === null)
      for (const block of blocks) {
        block.clear();
        block.add(seed);
      }
    return code;
  }

  async read(machine: Machine, disk: string, chunkNumber: number): Promise<string | null> {
    let found: Uint8Array;
    try {
      found = await machine.disk(disk).read(chunkNumber * CHUNK, CHUNK);
    } catch (error) {
      return (error as { code: string }).code;
    }
    for (let at = 0; at < CHUNK; at += BLOCK) {
      const seeds = [...(this.may[(chunkNumber * CHUNK + at) / BLOCK] as Set<number>)];
      const block = found.subarray(at, at + BLOCK);
      const isOne = seeds.some((seed) => Buffer.compare(block, contents(seed, at)) === 0);
      if (!isOne) throw new Error(`${disk}: block at ${chunkNumber * CHUNK + at} holds none of ${seeds.join(', ')}`);
    }
    return null;
  }
}

const contents = (seed: number, at: number): Uint8Array =>
  seed === 0 ? new Uint8Array(BLOCK) : bytesOf(CHUNK, seed).subarray(at, at + BLOCK);

/** One step; the code of an I/O that failed, else null. What Linux refuses of the rest it may refuse. */
async function take(machine: Machine, medium: Medium, one: Step): Promise<string | null> {
  if (one.do === 'numvfs') {
    await askNumVfs(machine, one.count);
  } else if (one.do === 'manage') {
    await codeOf(manage(machine, one.action, one.id, one.type, one.count));
  } else if (one.do === 'reset-controller') {
    const name = controllerOf(machine, one.vf);
    if (name !== null) await codeOf(machine.sysfs.write(`/sys/class/nvme/${name}/reset_controller`, '1'));
  } else if (one.do === 'reset-function') {
    const path = `/sys/bus/pci/devices/${bdf(one.vf)}/reset`;
    if (machine.sysfs.exists(path)) await codeOf(machine.sysfs.write(path, '1'));
  } else if (one.do === 'bind') {
    await codeOf(machine.sysfs.write('/sys/bus/pci/drivers/nvme/bind', bdf(one.vf)));
  } else {
    const { do: kind, vf: number, chunk: at } = one as Transfer;
    const name = controllerOf(machine, number);
    if (name === null || !machine.sysfs.exists(`/sys/block/${name}n1`)) return null;
    const code = await medium[kind](machine, `${name}n1`, at);
    if (code !== null) return `${number === 0 ? 'physical' : 'virtual'} ${code}`;
  }
  return null;
}

/** Two writes at once to one place end in either order: the second of a moment waits for the next. */
function withoutClashes(steps: readonly Step[]): Step[] {
  const busy = new Set<number>();
  return steps.filter((one) => {
    if (one.do !== 'write' && one.do !== 'read') return true;
    const isFree = !busy.has(one.chunk);
    busy.add(one.chunk);
    return isFree;
  });
}

describe('a random day with virtual functions', () => {
  it('loses nothing that was said to be written, and leaves nothing', async () => {
    const seen = new Set<string>();
    let live = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.record({ profile: fc.constantFrom(...PROFILES), seed: fc.nat(0xffff), interleave: fc.boolean(), moments }),
        async ({ profile, seed, interleave, moments: day }) => {
          await using machine = await machineOf(
            { latency: { kind: 'fixed', readNs: 20000, writeNs: 300000 }, sriovVqFlexible: 10, sriovViFlexible: 8 },
            { profile, seed, interleave, trace: 'off' },
          );
          await machine.modprobe('nvme');
          await machine.settle();
          const medium = new Medium();
          for (const moment of day) {
            const codes = await Promise.all(withoutClashes(moment).map((one) => take(machine, medium, one)));
            await machine.settle();
            for (const code of codes) if (code !== null) seen.add(code);
          }
          await machine.run(200e9);
          await machine.settle();
          expect(stateOf(machine, 'nvme0')).toBe('live');
          await numVfs(machine, 0);
          expect(controllers(machine)).toEqual(['nvme0']);
          // What the host gave by hand stays given until it is taken back.
          for (const id of [1, 2, 3]) await manage(machine, OFFLINE, id);
          await numVfs(machine, 3);
          const all = [0, 1, 2, 3].map((number) => controllerOf(machine, number) as string);
          expect(all.map((name) => stateOf(machine, name))).toEqual(['live', 'live', 'live', 'live']);
          live += all.length;
          for (const [i, name] of all.entries()) {
            expect(await medium.write(machine, `${name}n1`, i)).toBe(null);
            for (let number = 0; number < CHUNKS; number++)
              expect(await medium.read(machine, `${name}n1`, number)).toBe(null);
          }
          await numVfs(machine, 0);
          await machine.rmmod('nvme');
          await machine.rmmod('nvme_core');
          expect(machine.leaks()).toEqual([]);
          expect(machine.subsystems.platform.dmaFaultCount).toBe(0);
        },
      ),
      { numRuns: 40, seed: 7 },
    );
    expect([...seen].filter((code) => code.startsWith('physical'))).toEqual([]);
    expect([...seen].length).toBeGreaterThan(0);
    expect(live).toBe(160);
  }, 120_000);
});
