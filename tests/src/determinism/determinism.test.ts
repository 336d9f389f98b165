/** The same description and seed give the same run, event for event, whatever the host does meanwhile. */
import type { TraceEntry } from '@nvme-stack/kernel';
import { createMachine, type MachineDescription, type MachineOptions, replay } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { runScenario, SCENARIO_MACHINE, type ScenarioResult } from './scenario.js';

type Pause = () => Promise<void>;

async function run(change: MachineDescription = {}, pause?: Pause, options: MachineOptions = {}) {
  const machine = await createMachine({ ...SCENARIO_MACHINE, ...change }, options);
  const result = await runScenario(machine, pause);
  return { result, machine };
}

/** All of an entry but how long it took, which a function that still runs cannot know. */
function line({ durationNs, fields, ...entry }: TraceEntry): string {
  return JSON.stringify(entry);
}

const whole = ({ entries }: { readonly entries: readonly TraceEntry[] }): string[] =>
  entries.map((entry) => `${line(entry)} ${entry.durationNs}`);

describe('a machine’s run', () => {
  let first: { result: ScenarioResult; entries: string[] };

  it('verifies its data, leaves nothing behind and comes out the same twice, entry for entry', async () => {
    const one = await run();
    const two = await run();
    expect(one.result).toMatchObject({ wrongBytes: 0, leaks: [] });
    expect(one.result.hash).toMatch(/^[0-9a-f]{16}$/);
    first = { result: one.result, entries: whole(one.machine.trace) };
    expect(first.entries.length).toBeGreaterThan(5000);
    expect(two.result).toEqual(first.result);
    expect(whole(two.machine.trace)).toEqual(first.entries);
  });

  it('is the same for eight machines at once', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => run()));
    for (const { result, machine } of all) {
      expect(result).toEqual(first.result);
      expect(whole(machine.trace)).toEqual(first.entries);
    }
  });

  it.each<[string, Pause]>([
    [
      'forty more awaits',
      async () => {
        for (let i = 0; i < 40; i++) await null;
      },
    ],
    ['a macrotask', () => new Promise((resolve) => setImmediate(resolve))],
    ['a millisecond', () => new Promise((resolve) => setTimeout(resolve, 1))],
  ])('does not see %s between the host’s calls', async (_, pause) => {
    const { result, machine } = await run({}, pause);
    expect(result).toEqual(first.result);
    expect(whole(machine.trace)).toEqual(first.entries);
  });

  it('is the same in strict mode', async () => {
    const { result } = await run({ strict: true });
    expect(result).toEqual(first.result);
  });

  it('is the same at every level of tracing', async () => {
    const { hash, ...rest } = first.result;
    expect((await run({ trace: 'hash' })).result).toEqual(first.result);
    expect((await run({ trace: 'off' })).result).toMatchObject(rest);
  });

  it('does not depend on how much is checked', async () => {
    for (const checks of ['dma', 'off'] as const) expect((await run({ checks })).result, checks).toEqual(first.result);
  });

  it('is another run with another seed, when the seed may choose', async () => {
    const hashes = new Set<string>();
    for (const seed of [1, 2, 3]) hashes.add((await run({ seed, interleave: true, trace: 'hash' })).result.hash);
    expect(hashes.size).toBe(3);
    expect(hashes.has(first.result.hash)).toBe(false);
  });
});

describe('replay', () => {
  it('of the journal gives the same run', async () => {
    const { machine, result } = await run();
    const again = await replay(machine.journal());
    await again.settle();
    await machine.settle();
    expect(again.trace.hash()).toBe(machine.trace.hash());
    expect(again.trace.hash().length).toBe(result.hash.length);
    expect(whole(again.trace)).toEqual(whole(machine.trace));
    expect(again.subsystems.kernel.ex.items).toBe(machine.subsystems.kernel.ex.items);
  });

  it('takes a journal that was copied as a message would be', async () => {
    const { machine, result } = await run({ trace: 'hash' });
    expect((await replay(structuredClone(machine.journal()))).trace.hash()).toBe(result.hash);
  });

  it('repeats a call that failed because its disk was gone', async () => {
    const machine = await createMachine(SCENARIO_MACHINE);
    await machine.modprobe('nvme');
    const disk = machine.disk('nvme0n1');
    await machine.rmmod('nvme');
    await expect(disk.flush()).rejects.toMatchObject({ code: 'ENODEV' });
    expect((await replay(machine.journal())).trace.hash()).toBe(machine.trace.hash());
  });

  it.each([0.1, 0.35, 0.5, 0.8, 0.99])('stops at %f of the time with what had happened by then', async (part) => {
    const { machine } = await run();
    const untilNs = Math.floor(machine.nowNs * part);
    const stopped = await replay(machine.journal(), untilNs);
    const entries = machine.trace.entries;
    const got = stopped.trace.entries.map(line);
    expect(got).toEqual(entries.slice(0, got.length).map(line));
    // The last item began in time, whatever it was charged; the next would have begun later.
    expect(got.length).toBeGreaterThan(0);
    expect(stopped.nowNs).toBeLessThanOrEqual(machine.nowNs);
    expect(entries[got.length]?.startNs).toBeGreaterThan(untilNs);
  });
});
