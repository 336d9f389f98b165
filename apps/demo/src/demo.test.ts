import { PROFILES } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { demo, uncoloured } from './harness.js';

/** Where each text first stands in `out` after the one before it; fails with the text that does not. */
function expectInOrder(out: string, texts: readonly string[]): void {
  let from = 0;
  for (const text of texts) {
    const at = out.indexOf(text, from);
    expect(at, `${text} after offset ${from}`).toBeGreaterThanOrEqual(0);
    from = at + text.length;
  }
}

/** The screen with this number. */
function screen(out: string, number: number): string {
  return out.split(/^── /m).find((one) => one.startsWith(`${number}/`)) ?? '';
}

describe('the demo', () => {
  it('shows the log, the road to nvme_probe, a verified write and read, and that nothing is left', async () => {
    const { code, out, error } = await demo();
    expect({ code, error }).toEqual({ code: 0, error: '' });
    expectInOrder(out, [
      '── 1/7  modprobe nvme',
      'nvme nvme0: pci function 0000:00:03.0',
      'nvme nvme0: 4/0/0 default/read/poll queues',
      '── 2/7  From insmod over nvme_probe to a live disk',
      'nvme_init()',
      'nvme_probe()',
      'device_add_disk()',
      'How is nvme_probe reached?',
      'nvme0 is live.',
      '── 3/7  Queues, vectors and CPUs',
      'nvme0q4',
      '/proc/interrupts',
      '── 4/7  Write, flush, read back',
      'nvme_cmd_write',
      'doorbell: SQ 1 tail',
      'interrupt to CPU 0',
      'doorbell: CQ 1 head',
      'nvme_cmd_flush',
      'nvme_cmd_read',
      'Verified: all 4096 bytes read back are the bytes written.',
      '── 5/7  Load on every hardware queue',
      'p99.9',
      '400 operations in',
      '── 6/7  rmmod nvme',
      'nvme_remove()',
      '── 7/7  What was left behind',
      'Left behind: nothing.',
    ]);
  });

  it('prints the log as dmesg does, line for line', async () => {
    const { out } = await demo();
    const { dmesg } = JSON.parse((await demo(['--json'])).out) as { dmesg: string[] };
    const shown = screen(out, 1).split('\n').slice(1, -2);
    expect(shown.length).toBeGreaterThan(25);
    expect(dmesg.slice(0, shown.length)).toEqual(shown);
  });

  it('reaches nvme_probe from bus_add_driver, over driver_attach and a worker, before the KOBJ_ADD uevent', async () => {
    const { out } = await demo();
    const [insmod = '', worker = ''] = screen(out, 2).split(/kworker\/u8:0-\d+\n/);
    expectInOrder(insmod, [
      'do_init_module()',
      'nvme_init()',
      '__pci_register_driver()',
      'driver_register()',
      'bus_add_driver()',
      'driver_attach()',
      '__driver_attach()',
      'driver_allows_async_probing()',
      'async_schedule_node()',
      'module_add_driver()',
      'kobject_uevent_env()',
      'async_synchronize_full()',
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
      "us before the driver's KOBJ_ADD uevent",
      'after the controller went LIVE',
    ]);
  });

  it('prints the same every time', async () => {
    expect((await demo()).out).toBe((await demo()).out);
  });

  it('colours its text only where colours are shown', async () => {
    const plain = (await demo()).out;
    const coloured = (await demo([], { colour: true })).out;
    const esc = String.fromCharCode(27);
    expect(plain).not.toContain(esc);
    expect(coloured).toContain(`${esc}[1m`);
    expect(uncoloured(coloured)).toBe(plain);
  });

  it.each([80, 120])('fits a terminal of %i columns, and shows progress there only', async (columns) => {
    for (const args of [[], ['--cpus', '64'], ['--compare', '6.12', '6.12']]) {
      const { out, drawn } = await demo(args, { columns, colour: true });
      const tooWide = uncoloured(out)
        .split('\n')
        .filter((line) => line.length > columns);
      expect(tooWide).toEqual([]);
      if (args.length < 3) expect(drawn.join('')).toContain('400 reads and writes');
      expect(drawn.every((text) => uncoloured(text).length < columns)).toBe(true);
    }
    expect((await demo()).drawn).toEqual([]);
  });

  it('loads every queue from its own CPU, and counts what it did', async () => {
    const { out } = await demo(['--operations', '2000']);
    const { load } = JSON.parse((await demo(['--operations', '2000', '--json'])).out);
    expect(load.reads.operations + load.writes.operations).toBe(2000);
    expect(load.queues.map(({ name }: { name: string }) => name)).toEqual(['nvme0q1', 'nvme0q2', 'nvme0q3', 'nvme0q4']);
    for (const { operations, interrupts } of load.queues) {
      expect(operations).toBeGreaterThan(300);
      expect(interrupts).toBeGreaterThan(0);
      expect(interrupts).toBeLessThanOrEqual(operations);
    }
    expect(load.reads.p50Ns).toBeGreaterThanOrEqual(70_000);
    expect(load.writes.p50Ns).toBeGreaterThanOrEqual(20_000);
    expect(load.writes.p50Ns).toBeLessThan(load.reads.p50Ns);
    for (const { p50Ns, p90Ns, p99Ns, p999Ns, maxNs } of [load.reads, load.writes]) {
      expect([p50Ns, p90Ns, p99Ns, p999Ns, maxNs]).toEqual([p50Ns, p90Ns, p99Ns, p999Ns, maxNs].sort((a, b) => a - b));
    }
    expect(load.checked).toBeGreaterThan(10);
    expect(load.wrong).toBe(0);
    const shared = JSON.parse((await demo(['--operations', '2000', '--profile', '4.13', '--json'])).out).load.queues;
    expect(shared.every(({ interrupts }: { interrupts: number | null }) => (interrupts ?? 0) > 0)).toBe(true);
    expect(out).toMatch(/2 000 operations in [\d.]+ ms of virtual time;\n[\d.]+ ms of wall time/);
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
      'controllers',
      'disks',
      'io',
      'load',
      'image',
      'leaks',
      'traceHash',
    ]);
    expect(document).toMatchObject({ schemaVersion: 1, profile: '6.12', seed: 1, cpus: 4, leaks: [], image: null });
    expect(document.trace.length).toBeGreaterThan(3000);
    expect(document.queues).toHaveLength(5);
    expect(document.interrupts.map(({ name }: { name: string }) => name)).toContain('nvme0q4');
    expect(document.interrupts[1].counts).toHaveLength(4);
    expect(document.io).toMatchObject([
      { operation: 'write', lengthBytes: 4096, verified: true },
      { operation: 'flush', verified: true },
      { operation: 'read', lengthBytes: 4096, verified: true },
    ]);
    expect(document.traceHash).toMatch(/^[0-9a-f]{16}$/);
    expect((await demo()).out).toContain(document.traceHash);
  });
});

