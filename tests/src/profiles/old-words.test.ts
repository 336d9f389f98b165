/** What kernels 4.13 and 4.10 do and say otherwise than later ones, where a failure or an event leads there. */
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import { NVME_IOCTL_ADMIN_CMD } from '@nvme-stack/machine';
import { NVME_SC_ABORT_REQ } from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { codeOf, KIB, pattern, SECOND_NS } from '../features/bench.js';
import { ALL, adminOpcodes, during, events, leftBehind, log, NVME_BDF, running } from './bench.js';

const DISK = [{ sizeMiB: 8 }] as const;
const IDENTIFY = 0x06;
const ASYNC_EVENT = 0x0c;
const CHANGED_NAMESPACES = 0x02;
const SMART = 0x01;
const RESCAN = '/sys/class/nvme/nvme0/rescan_controller';

describe('Create I/O Submission Queue', () => {
  it.each<[KernelProfile, number]>([
    ['6.12', 1],
    ['6.1', 1],
    ['4.13', 1],
    // Contiguous, and of medium priority: there was no other user of the field.
    ['4.10', 5],
  ])('of %s has the flags %i', async (profile, flags) => {
    const { trace } = await running(profile, { cpus: 2 });
    expect(events(trace.entries, 'create_sq').map(({ qflags }) => qflags)).toEqual([flags, flags]);
  });
});

describe('I/O schedulers', () => {
  it.each<[KernelProfile, string]>([
    ['6.12', 'none [mq-deadline]'],
    ['4.13', 'none [mq-deadline]'],
    ['4.10', 'none'],
  ])('of one hardware queue on %s: %s', async (profile, text) => {
    const machine = await running(profile, { cpus: 1 });
    const file = '/sys/block/nvme0n1/queue/scheduler';
    expect(machine.sysfs.read(file).trim()).toMatch(new RegExp(text.replace(/[[\]]/g, '\\$&')));
    await codeOf(machine.sysfs.write(file, 'none'));
    await machine.disk('nvme0n1').write(0, pattern(64 * KIB));
    expect(await machine.disk('nvme0n1').read(0, 64 * KIB)).toEqual(pattern(64 * KIB));
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('a command that is as old as its time-out', () => {
  const ABORTED = 'nvme nvme0: completing aborted command with status: 0007';
  const ERROR = { '4.13': 'print_req_error: I/O error', '4.10': 'blk_update_request: I/O error' } as const;

  it.each(ALL.flatMap((profile) => [[profile, 'full'] as const, [profile, 'off'] as const]))(
    'is aborted; %s sends it again, or fails it (trace %s)',
    async (profile, trace) => {
      const machine = await running(profile, { cpus: 1, trace, nvme: [{ namespaces: DISK }] });
      await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'hang', command: 'write', nth: 1 }] });
      const isOld = profile === '4.13' || profile === '4.10';
      expect(await codeOf(machine.disk('nvme0n1').write(0, pattern(4 * KIB)))).toBe(isOld ? 'EIO' : null);
      const lines = log(machine);
      expect(lines.includes(ABORTED)).toBe(profile === '4.10');
      if (isOld) expect(lines.at(-1)).toBe(`${ERROR[profile]}, dev nvme0n1, sector 0`);
      expect(await leftBehind(machine)).toEqual([]);
    },
  );

  it.each(['4.13', '4.10'] as const)('alone is not sent again by %s: a young one is', async (profile) => {
    const machine = await running(profile, { cpus: 1, nvme: [{ namespaces: DISK }] });
    await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'status', command: 'write', status: 0x06, nth: 1 }] });
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB));
    // Also where the disk counts no I/O, and takes no time of it.
    await machine.sysfs.write('/sys/block/nvme0n1/queue/iostats', '0');
    await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'status', command: 'write', status: 0x06, nth: 1 }] });
    await machine.run(60 * SECOND_NS);
    await machine.disk('nvme0n1').write(0, pattern(4 * KIB, 1));
    expect(await machine.disk('nvme0n1').read(0, 4 * KIB)).toEqual(pattern(4 * KIB, 1));
    expect(await leftBehind(machine)).toEqual([]);
  });
});

