/** Whatever the seed chooses among what is ready: the data is right, nothing is left, the golden order holds. */
import { readFileSync } from 'node:fs';
import { createMachine } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { readCapture } from '../golden/capture-file.js';
import { compareCapture, report } from '../golden/compare.js';
import { capturedMachine, goldenRun } from '../golden/machine-run.js';
import { runScenario, SCENARIO_MACHINE } from './scenario.js';

const SEEDS = 200;
/** Seeds of one test, so that a failure and the time-out name few. */
const CHUNK = 25;
const TIMEOUT_MS = 60_000;
const GOLDEN = ['ftrace-insmod', 'ftrace-io', 'mmio-cmd'].map((kind) => {
  const name = `${kind}-6.12.111.txt`;
  return readCapture(name, readFileSync(new URL(`../../golden/${name}`, import.meta.url), 'utf8'));
});

const chunks = Array.from({ length: SEEDS / CHUNK }, (_, i) => i * CHUNK + 1);
const seedsFrom = (first: number): number[] => Array.from({ length: CHUNK }, (_, i) => first + i);

describe('with the seed choosing', () => {
  const hashes = new Set<string>();

  it.each(chunks)(
    '25 seeds from %i read what was written and leave nothing',
    async (first) => {
      for (const seed of seedsFrom(first)) {
        const machine = await createMachine({ ...SCENARIO_MACHINE, seed, interleave: true, trace: 'hash' });
        const result = await runScenario(machine);
        expect({ seed, ...result }).toMatchObject({ seed, wrongBytes: 0, leaks: [] });
        hashes.add(result.hash);
      }
    },
    TIMEOUT_MS,
  );

  it('seeds give different runs', () => {
    expect(hashes.size).toBe(SEEDS);
  });

  it.each(chunks)(
    '25 seeds from %i keep the golden order',
    async (first) => {
      for (const seed of seedsFrom(first)) {
        const run = await goldenRun(createMachine, { ...capturedMachine('6.12'), seed, interleave: true });
        for (const capture of GOLDEN) {
          const comparison = compareCapture(capture, run);
          expect(comparison.findings, `seed ${seed}\n${report(capture, comparison)}`).toEqual([]);
        }
      }
    },
    TIMEOUT_MS,
  );
});
