import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROFILES } from '@nvme-stack/machine';
import { afterAll, describe, expect, it } from 'vitest';
import { demo } from './harness.js';

const cwd = mkdtempSync(join(tmpdir(), 'nvme-stack-demo-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const file = (name: string, text: string | Uint8Array): string => {
  writeFileSync(join(cwd, name), text);
  return name;
};

const ALLOWED =
  '--profile, --compare, --platform, --cpus, --seed, --machine, --disk, --writable, --operations, --step, --quiet, --json, --trace, --out, --version and --help';
const LIST = PROFILES.join(', ');

async function expectRefusal(args: readonly string[], sentence: string): Promise<void> {
  const { code, out, error } = await demo(args, { cwd });
  expect({ code, out, error }).toEqual({ code: 2, out: '', error: `${sentence}\n` });
}

describe('bad input', () => {
  it.each([
    [['--cpus', '0'], '--cpus is "0"; allowed: a whole number from 1 to 64.'],
    [['--cpus', '65'], '--cpus is "65"; allowed: a whole number from 1 to 64.'],
    [['--cpus', '-1'], '--cpus is "-1"; allowed: a whole number from 1 to 64.'],
    [['--cpus', 'four'], '--cpus is "four"; allowed: a whole number from 1 to 64.'],
    [['--cpus', '1.5'], '--cpus is "1.5"; allowed: a whole number from 1 to 64.'],
    [['--cpus', '1e1'], '--cpus is "1e1"; allowed: a whole number from 1 to 64.'],
    [['--cpus='], '--cpus is ""; allowed: a whole number from 1 to 64.'],
    [['--operations', '8', '--cpus'], '--cpus has no value; allowed: a whole number after it.'],
    [['--seed', '4294967296'], '--seed is "4294967296"; allowed: a whole number from 0 to 4294967295.'],
    [['--seed', '-1'], '--seed is "-1"; allowed: a whole number from 0 to 4294967295.'],
    [['--seed', 'x'], '--seed is "x"; allowed: a whole number from 0 to 4294967295.'],
    [['--operations', '8', '--seed'], '--seed has no value; allowed: a whole number after it.'],
    [['--operations', 'many'], '--operations is "many"; allowed: a whole number from 0 to 10000000.'],
    [['--operations', '10000001'], '--operations is "10000001"; allowed: a whole number from 0 to 10000000.'],
    [['--operations'], '--operations has no value; allowed: a whole number after it.'],
    [['--profile', '6.13'], `--profile is "6.13"; allowed: one of ${LIST}.`],
    [['--profile', ''], `--profile is ""; allowed: one of ${LIST}.`],
    [['--operations', '8', '--profile'], `--profile has no value; allowed: one of ${LIST} after it.`],
    [['--compare', '6.12'], `--compare is "6.12"; allowed: two of ${LIST}.`],
    [['--compare', '6.12', '2.6'], `--compare is "2.6"; allowed: one of ${LIST}.`],
    [['--compare', '6.12', '6.12', '6.12'], `--compare is "6.12 6.12 6.12"; allowed: two of ${LIST}.`],
    [['--operations', '8', '--compare'], `--compare has no value; allowed: two of ${LIST} after it.`],
    [['--platform', 'vm'], '--platform is "vm"; allowed: one of sim, qemu.'],
    [['--operations', '8', '--platform'], '--platform has no value; allowed: one of sim, qemu after it.'],
    [['--trace', 'svg'], '--trace is "svg"; allowed: one of graph, events, chrome.'],
    [['--operations', '8', '--trace'], '--trace has no value; allowed: one of graph, events, chrome after it.'],
    [['--operations', '8', '--machine'], '--machine has no value; allowed: the path of a file after it.'],
    [['--machine', ''], '--machine is ""; allowed: the path of a file.'],
    [['--machine', 'none.yaml'], '--machine is "none.yaml"; allowed: the path of a readable file.'],
    [['--machine', '.'], '--machine is "."; allowed: the path of a readable file.'],
    [['--operations', '8', '--disk'], '--disk has no value; allowed: the path of a file after it.'],
    [['--disk', ''], '--disk is ""; allowed: the path of a file.'],
    [['--disk', 'none.img'], '--disk is "none.img"; allowed: the path of a raw disk image that exists.'],
    [['--disk', '.'], '--disk is "."; allowed: the path of a raw disk image, a regular file.'],
    [['--out', 'x'], '--out is "x"; allowed: only with --trace graph, events or chrome.'],
    [['--operations', '8', '--out'], '--out has no value; allowed: the path of a file after it.'],
    [['--trace', 'graph', '--out', ''], '--out is ""; allowed: the path of a file.'],
    [['--trace', 'graph', '--out', '.'], '--out is "."; allowed: the path of a file that can be written.'],
    [['--trace', 'graph', '--out', 'no/x'], '--out is "no/x"; allowed: the path of a file that can be written.'],
    [['--writable'], '--writable says nothing here; allowed: only with --disk or --machine.'],
    [['--json', '--trace', 'graph'], '--json does not go with --trace: --json has the trace in its document.'],
    [['--json', '--step'], '--json does not go with --step: --json has no screens.'],
    [['--quiet', '--step'], '--quiet does not go with --step: --quiet has no screens.'],
    [['--trace', 'graph', '--step'], '--step does not go with --trace without --out: standard output has the trace.'],
    [
      ['--compare', '6.12', '6.12', '--profile', '6.12'],
      '--compare does not go with --profile: --compare names both profiles.',
    ],
    [
      ['--compare', '6.12', '6.12', '--disk', 'x'],
      '--compare does not go with --disk: --compare shows two kernels loading the driver.',
    ],
    [
      ['--compare', '6.12', '6.12', '--trace', 'graph'],
      '--compare does not go with --trace: --compare has two traces.',
    ],
    [['--compare', '6.12', '6.12', '--step'], '--compare does not go with --step: --compare is one screen.'],
    [['--colour'], `--colour is not an option; allowed: ${ALLOWED}.`],
    [['-x'], `-x is not an option; allowed: ${ALLOWED}.`],
    [['--jsno'], `--jsno is not an option; allowed: ${ALLOWED}.`],
    [['disk'], `"disk" is no argument of the demo; allowed: ${ALLOWED}.`],
    [['--json', ''], `"" is no argument of the demo; allowed: ${ALLOWED}.`],
    [['--json=yes'], `--json=yes is not an option; allowed: ${ALLOWED}.`],
  ])('%j is refused with one sentence', expectRefusal);

  it.each([
    ['odd.img', new Uint8Array(1000), 'of 1000 bytes; allowed: a raw disk image of whole blocks of 512 bytes.'],
    ['empty.img', new Uint8Array(0), 'of 0 bytes; allowed: a raw disk image of whole blocks of 512 bytes.'],
  ])('the image %s is refused with one sentence', async (name, bytes, rest) => {
    await expectRefusal(['--disk', file(name, bytes)], `--disk is ${JSON.stringify(name)} ${rest}`);
  });
});

describe('a description that cannot be used', () => {
  it.each([
    ['cpus: 65', 'machine.cpus is 65; allowed: a whole number from 1 to 64'],
    ['{"cpus": "4"}', 'machine.cpus is "4"; allowed: a whole number from 1 to 64'],
    ['profile: 2.6', `machine.profile is "2.6"; allowed: ${PROFILES.map((one) => JSON.stringify(one)).join(', ')}`],
    ['[1, 2]', 'machine is [1,2]; allowed: an object'],
    ['just text', 'machine is "just text"; allowed: an object'],
    ['nvme: {}', 'machine.nvme is {}; allowed: a list'],
    [
      'nvme: [{ namespaces: [{ sizeMiB: 0 }] }]',
      'machine.nvme[0].namespaces[0].sizeMiB is 0; allowed: a whole number from 1 to 16777216',
    ],
    ['trace: hash', 'machine.trace is "hash"; allowed: "full", which the demo shows'],
  ])('%j', async (text, sentence) => {
    await expectRefusal(['--machine', file('bad.yaml', text)], `bad.yaml: ${sentence}.`);
  });

  it('names what is not known and what is', async () => {
    const { code, error } = await demo(['--machine', file('bad.json', '{"cpu": 4}')], { cwd });
    expect(code).toBe(2);
    expect(error).toMatch(/^bad\.json: machine\.cpu is not known; allowed are profile, platform, cpus, [^\n]*\.\n$/);
  });

  it.each([
    ['cpus: [1', 'line 1'],
    ['cpus: 1\ncpus: 2', 'line 2, column 1'],
    ['{"cpus": 1,,}', 'line 1'],
    ['a: *nowhere', 'nowhere'],
  ])('%j is neither JSON nor YAML, and the place is named', async (text, place) => {
    const { code, out, error } = await demo(['--machine', file('broken.yaml', text)], { cwd });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(error).toMatch(/^--machine is "broken\.yaml"; allowed: JSON or YAML, but [^\n]*\.\n$/);
    expect(error).toContain(place);
  });

  it.each([
    ['numaNodes: 8', 'machine.numaNodes is 8; allowed is at most the number of CPUs, 4.'],
    [
      'nvme: [{ namespaces: [{ file: none.img }] }]',
      'namespace file is "none.img"; allowed: the path of a raw disk image that exists.',
    ],
    ['nvme: [{ serial: "123456789012345678901" }]', /serial/],
  ])('%j is refused when the machine is built', async (text, sentence) => {
    const { code, out, error } = await demo(['--machine', file('bad.yaml', text)], { cwd });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(error).toMatch(sentence);
    expect(error.trimEnd().split('\n')).toHaveLength(1);
  });
});
