import { readFileSync } from 'node:fs';
import type { TraceEntry } from '@nvme-stack/kernel/ports';
import { describe, expect, it } from 'vitest';
import { golden } from './command.js';
import type { GoldenMachine } from './machine-run.js';

const INSMOD = 'golden/ftrace-insmod-6.12.111.txt';
const IO = 'golden/ftrace-io-6.12.111.txt';
const DEVICE = 'golden/mmio-cmd-6.12.111.txt';

/** A machine that records what was asked of it; each request leaves one function entry. */
class FakeMachine implements GoldenMachine {
  readonly asked: string[] = [];
  readonly trace = { entries: [] as TraceEntry[] };
  readonly sysfs = { write: async (path: string, value: string): Promise<void> => void this.ask(`${value} > ${path}`) };

  private ask(what: string): Uint8Array {
    this.asked.push(what);
    const symbol = what.startsWith('read') ? 'submit_bio' : 'process_one_work';
    const seq = this.trace.entries.length;
    const base = {
      startNs: seq,
      durationNs: 1,
      cpu: 0,
      task: 'x',
      pid: 1,
      context: 'task',
      depth: 0,
      kind: 'function',
    } as const;
    this.trace.entries.push({ ...base, seq, symbol, fields: [], args: [], text: '' });
    return new Uint8Array();
  }
  async modprobe(name: string) {
    this.ask(`modprobe ${name}`);
  }
  async rmmod(name: string) {
    this.ask(`rmmod ${name}`);
  }
  disk(name: string) {
    return {
      read: async (offset: number, length: number) => this.ask(`read ${name} ${offset} ${length}`),
      write: async (offset: number, bytes: Uint8Array): Promise<void> =>
        void this.ask(`write ${name} ${offset} ${bytes.length}`),
    };
  }
  async settle() {}
  close() {
    this.asked.push('close');
  }
}

async function run(args: readonly string[], files: Readonly<Record<string, string>> = {}) {
  const machine = new FakeMachine();
  let out = '';
  let error = '';
  let description: unknown = null;
  const code = await golden(args, {
    readFile: (path) => files[path] ?? readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'),
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    createMachine: async (given) => {
      description = given;
      if (given.cpus === 0) throw new RangeError('cpus is 0; allowed is 1 or more');
      if (given.cpus === 99) machine.rmmod = () => Promise.reject(new Error('deadlock'));
      return machine;
    },
    createOnQemu: async (given) => {
      description = given;
      if (given.cpus === 0) throw Object.assign(new Error('there is no QEMU here'), { name: 'QemuError' });
      return Object.assign(machine, { deviceTrace: () => files.trace ?? '' });
    },
  });
  return { code, out, error, machine, description };
}

