import type { MachineParts } from '@nvme-stack/machine';
import { createNvmeController } from '@nvme-stack/nvme-controller';
import { FAULT_DROP, FAULT_STATUS } from '@nvme-stack/nvme-controller/ports';
import { describe, expect, it } from 'vitest';
import {
  codeOf,
  Faults,
  firstDifference,
  KIB,
  leftBehind,
  log,
  NVME_BDF,
  pattern,
  running,
  SECOND_NS,
} from './bench.js';

const READ = 0x02;
const WRITE = 0x01;
const ABORT = 0x08;

describe('a command that takes too long', () => {
  it('is aborted after 30 s, and fails its I/O over to a retry when the abort works', async () => {
    const faults = new Faults();
    const machine = await running({}, { cpus: 1 }, { faultPlans: [faults] });
    let dropped = 0;
    faults.onCommand = (sqid, _cid, opcode) =>
      sqid > 0 && opcode === WRITE && dropped++ === 0 ? { kind: FAULT_DROP } : null;
    const startNs = machine.nowNs;
    const data = pattern(4 * KIB);
    await machine.disk('nvme0n1').write(0, data);
    const tookNs = machine.nowNs - startNs;
    const lines = log(machine);
    const timeout = lines.findIndex((line) =>
      /^nvme nvme0: I\/O tag \d+ \([0-9a-f]{4}\) opcode 0x1 \(I\/O Cmd\) QID 1 timeout, aborting req_op:WRITE\(1\) size:4096$/.test(
        line,
      ),
    );
    expect(timeout, lines.join('\n')).toBeGreaterThan(0);
    expect(lines[timeout + 1]).toMatch(/^nvme nvme0: Abort status: 0x[01]$/);
    expect(tookNs).toBeGreaterThanOrEqual(30 * SECOND_NS);
    expect(firstDifference(await machine.disk('nvme0n1').read(0, data.length), data)).toBe(-1);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('resets the controller after another 30 s when the abort does not help, and its I/O is done then', async () => {
    const faults = new Faults();
    const machine = await running({}, { cpus: 2 }, { faultPlans: [faults] });
    let dropped = 0;
    faults.onCommand = (sqid, _cid, opcode) => {
      if (sqid === 0 && opcode === ABORT) return { kind: FAULT_STATUS, status: 0 };
      return sqid > 0 && opcode === WRITE && dropped++ === 0 ? { kind: FAULT_DROP } : null;
    };
    const startNs = machine.nowNs;
    const data = pattern(8 * KIB, 1);
    await machine.disk('nvme0n1').write(4 * KIB, data);
    expect(machine.nowNs - startNs).toBeGreaterThanOrEqual(60 * SECOND_NS);
    expect(machine.nowNs - startNs).toBeLessThan(70 * SECOND_NS);
    const text = log(machine).join('\n');
    expect(text).toMatch(/QID \d timeout, aborting req_op:WRITE\(1\) size:8192\n/);
    expect(text).toMatch(/I\/O tag \d+ \([0-9a-f]{4}\) opcode 0x1 \(I\/O Cmd\) QID \d timeout, reset controller\n/);
    expect(text.match(/2\/0\/0 default\/read\/poll queues/g)?.length).toBe(2);
    expect(firstDifference(await machine.disk('nvme0n1').read(4 * KIB, data.length), data)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('is found by polling when only its interrupt was lost', async () => {
    const faults = new Faults();
    const machine = await running({}, { cpus: 1 }, { faultPlans: [faults] });
    faults.losesInterrupt = (cqid) => cqid === 1;
    const data = pattern(512, 2);
    await machine.disk('nvme0n1').write(512, data);
    expect(log(machine).at(-1)).toMatch(/^nvme nvme0: I\/O tag \d+ \([0-9a-f]{4}\) QID 1 timeout, completion polled$/);
    faults.clear();
    expect(firstDifference(await machine.disk('nvme0n1').read(512, 512), data)).toBe(-1);
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('live\n');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('meets a controller that has failed (CSTS.CFS): it is reset at once, without an abort', async () => {
    const CC = 0x14;
    const CSTS = 0x1c;
    const CFS = 2;
    let failed = false;
    const faults = new Faults();
    const controller: NonNullable<MachineParts['controller']> = (description, deps) => {
      const inner = createNvmeController(description, { ...deps, faults });
      const { barRead, barWrite } = inner;
      inner.barRead = (bar, offset, size) => {
        const value = barRead.call(inner, bar, offset, size);
        return failed && bar === 0 && offset === CSTS ? (value | CFS) >>> 0 : value;
      };
      inner.barWrite = (bar, offset, value, size) => {
        if (bar === 0 && offset === CC) failed = false;
        barWrite.call(inner, bar, offset, value, size);
      };
      return inner;
    };
    const machine = await running({}, { cpus: 1 }, { parts: { controller } });
    faults.onCommand = (sqid, _cid, opcode) => {
      if (sqid === 0 || opcode !== WRITE) return null;
      failed = true;
      faults.clear();
      return { kind: FAULT_DROP };
    };
    const data = pattern(4 * KIB, 3);
    await machine.disk('nvme0n1').write(0, data);
    const lines = log(machine);
    expect(
      lines.some((line) => /^nvme nvme0: controller is down; will reset: CSTS=0x3, PCI_STATUS=0x[0-9a-f]+$/.test(line)),
      lines.join('\n'),
    ).toBe(true);
    expect(lines.join('\n')).not.toContain('aborting');
    expect(firstDifference(await machine.disk('nvme0n1').read(0, data.length), data)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('while another does too, gets an abort of its own only as far as the abort limit goes', async () => {
    const faults = new Faults();
    const machine = await running({}, { cpus: 1 }, { faultPlans: [faults] });
    let dropped = 0;
    const opcodes: number[] = [];
    faults.onCommand = (sqid, _cid, opcode) => {
      opcodes.push(opcode);
      if (sqid === 0 && opcode === ABORT) return { kind: FAULT_DROP };
      return sqid > 0 && opcode === WRITE && dropped++ < 8 ? { kind: FAULT_DROP } : null;
    };
    const disk = machine.disk('nvme0n1');
    await Promise.all(Array.from({ length: 8 }, (_, i) => disk.write(i * 8 * KIB, pattern(4 * KIB, i))));
    // QEMU's ACL is 3, which stands for 4.
    expect(opcodes.filter((opcode) => opcode === ABORT).length).toBe(4);
    for (let i = 0; i < 8; i++) {
      expect(firstDifference(await disk.read(i * 8 * KIB, 4 * KIB), pattern(4 * KIB, i))).toBe(-1);
    }
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('obeys io_timeout', async () => {
    const faults = new Faults();
    const machine = await running({}, { cpus: 1 }, { faultPlans: [faults] });
    expect(machine.sysfs.read('/sys/module/nvme_core/parameters/io_timeout')).toBe('30\n');
    await leftBehind(machine);
    await machine.modprobe('nvme_core', { io_timeout: 3 });
    await machine.modprobe('nvme');
    faults.losesInterrupt = (cqid) => cqid === 1;
    const startNs = machine.nowNs;
    await machine.disk('nvme0n1').write(0, pattern(512));
    expect(machine.nowNs - startNs).toBeLessThan(6 * SECOND_NS);
    expect(log(machine).at(-1)).toMatch(/completion polled$/);
  });
});

describe('a command that fails', () => {
  it.each([
    [0x281, 'ENODATA', 'critical medium error'],
    [0x280, 'ENODATA', 'critical medium error'],
    [0x282, 'EILSEQ', 'protection error'],
    [0x080, 'EREMOTEIO', 'critical target error'],
    [0x081, 'ENOSPC', 'critical space allocation error'],
    [0x002, 'EOPNOTSUPP', 'operation not supported error'],
    [0x006, 'EIO', 'I/O error'],
    [0x083, 'EBADE', 'reservation conflict error'],
  ])('with status %i of a read gives the errno and lines of Linux', async (status, code, words) => {
    const faults = new Faults();
    const machine = await running({}, { cpus: 1 }, { faultPlans: [faults] });
    const DNR = 0x4000;
    faults.onCommand = (sqid, _cid, opcode) =>
      sqid > 0 && opcode === READ ? { kind: FAULT_STATUS, status: status | DNR } : null;
    expect(await codeOf(machine.disk('nvme0n1').read(64 * KIB, 4 * KIB))).toBe(code);
    const lines = log(machine).slice(-2);
    const sct = (status >> 8) & 7;
    expect(lines[0]).toMatch(
      new RegExp(
        `^nvme0n1: I/O Cmd\\(0x2\\) @ LBA 128, 8 blocks, I/O Error \\(sct 0x${sct.toString(16)} / sc 0x${(status & 0xff).toString(16)}\\)( DNR)? ?$`,
      ),
    );
    expect(lines[1]).toMatch(
      new RegExp(`^${words}, dev nvme0n1, sector 128 op 0x0:\\(READ\\) flags 0x[0-9a-f]+ phys_seg 1 prio class \\d$`),
    );
    faults.clear();
    expect((await machine.disk('nvme0n1').read(64 * KIB, 4 * KIB)).length).toBe(4 * KIB);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('without DNR is retried max_retries times', async () => {
    const faults = new Faults();
    const machine = await running({}, { cpus: 1 }, { faultPlans: [faults] });
    let tries = 0;
    const INTERNAL = 0x06;
    faults.onCommand = (sqid, _cid, opcode) => {
      if (sqid === 0 || opcode !== WRITE) return null;
      tries++;
      return { kind: FAULT_STATUS, status: INTERNAL };
    };
    expect(await codeOf(machine.disk('nvme0n1').write(0, pattern(512)))).toBe('EIO');
    expect(tries).toBe(6);
    faults.onCommand = (sqid, _cid, opcode) =>
      sqid > 0 && opcode === WRITE && tries++ < 8 ? { kind: FAULT_STATUS, status: INTERNAL } : null;
    await machine.disk('nvme0n1').write(0, pattern(512));
    expect(tries).toBe(9);
    expect(await leftBehind(machine)).toEqual([]);
  });

  // @acceptance 115
  it('completed under a wrong identifier is reported, and ends by its time-out', async () => {
    const faults = new Faults();
    const machine = await running({}, { cpus: 1 }, { faultPlans: [faults] });
    let wrong = 0;
    faults.onCompletion = (cqid, _sqid, cid) => (cqid === 1 && wrong++ === 0 ? { cid: cid ^ 0x1000 } : null);
    const data = pattern(4 * KIB, 9);
    await machine.disk('nvme0n1').write(0, data);
    const text = log(machine).join('\n');
    expect(text).toMatch(/request 0x[0-9a-f]+ genctr mismatch \(got 0x[0-9a-f]+ expected 0x[0-9a-f]+\)/);
    expect(text).toMatch(/invalid id \d+ completed on queue 1/);
    expect(text).toMatch(/timeout, aborting req_op:WRITE\(1\) size:4096/);
    expect(firstDifference(await machine.disk('nvme0n1').read(0, data.length), data)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('a command that takes too long, in the words of each era', () => {
  /** The nvme lines of a write that hangs twice: an abort that does not help, then the reset. */
  async function hanging(profile: '6.12' | '6.1' | '4.13' | '4.10'): Promise<string[]> {
    const machine = await running({}, { cpus: 1, profile });
    await machine.settle();
    const { faults } = machine.device(NVME_BDF);
    await faults.set({
      faults: [
        { kind: 'hang', command: 'write', nth: 1 },
        { kind: 'status', command: 'abortCmd', status: 0 },
      ],
    });
    const from = log(machine).length;
    const data = pattern(4 * KIB, 5);
    const isOld = profile === '4.13' || profile === '4.10';
    // What is as old as its time-out is not sent again by the older kernels.
    expect(await codeOf(machine.disk('nvme0n1').write(0, data))).toBe(isOld ? 'EIO' : null);
    await faults.clear();
    if (isOld) await machine.disk('nvme0n1').write(0, data);
    expect(firstDifference(await machine.disk('nvme0n1').read(0, data.length), data)).toBe(-1);
    const lines = log(machine).slice(from);
    await machine.settle();
    expect(await leftBehind(machine)).toEqual([]);
    return lines.filter((line) => /timeout|Abort/.test(line));
  }

  // @acceptance 132
  it.each([
    [
      '6.12',
      [
        /^nvme nvme0: I\/O tag \d+ \([0-9a-f]{4}\) opcode 0x1 \(I\/O Cmd\) QID 1 timeout, aborting req_op:WRITE\(1\) size:4096$/,
        /^nvme nvme0: Abort status: 0x0$/,
        /^nvme nvme0: I\/O tag \d+ \([0-9a-f]{4}\) opcode 0x1 \(I\/O Cmd\) QID 1 timeout, reset controller$/,
      ],
    ],
    [
      '6.1',
      [
        /^nvme nvme0: I\/O \d+ \(I\/O Cmd\) QID 1 timeout, aborting$/,
        /^nvme nvme0: Abort status: 0x0$/,
        /^nvme nvme0: I\/O \d+ QID 1 timeout, reset controller$/,
      ],
    ],
    [
      '4.13',
      [
        /^nvme nvme0: I\/O \d+ QID 1 timeout, aborting$/,
        /^nvme nvme0: Abort status: 0x0$/,
        /^nvme nvme0: I\/O \d+ QID 1 timeout, reset controller$/,
      ],
    ],
    [
      '4.10',
      [
        /^nvme nvme0: I\/O \d+ QID 1 timeout, aborting$/,
        /^nvme nvme0: Abort status: 0x0$/,
        /^nvme nvme0: I\/O \d+ QID 1 timeout, reset controller$/,
      ],
    ],
  ] as const)('is aborted, then its controller is reset (%s)', async (profile, expected) => {
    const lines = await hanging(profile);
    expect(lines.length, lines.join('\n')).toBe(expected.length);
    expected.forEach((line, i) => {
      expect(lines[i]).toMatch(line);
    });
  });

  it.each(['6.12', '6.1', '4.13'] as const)('is found by polling (%s)', async (profile) => {
    const machine = await running({}, { cpus: 1, profile });
    await machine.settle();
    await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'interrupt-lost', qid: 1, nth: 1 }] });
    await machine.disk('nvme0n1').write(0, pattern(512));
    expect(log(machine).at(-1)).toMatch(/QID 1 timeout, completion polled$/);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('reads a function that is gone as all ones: the log says so with its advice, and the controller is given up', async () => {
    const machine = await running({}, { cpus: 1 });
    await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'gone', command: 'write' }] });
    expect(['EIO', 'ENODEV']).toContain(await codeOf(machine.disk('nvme0n1').write(0, pattern(512))));
    await machine.settle();
    const lines = log(machine).slice(-6);
    expect(lines).toContain('nvme nvme0: controller is down; will reset: CSTS=0xffffffff, PCI_STATUS=0xffff');
    expect(lines).toContain('nvme nvme0: Does your device have a faulty power saving mode enabled?');
    expect(lines).toContain('nvme nvme0: Disabling device after reset failure: -19');
    expect(machine.sysfs.read('/sys/class/nvme/nvme0/state')).toBe('dead\n');
    expect(await leftBehind(machine)).toEqual([]);
  });
});
