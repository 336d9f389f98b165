import { readFileSync } from 'node:fs';
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import { createMachine } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { readCapture } from './capture-file.js';
import { golden } from './command.js';
import { compareCapture, report } from './compare.js';
import { capturedMachine, type GoldenRun, goldenRun } from './machine-run.js';

const CASES: readonly (readonly [profile: KernelProfile, linux: string])[] = [
  ['6.12', '6.12.111'],
  ['6.1', '6.1.176'],
];

describe.each(CASES)('profile %s against Linux %s', (profile, linux) => {
  let run: Promise<GoldenRun> | undefined;

  // @acceptance 55 59 82 102 104 127
  it.each(['ftrace-insmod', 'ftrace-io', 'mmio-cmd'])('%s has nothing missing, inverted or different', async (kind) => {
    run ??= goldenRun(createMachine, capturedMachine(profile));
    const name = `${kind}-${linux}.txt`;
    const capture = readCapture(name, readFileSync(new URL(`../../golden/${name}`, import.meta.url), 'utf8'));
    const comparison = compareCapture(capture, await run);
    expect(comparison.findings, report(capture, comparison)).toEqual([]);
  });

  it('pnpm golden says so, and ends with 0', async () => {
    let out = '';
    const files = ['ftrace-insmod', 'ftrace-io', 'mmio-cmd'].map((kind) => `golden/${kind}-${linux}.txt`);
    const code = await golden(['--profile', profile, '--against', ...files], {
      readFile: (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'),
      out: (text) => {
        out += text;
      },
      error: (text) => {
        out += text;
      },
      createMachine,
      createOnQemu: createMachine,
    });
    expect(out.match(/0 missing, 0 inverted, 0 different/g)?.length, out).toBe(3);
    expect(code).toBe(0);
  });
});
