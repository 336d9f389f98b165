import { describe, expect, it } from 'vitest';
import { main } from './main.js';

async function demo(args: readonly string[] = [], colour = false) {
  let out = '';
  let error = '';
  const code = await main(args, {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    colour,
  });
  return { code, out, error };
}

/** Where each text first stands in `out` after the one before it; fails with the text that does not. */
function expectInOrder(out: string, texts: readonly string[]): void {
  let from = 0;
  for (const text of texts) {
    const at = out.indexOf(text, from);
    expect(at, `${text} after offset ${from}`).toBeGreaterThanOrEqual(0);
    from = at + text.length;
  }
}

describe('the demo', () => {
  it('shows the log, the road to nvme_probe, a verified write and read, and that nothing is left', async () => {
    const { code, out, error } = await demo();
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expectInOrder(out, [
      '# dmesg',
      'nvme nvme0: pci function 0000:00:03.0',
      'nvme nvme0: 4/0/0 default/read/poll queues',
      '# modprobe nvme',
      '# the asynchronous worker',
      '# the scan',
      'device_add_disk()',
      'nvme0 is live.',
      '# write 4096 bytes to nvme0n1',
      'doorbell: submission queue 1',
      'MSI-X message to CPU 0',
      'doorbell: completion queue 1',
      'every byte read back is the byte written.',
      '# read 4096 bytes from nvme0n1',
      '# queues of nvme0',
      '# rmmod nvme',
      'nvme_remove()',
      'Left behind: nothing.',
    ]);
  });

  it('reaches nvme_probe from bus_add_driver, over driver_attach and a worker, before the KOBJ_ADD uevent', async () => {
    const { out } = await demo();
    const [insmod = '', worker = ''] = out.split('# the asynchronous worker');
    expectInOrder(insmod, [
      'do_init_module()',
      'nvme_init()',
      '__pci_register_driver()',
      'driver_register()',
      'bus_add_driver()',
      'driver_attach()',
      'bus_for_each_dev()',
      '__driver_attach()',
      'pci_bus_match()',
      'driver_allows_async_probing()',
      '__async_schedule_node_domain()',
      'module_add_driver()',
      'kobject_uevent_env()',
      'async_synchronize_full()',
      'before that uevent.',
    ]);
    expectInOrder(worker, [
      'process_one_work()',
      'async_run_entry_fn()',
      '__driver_attach_async_helper()',
      'driver_probe_device()',
      'really_probe()',
      'pci_device_probe()',
      'local_pci_probe()',
      'nvme_probe()',
      'nvme_pci_enable()',
      'nvme_setup_io_queues()',
      'nvme_start_ctrl()',
      'driver_bound()',
    ]);
  });

  it('prints the same every time', async () => {
    expect((await demo()).out).toBe((await demo()).out);
  });

  it('colours its text only where colours are shown', async () => {
    const plain = (await demo()).out;
    const coloured = (await demo([], true)).out;
    const esc = String.fromCharCode(27);
    expect(plain).not.toContain(esc);
    expect(coloured).toContain(`${esc}[1m`);
    expect(coloured.replaceAll(new RegExp(`${esc}\\[\\d+m`, 'g'), '')).toBe(plain);
  });
});

describe('--json', () => {
  it('prints one document and nothing else', async () => {
    const { code, out, error } = await demo(['--json']);
    expect({ code, error }).toEqual({ code: 0, error: '' });
    const document = JSON.parse(out);
    expect(Object.keys(document)).toEqual([
      'schemaVersion',
      'profile',
      'seed',
      'interleave',
      'cpus',
      'dmesg',
      'trace',
      'queues',
      'interrupts',
      'io',
      'leaks',
      'traceHash',
    ]);
    expect(document).toMatchObject({ schemaVersion: 1, profile: '6.12', seed: 1, cpus: 4, leaks: [] });
    expect(document.trace.length).toBeGreaterThan(3000);
    expect(document.queues).toHaveLength(5);
    expect(document.interrupts.map(({ name }: { name: string }) => name)).toContain('nvme0q4');
    expect(document.interrupts[1].counts).toHaveLength(4);
    expect(document.io).toMatchObject([
      { operation: 'write', lengthBytes: 4096, verified: true },
      { operation: 'read', lengthBytes: 4096, verified: true },
    ]);
    expect(document.traceHash).toMatch(/^[0-9a-f]{16}$/);
    expect((await demo()).out).toContain(document.traceHash);
  });
});