describe('golden', () => {
  it('does what the captured run did, and exits with 1 and every place when something is missing', async () => {
    const { code, out, error, machine, description } = await run(['--profile', '6.12', '--against', IO, DEVICE]);
    expect([code, error]).toEqual([1, '']);
    expect(machine.asked).toEqual([
      'modprobe nvme',
      'read nvme0n1 20480 4096',
      'write nvme0n1 0 65536',
      '1 > /sys/class/nvme/nvme0/reset_controller',
      'rmmod nvme',
      'close',
    ]);
    expect(description).toMatchObject({ profile: '6.12', cpus: 4, trace: 'full', nvme: [{ preset: 'qemu-7.2' }] });
    expect(out).toContain(`${IO} (function calls of I/O): 89 missing, 0 inverted, 0 different\n`);
    expect(out).toContain(`  missing   ${IO}:3: submit_bio_noacct below submit_bio\n`);
    expect(out).not.toContain(`${IO}:2:`);
    expect(out).toContain(`  missing   ${DEVICE}:2: read of register 0x1c\n`);
  });

  it('takes what QEMU wrote of the run when it was on QEMU', async () => {
    const written = readFileSync(new URL(`../../${DEVICE}`, import.meta.url), 'utf8');
    const args = ['--platform', 'qemu', '--against', DEVICE];
    const trace = written.replaceAll('pci_nvme_', '77@1700000000.123456:pci_nvme_');
    expect((await run(args, { trace })).out).toMatch(/: 0 missing, 0 inverted, 0 different\n/);
    const shorter = trace.replace(/^.*mmio_read addr 0x8 .*\n/m, '');
    expect((await run(args, { trace: shorter })).out).toMatch(/: 1 missing, 0 inverted, 0 different\n/);
    const { code, error } = await run([...args, '--machine', 'none'], { none: '{"cpus":0}' });
    expect([code, error]).toEqual([2, 'none: there is no QEMU here.\n']);
  });

  it('exits with 0 when nothing is missing', async () => {
    const { code, out } = await run(['--against', 'a.txt'], { 'a.txt': 'cpu0 submit_bio\ncpu0   handle_softirqs\n' });
    expect(out).toMatch(/^a\.txt \(function calls of I\/O\): 0 missing, 0 inverted, 0 different\n/);
    expect(code).toBe(0);
  });

  it('takes the machine of a file, under the profile asked for', async () => {
    const { description } = await run(['--profile=6.1', '--machine', 'm.json', '--against=a.txt'], {
      'a.txt': 'cpu0 submit_bio\n',
      'm.json': '{ "cpus": 2, "profile": "4.13" }',
    });
    expect(description).toEqual({ cpus: 2, profile: '6.1', trace: 'full' });
  });

  it.each([
    [[], '--against is missing: name the capture files to compare with.\n'],
    [['--against'], '--against needs a value; see pnpm golden --help.\n'],
    [
      ['--profile', '5.0', '--against', IO],
      '--profile "5.0" is not allowed; it must be one of 6.12, 6.1, 4.13, 4.10.\n',
    ],
    [['-x'], '"-x" is no option; allowed are --profile, --against, --machine, --platform and --help.\n'],
    [['--profile', '6.1', '--against', INSMOD], `${INSMOD} was captured on Linux 6.12.111, but --profile is 6.1.\n`],
    [['--against', 'bad'], /^bad: this is no capture that can be compared; it must hold .*\n$/],
    [['--against', 'odd'], 'odd:3: "what is this" is no line of a list of function calls.\n'],
    [['--against', 'golden/none.txt'], /^golden\/none\.txt cannot be read: .*\n$/],
    [['--against', IO, '--platform', 'x'], '--platform "x" is not allowed; it must be one of sim, qemu.\n'],
    [['--against', IO, '--machine', 'bad'], /^bad is no JSON: .*\n$/],
    [['--against', IO, '--machine', 'list'], 'list must hold one JSON object, a machine description.\n'],
    [['--against', IO, '--machine', 'none'], 'none: cpus is 0; allowed is 1 or more.\n'],
  ])('exits with 2 and one sentence for %j', async (args, sentence) => {
    const files = { bad: 'hello', odd: '# x\ncpu0 submit_bio\nwhat is this\n', list: '[]', none: '{"cpus":0}' };
    const { code, out, error } = await run(args, files);
    expect([code, out]).toEqual([2, '']);
    expect(error).toMatch(sentence);
    expect(error.split('\n')).toHaveLength(2);
  });

  it('exits with 1 when the run fails', async () => {
    const { code, error } = await run(['--against', IO, '--machine', 'm'], { m: '{"cpus":99}' });
    expect([code, error]).toEqual([1, 'The run failed: deadlock\n']);
  });

  it('explains in --help all that is not compared', async () => {
    const { code, out } = await run(['--help']);
    expect(code).toBe(0);
    expect(out).toContain('  nvme_auth_*\n      in-band authentication, of fabrics only\n');
    expect(out).toContain('nvme_set_queue_count indented below nvme_dbbuf_dma_alloc');
  });
});
