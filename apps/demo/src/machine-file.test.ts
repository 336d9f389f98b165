import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { demo } from './harness.js';
import { readMachine } from './machine-file.js';

const cwd = mkdtempSync(join(tmpdir(), 'nvme-stack-machine-'));
afterAll(() => rmSync(cwd, { recursive: true, force: true }));

const examples = fileURLToPath(new URL('../examples/', import.meta.url));
const read = (name: string, text: string) => {
  writeFileSync(join(cwd, name), text);
  return readMachine(join(cwd, name), name);
};

describe('a described machine', () => {
  it('is the same in JSON and in YAML', () => {
    const description = { profile: '6.12', cpus: 2, nvme: [{ serial: 'S1', namespaces: [{ sizeMiB: 8 }] }] };
    expect(read('machine.json', JSON.stringify(description))).toEqual(description);
    const yaml = "# mine\nprofile: '6.12'\ncpus: 2\nnvme:\n  - serial: S1\n    namespaces: [{ sizeMiB: 8 }]\n";
    expect(read('machine.yaml', yaml)).toEqual(description);
    expect(read('nothing.yaml', '# nothing\n')).toEqual({});
  });

  it('may name its profile without quotes, though YAML takes it for a number', () => {
    expect(read('profile.yaml', 'profile: 6.12\n').profile).toBe('6.12');
  });

  it('is run, and the command line counts more', async () => {
    read(
      'run.yaml',
      'cpus: 2\nseed: 9\nnvme:\n  - serial: SERIAL01\n    namespaces: [{ sizeMiB: 8 }, { sizeMiB: 4 }]\n',
    );
    const plain = JSON.parse((await demo(['--machine', 'run.yaml', '--json'], { cwd })).out);
    expect(plain).toMatchObject({ cpus: 2, seed: 9, interleave: false });
    expect(plain.disks).toMatchObject([
      { name: 'nvme0n1', sizeBytes: 8 << 20 },
      { name: 'nvme0n2', sizeBytes: 4 << 20 },
    ]);
    const own = JSON.parse(
      (await demo(['--machine', 'run.yaml', '--cpus', '3', '--seed', '5', '--json'], { cwd })).out,
    );
    expect(own).toMatchObject({ cpus: 3, seed: 5, interleave: true });
  });

  it('has no controller, no namespace or one that may not be written, and the demo says so', async () => {
    read('none.yaml', 'nvme: []\n');
    const none = await demo(['--machine', 'none.yaml'], { cwd });
    expect(none.code).toBe(0);
    expect(none.out).toContain('nvme_probe is not reached: no device on the bus matches the driver.');
    expect(none.out).toContain('There is no disk to write to or read from.');
    read('empty.yaml', 'nvme: [{ namespaces: [] }]\n');
    const empty = await demo(['--machine', 'empty.yaml'], { cwd });
    expect(empty.code).toBe(0);
    expect(empty.out).toContain('nvme0 is live.');
    expect(empty.out).toContain('There is no disk to write to or read from.');
    read('fixed.yaml', 'nvme: [{ namespaces: [{ sizeMiB: 8, readOnly: true }] }]\n');
    const fixed = await demo(['--machine', 'fixed.yaml'], { cwd });
    expect(fixed.code).toBe(0);
    expect(fixed.out).toContain('the disk is read-only, so nothing was written');
  });

  it('whose controller never becomes ready ends with exit code 1 and a log that says why', async () => {
    read('never.yaml', 'nvme: [{ timeout: 1, readyDelayNs: 900000000000, namespaces: [{ sizeMiB: 8 }] }]\n');
    const { code, out, error } = await demo(['--machine', 'never.yaml'], { cwd });
    expect({ code, error }).toEqual({ code: 1, error: '' });
    expect(out).toContain('Device not ready; aborting initialisation');
    expect(out).toContain('Left behind: nothing.');
  });
});

describe('the examples', () => {
  const names = readdirSync(examples);

  it('are five, with comments that say how to run them', () => {
    expect(names).toHaveLength(5);
    for (const name of names) {
      const text = readFileSync(join(examples, name), 'utf8');
      expect(text).toContain(`pnpm demo --machine apps/demo/examples/${name}`);
      expect(text.split('\n').filter((line) => line.includes('#')).length).toBeGreaterThan(3);
    }
  });

  it.each(names)('%s runs to the end', async (name) => {
    const { code, out, error } = await demo(['--machine', name], { cwd: examples });
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expect(out).toContain('Left behind: nothing.');
  });
});