describe('--quiet', () => {
  it('prints the result in one line', async () => {
    expect(await demo(['--quiet'])).toMatchObject({
      code: 0,
      out: 'nvme0 live; 4096 bytes verified; 400 operations, 0 wrong; nothing left behind.\n',
      error: '',
    });
  });
});

describe('--operations', () => {
  it('0 leaves the load phase out', async () => {
    const { out } = await demo(['--operations', '0']);
    expect(out).toContain('No load');
    expect(JSON.parse((await demo(['--operations', '0', '--json'])).out).load).toBeNull();
  });
});

describe('--step', () => {
  it('waits for a key between screens', async () => {
    const { out, keysAsked, drawn } = await demo(['--step'], { columns: 100 });
    expect(keysAsked).toBe(6);
    expect(drawn.join('')).toContain('any key: next screen, q: end');
    expect(out).toContain('── 7/7');
  });

  it('ends at once when the key says so', async () => {
    const { code, out, keysAsked } = await demo(['--step'], { keys: ['next', 'quit'] });
    expect({ code, keysAsked }).toEqual({ code: 0, keysAsked: 2 });
    expect(out).toContain('── 2/7');
    expect(out).not.toContain('── 3/7');
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
    expect(out).toContain('Linux 6.12, 2 CPUs');
    expect(screen(out, 3).match(/^ {2}nvme0q\d+/gm)).toHaveLength(3);
  });

  it('says that nvme_probe comes after the uevent where one CPU does both', async () => {
    const { code, out } = await demo(['--cpus=1']);
    expect(code).toBe(0);
    expect(out.replaceAll('\n  ', ' ')).toMatch(
      /nvme_probe starts on CPU 0 at [\d.]+ us, [\d.]+ us after the driver's KOBJ_ADD uevent/,
    );
  });

  it('counts what would be too long to read', async () => {
    const { code, out } = await demo(['--cpus', '64']);
    expect(code).toBe(0);
    expect(out).toMatch(/… and 47 more queues/);
    expect(out).toMatch(/… \d+ of 64 CPUs are not shown/);
    expect(out.split('\n').length).toBeLessThan(350);
  });
});

describe('--profile', () => {
  it.each(PROFILES)('%s runs from insmod to nothing left behind', async (profile) => {
    const { code, out } = await demo(['--profile', profile]);
    expect(code).toBe(0);
    expect(out).toContain(`the NVMe path of Linux ${profile},`);
    expect(out).toContain('Left behind: nothing.');
    expect(JSON.parse((await demo(['--profile', profile, '--json'])).out).profile).toBe(profile);
  });

  // @acceptance 21
  it.each(PROFILES)('%s: says how nvme_probe is reached, in the thread in which it is', async (profile) => {
    const { out } = await demo(['--profile', profile]);
    const text = screen(out, 2).replaceAll('\n  ', ' ');
    const road = 'over really_probe, pci_device_probe and local_pci_probe to nvme_probe.';
    expect(text).toContain(
      profile === '6.12'
        ? `a worker (kworker/u8:0) is handed the device and goes on ${road}`
        : `the same thread goes on ${road}`,
    );
    expect(text).toMatch(/nvme_probe starts on CPU \d at [\d.]+ us, [\d.]+ us before the driver's KOBJ_ADD uevent/);
  });
});

describe('--help and --version', () => {
  it('names every option', async () => {
    const { code, out, error } = await demo(['--help']);
    expect({ code, error }).toEqual({ code: 0, error: '' });
    const names =
      '--profile --compare --cpus --seed --machine --disk --writable --operations --step --quiet --json --trace --out --help --version';
    for (const name of names.split(' ')) expect(out).toContain(name);
  });

  it('prints the version', async () => {
    expect(await demo(['--version'])).toMatchObject({ code: 0, out: '0.0.0\n', error: '' });
  });
});