describe('--seed', () => {
  it('gives the same run for the same seed, and lets the seed choose', async () => {
    const run = async (seed: string) => JSON.parse((await demo(['--json', '--seed', seed])).out);
    const first = await run('2');
    expect(first).toMatchObject({ seed: 2, interleave: true, leaks: [] });
    expect((await run('2')).traceHash).toBe(first.traceHash);
    expect((await run('4294967295')).seed).toBe(4294967295);
    const hashes = new Set<string>([first.traceHash]);
    for (const seed of ['0', '1', '3', '4', '5']) hashes.add((await run(seed)).traceHash);
    expect(hashes.size).toBeGreaterThan(1);
  });
});

describe('--cpus', () => {
  // @acceptance 94
  it('has a queue and a named interrupt for each CPU, and one for the admin queue', async () => {
    const { out } = await demo(['--cpus', '2']);
    const { interrupts } = JSON.parse((await demo(['--cpus', '2', '--json'])).out);
    const names = interrupts.map(({ name }: { name: string }) => name);
    expect(names).toEqual(['nvme0q0', 'nvme0q1', 'nvme0q2']);
    expect(out).toContain('2/0/0 default/read/poll queues');
    expect(out).toContain('profile 6.12, 2 CPUs');
    expect(out.match(/^ {2}nvme0q\d+/gm)).toHaveLength(3);
  });

  it('says that nvme_probe comes after the uevent where one CPU does both', async () => {
    const { code, out } = await demo(['--cpus=1']);
    expect(code).toBe(0);
    expect(out).toMatch(/nvme_probe itself starts on CPU 0 at [\d.]+ us, [\d.]+ us after that uevent\./);
  });

  it('counts what would be too long to read', async () => {
    const { code, out } = await demo(['--cpus', '64']);
    expect(code).toBe(0);
    expect(out).toMatch(/\/\* \d{3,} more calls \*\//);
    expect(out.split('\n').length).toBeLessThan(350);
  });
});

describe('--help and --version', () => {
  it('names every option', async () => {
    const { code, out, error } = await demo(['--help']);
    expect({ code, error }).toEqual({ code: 0, error: '' });
    for (const name of ['--json', '--seed', '--cpus', '--help', '--version']) expect(out).toContain(name);
  });

  it('prints the version', async () => {
    expect(await demo(['--version'])).toEqual({ code: 0, out: '0.0.0\n', error: '' });
  });
});

describe('bad input', () => {
  it.each([
    [['--cpus', '0'], '--cpus is "0"; allowed: a whole number from 1 to 64.'],
    [['--cpus', '65'], '--cpus is "65"; allowed: a whole number from 1 to 64.'],
    [['--cpus', '-1'], '--cpus is "-1"; allowed: a whole number from 1 to 64.'],
    [['--cpus', 'four'], '--cpus is "four"; allowed: a whole number from 1 to 64.'],
    [['--cpus', '1.5'], '--cpus is "1.5"; allowed: a whole number from 1 to 64.'],
    [['--cpus', '1e1'], '--cpus is "1e1"; allowed: a whole number from 1 to 64.'],
    [['--cpus='], '--cpus is ""; allowed: a whole number from 1 to 64.'],
    [['--cpus'], '--cpus has no value; allowed: a whole number after it.'],
    [['--seed', '4294967296'], '--seed is "4294967296"; allowed: a whole number from 0 to 4294967295.'],
    [['--seed', '-1'], '--seed is "-1"; allowed: a whole number from 0 to 4294967295.'],
    [['--seed', 'x'], '--seed is "x"; allowed: a whole number from 0 to 4294967295.'],
    [['--seed'], '--seed has no value; allowed: a whole number after it.'],
    [['--colour'], '--colour is not an option; allowed: --json, --seed, --cpus, --help and --version.'],
    [['-x'], '-x is not an option; allowed: --json, --seed, --cpus, --help and --version.'],
    [['--jsno'], '--jsno is not an option; allowed: --json, --seed, --cpus, --help and --version.'],
    [['disk'], '"disk" is no argument of the demo; allowed: --json, --seed, --cpus, --help and --version.'],
    [['--json', ''], '"" is no argument of the demo; allowed: --json, --seed, --cpus, --help and --version.'],
    [['--json=yes'], '--json=yes is not an option; allowed: --json, --seed, --cpus, --help and --version.'],
  ])('%j is refused with one sentence', async (args, sentence) => {
    expect(await demo(args)).toEqual({ code: 2, out: '', error: `${sentence}\n` });
  });
});
