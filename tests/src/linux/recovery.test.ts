/** Real Linux recovers from what our controller's fault plans do to it, and says what it says about such a disk. */
import type { FaultRule } from '@nvme-stack/nvme-controller';
import { describe, expect, it } from 'vitest';
import { driverLog, type LinuxBench, linuxMissing, SHORT_TIMEOUTS, TIMEOUT_MS, withLinux } from './linux-bench.js';

const missing = await linuxMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

const READ = 'dd if=/dev/nvme0n1 of=/dev/null bs=4k count=1 iflag=direct 2>&1';
const QUEUES = '1/0/0 default/read/poll queues';

/** The log after probe, with tags, command identifiers and times taken out. */
async function said(bench: LinuxBench): Promise<string[]> {
  const lines = (await driverLog(bench.guest)).slice(2);
  return lines.map((line) =>
    line
      .replace(/^nvme nvme0: /, '')
      .replace(/^I\/O \d+ /, 'I/O TAG ')
      .replace(/^request 0x[0-9a-f]+ genctr mismatch \(got 0x\d expected 0x\d\)$/, 'request TAG genctr mismatch')
      .replace(/invalid id \d+ completed/, 'invalid id ID completed'),
  );
}

interface Fault {
  readonly name: string;
  readonly rule: FaultRule;
  /** What dd prints, if not that it read a block. */
  readonly dd?: RegExp;
  readonly says: readonly string[];
}

const ABORT_AND_RESET = [
  'I/O TAG (I/O Cmd) QID 1 timeout, aborting',
  'Abort status: 0x0',
  'I/O TAG QID 1 timeout, reset controller',
  QUEUES,
];

const FAULTS: readonly Fault[] = [
  {
    name: 'a dropped completion: timeout, Abort, reset, retry',
    rule: { kind: 'drop-completion', command: 'read', nth: 1 },
    says: ABORT_AND_RESET,
  },
  {
    name: 'a command that hangs: timeout and Abort, which ends it',
    rule: { kind: 'hang', command: 'read', nth: 1 },
    says: ABORT_AND_RESET.slice(0, 2),
  },
  {
    name: 'a lost interrupt: the completion is polled',
    rule: { kind: 'interrupt-lost', queue: 'io', nth: 1 },
    says: ['I/O TAG QID 1 timeout, completion polled'],
  },
  {
    name: 'a controller that fails: CSTS.CFS, reset, retry',
    rule: { kind: 'fatal', on: 'command', command: 'read', nth: 1 },
    says: ['controller is down; will reset: CSTS=0x3, PCI_STATUS=0x10', QUEUES],
  },
  {
    name: 'a medium that fails once: retry',
    rule: { kind: 'media-error', command: 'read', nth: 1 },
    says: [],
  },
  {
    name: 'a medium that fails for good',
    rule: { kind: 'media-error', command: 'read', dnr: true },
    dd: /No data available/,
    says: [
      'nvme0n1: I/O Cmd(0x2) @ LBA 0, 8 blocks, I/O Error (sct 0x2 / sc 0x81) DNR ',
      'critical medium error, dev nvme0n1, sector 0 op 0x0:(READ) flags 0x800 phys_seg 1 prio class 2',
    ],
  },
  {
    name: 'a completion of an earlier generation, then the timeout of the command it should have been',
    rule: { kind: 'completion', command: 'read', cidXor: 0x1000, nth: 1 },
    says: ['request TAG genctr mismatch', 'invalid id ID completed on queue 1', ...ABORT_AND_RESET],
  },
  {
    name: 'a completion of a tag that is none',
    rule: { kind: 'completion', command: 'read', cid: 0x7ff, nth: 1 },
    says: ['could not locate request for tag 0x7ff', 'invalid id ID completed on queue 1', ...ABORT_AND_RESET],
  },
  {
    name: 'a completion that comes twice',
    rule: { kind: 'duplicate', command: 'read', nth: 1 },
    says: ['request TAG genctr mismatch', 'invalid id ID completed on queue 1'],
  },
  {
    name: 'an error where the command was done',
    rule: { kind: 'completion', command: 'read', status: 0x4002, nth: 1 },
    dd: /Operation not supported/,
    says: [
      'nvme0n1: I/O Cmd(0x2) @ LBA 0, 8 blocks, I/O Error (sct 0x0 / sc 0x2) DNR ',
      'operation not supported error, dev nvme0n1, sector 0 op 0x0:(READ) flags 0x800 phys_seg 1 prio class 2',
    ],
  },
  {
    name: 'a command that is slow, but not too slow',
    rule: { kind: 'delay', command: 'read', delayNs: 3e8, nth: 1 },
    says: [],
  },
];

describe.skipIf(missing !== null)('Linux recovers from', () => {
  it.each(FAULTS)(
    '$name',
    ({ rule, dd, says }) =>
      withLinux({}, async (bench) => {
        const { guest, controller } = bench;
        await guest.output(SHORT_TIMEOUTS);
        controller.faults.set({ faults: [rule] });
        const { output, status } = await guest.run(READ);
        if (dd === undefined) expect([output.includes('1+0 records in'), status]).toEqual([true, 0]);
        else expect(output).toMatch(dd);
        expect(controller.faults.rules[0]?.acted).toBeGreaterThan(0);
        controller.faults.clear();
        await guest.output(READ);
        expect(await guest.output('cat /sys/class/nvme/nvme0/state')).toBe('live\n');
        expect((await said(bench)).map((line) => line.replace(/ $/, ''))).toEqual(
          says.map((line) => line.replace(/ $/, '')),
        );
      }),
    TIMEOUT_MS,
  );

  it(
    'nothing where a controller is gone: the disk is taken away',
    () =>
      withLinux({}, async (bench) => {
        const { guest, controller } = bench;
        await guest.output(SHORT_TIMEOUTS);
        controller.faults.set({ faults: [{ kind: 'gone', on: 'command', command: 'read' }] });
        expect((await guest.run(READ)).output).toMatch(/Input\/output error/);
        await guest.output(
          'for i in $(seq 200); do [ ! -e /dev/nvme0 ] && break; sleep 0.02; done; [ ! -e /dev/nvme0 ]',
        );
        const log = await said(bench);
        expect(log[0]).toBe('controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0xffff');
        expect(log).toContain('Removing after probe failure status: -19');
      }),
    TIMEOUT_MS,
  );

  it(
    'a controller that never becomes ready: the probe fails and says so',
    () =>
      withLinux({ description: { timeout: 1 }, loaded: false }, async (bench) => {
        const { guest, controller } = bench;
        controller.faults.set({ faults: [{ kind: 'not-ready', on: 'enable' }] });
        await guest.output('insmod /modules/nvme.ko; sleep 1.5; [ ! -e /dev/nvme0 ]');
        expect((await driverLog(guest)).slice(1)).toEqual([
          'nvme nvme0: Device not ready; aborting initialisation, CSTS=0x0',
          'nvme nvme0: Removing after probe failure status: -19',
        ]);
      }),
    TIMEOUT_MS,
  );
});