describe('an event of the controller', () => {
  /** Log lines and commands that an event with this outcome leads to. */
  async function told(profile: KernelProfile, status: number, result: number) {
    const machine = await running(profile);
    const from = log(machine).length;
    const entries = await during(machine, async () => {
      await machine.task('interrupt', async ({ nvmeCore }) => {
        nvmeCore.nvmeCompleteAsyncEvent(nvmeCore.controllers[0], status, result);
      });
      await machine.settle();
    });
    const opcodes = adminOpcodes(entries);
    return { lines: log(machine).slice(from), scans: opcodes.includes(IDENTIFY), asks: opcodes.includes(ASYNC_EVENT) };
  }

  it.each(['4.13', '4.10'] as const)('leads %s to a scan only', async (profile) => {
    expect(await told(profile, 0, CHANGED_NAMESPACES)).toEqual({
      lines: ['nvme nvme0: rescanning'],
      scans: true,
      asks: true,
    });
    expect(await told(profile, 0, SMART | (1 << 8))).toEqual({
      lines: ['nvme nvme0: async event result 00000101'],
      scans: false,
      asks: true,
    });
  });

  it.each<[KernelProfile, boolean]>([
    ['6.12', false],
    ['4.13', true],
    ['4.10', true],
  ])('that was aborted is asked for again by %s: %s', async (profile, asks) => {
    expect(await told(profile, NVME_SC_ABORT_REQ, 0)).toEqual({ lines: [], scans: false, asks });
  });
});

describe('a failure in the words of its kernel', () => {
  it.each<[KernelProfile, string]>([
    ['6.12', 'nvme nvme0'],
    ['4.13', 'nvme nvme0'],
    ['4.10', `nvme ${NVME_BDF}`],
  ])('%s: a count of queues that is refused is told of %s', async (profile, name) => {
    const faults = { faults: [{ kind: 'status', command: 'setFeatures', fid: 7, status: 0x06 }] } as const;
    const machine = await running(profile, { nvme: [{ faults, namespaces: DISK }] });
    expect(log(machine)).toContain(`${name}: Could not set queue count (6)`);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each<[KernelProfile, string]>([
    ['6.12', 'nvme nvme0: Identify namespace failed (6)'],
    ['4.13', `nvme ${NVME_BDF}: nvme_revalidate_ns: Identify failure`],
    ['4.10', `nvme ${NVME_BDF}: nvme_revalidate_ns: Identify failure`],
  ])('%s: a namespace that is not identified: %s', async (profile, line) => {
    const machine = await running(profile, { nvme: [{ namespaces: DISK }] });
    const rule = { kind: 'status', command: 'identify', cns: 0, status: 0x06 } as const;
    await machine.device(NVME_BDF).faults.set({ faults: [rule] });
    await machine.sysfs.write(RESCAN, '1');
    await machine.settle();
    expect(log(machine)).toContain(line);
    // An old kernel takes any failure for the end of the namespace.
    expect(machine.sysfs.exists('/sys/block/nvme0n1')).toBe(profile === '6.12');
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each<[KernelProfile, string | null]>([
    ['6.12', 'EIO'],
    ['4.13', 'EOPNOTSUPP'],
    ['4.10', 'EIO'],
  ])('%s: status 183h is %s', async (profile, code) => {
    const machine = await running(profile, { nvme: [{ namespaces: DISK }] });
    const rule = { kind: 'status', command: 'write', status: 0x4183 } as const;
    await machine.device(NVME_BDF).faults.set({ faults: [rule] });
    expect(await codeOf(machine.disk('nvme0n1').write(0, pattern(4 * KIB)))).toBe(code);
  });
});

describe('the uuid file', () => {
  const UUID = '00112233-4455-6677-8899-aabbccddeeff';
  const NGUID = '0f1e2d3c4b5a69788796a5b4c3d2e1f0';
  /** A controller whose identifiers no quirk leaves out. */
  const OTHER = { vendorId: 0x144d, deviceId: 0xa808 };
  const NGUID_AS_UUID = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';

  it.each<[KernelProfile, string]>([
    ['6.12', UUID],
    ['4.13', UUID],
    ['4.10', NGUID_AS_UUID],
  ])('of %s shows %s where there are both', async (profile, text) => {
    const namespaces = [{ sizeMiB: 8, uuid: UUID, nguid: NGUID }];
    const machine = await running(profile, { nvme: [{ pci: OTHER, namespaces }] });
    expect(machine.sysfs.read('/sys/block/nvme0n1/uuid').trim()).toBe(text);
  });
});

describe('/dev/nvme0 while its controller is reset', () => {
  it.each<[KernelProfile, string | null]>([
    ['6.12', 'EAGAIN'],
    ['4.13', null],
    ['4.10', null],
  ])('is opened on %s: %s', async (profile, code) => {
    const machine = await running(profile, { nvme: [{ readyDelayNs: 5e6, namespaces: DISK }] });
    const reset = machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await machine.run(1e6);
    const data = new Uint8Array(4096);
    expect(await codeOf(machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: IDENTIFY, cdw10: 1, data }))).toBe(
      code,
    );
    await reset;
    expect(await leftBehind(machine)).toEqual([]);
  });
});
