/** What a failed command says in the log and means to its caller, and when it is sent again: in each era. */
import { type Machine, PROFILES } from '@nvme-stack/machine';
import { NVME_IOCTL_ADMIN_CMD } from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { codeOf, firstDifference, KIB, leftBehind, log, NVME_BDF, pattern, running, SECOND_NS } from './bench.js';
import { events, mark } from './device-events.js';

const CTRL = '/sys/class/nvme/nvme0';
const DNR = 0x4000;
const CRD_SHIFT = 11;
const INTERNAL = 0x06;
const GET_FEATURES = 0x0a;
const KEEP_ALIVE = 0x18;
const HOST_BEHAVIOR = 0x16;
const HOUR_NS = 3600e9;

type Profile = (typeof PROFILES)[number];

async function bench(profile: Profile, nvme: Parameters<typeof running>[0] = {}): Promise<Machine> {
  const machine = await running(nvme, { cpus: 1, profile, trace: 'full' });
  await machine.settle();
  return machine;
}

/** The errno and the lines of a read that fails for good with `status`. */
async function failingRead(profile: Profile, status: number): Promise<{ code: string | null; lines: string[] }> {
  const machine = await bench(profile);
  await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'status', command: 'read', status: status | DNR }] });
  const from = log(machine).length;
  const code = await codeOf(machine.disk('nvme0n1').read(64 * KIB, 4 * KIB));
  const lines = log(machine).slice(from);
  await machine.device(NVME_BDF).faults.clear();
  expect(await leftBehind(machine)).toEqual([]);
  return { code, lines };
}

const NVME_LINE = 'nvme0n1: I/O Cmd(0x2) @ LBA 128, 8 blocks, I/O Error';
const PLACE = 'dev nvme0n1, sector 128';
const TAIL = 'op 0x0:(READ) flags 0x800 phys_seg 1 prio class 2';

describe('a read that fails', () => {
  it.each<[Profile, number, string, string[]]>([
    ['6.12', 0x281, 'ENODATA', [`${NVME_LINE} (sct 0x2 / sc 0x81) DNR `, `critical medium error, ${PLACE} ${TAIL}`]],
    ['6.12', 0x083, 'EBADE', [`${NVME_LINE} (sct 0x0 / sc 0x83) DNR `, `reservation conflict error, ${PLACE} ${TAIL}`]],
    ['6.1', 0x281, 'ENODATA', [`${NVME_LINE} (sct 0x2 / sc 0x81) DNR `, `critical medium error, ${PLACE} ${TAIL}`]],
    ['6.1', 0x083, 'EBADE', [`${NVME_LINE} (sct 0x0 / sc 0x83) DNR `, `critical nexus error, ${PLACE} ${TAIL}`]],
    ['4.13', 0x281, 'ENODATA', [`print_req_error: critical medium error, ${PLACE}`]],
    ['4.13', 0x083, 'EIO', [`print_req_error: I/O error, ${PLACE}`]],
    ['4.13', 0x080, 'EIO', [`print_req_error: I/O error, ${PLACE}`]],
    ['4.10', 0x281, 'EIO', [`blk_update_request: I/O error, ${PLACE}`]],
    ['4.10', 0x081, 'ENOSPC', [`blk_update_request: critical space allocation error, ${PLACE}`]],
  ])('has the lines and the errno of its era (%s, status %i)', async (profile, status, code, lines) => {
    expect(await failingRead(profile, status)).toEqual({ code, lines });
  });
});

describe('an administrator’s command that fails', () => {
  /** Asks for a feature that there is not. */
  async function refused(machine: Machine): Promise<string[]> {
    const from = log(machine).length;
    const status = await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: GET_FEATURES, cdw10: 0x3f });
    expect(status).not.toBe(0);
    return log(machine).slice(from);
  }

  it.each(PROFILES)('is its sender’s affair, not the log’s (%s)', async (profile) => {
    const machine = await bench(profile);
    expect(await refused(machine)).toEqual([]);
  });

  it('is logged with its dwords where the user wants it (6.12)', async () => {
    const machine = await bench('6.12');
    await machine.sysfs.write(`${CTRL}/passthru_err_log_enabled`, 'on');
    expect(await refused(machine)).toEqual([
      'nvme0: Admin Cmd(0xa), I/O Error (sct 0x0 / sc 0x2) DNR cdw10=0x3f cdw11=0x0 cdw12=0x0 cdw13=0x0 cdw14=0x0 cdw15=0x0',
    ]);
    await machine.sysfs.write(`${CTRL}/passthru_err_log_enabled`, 'off');
    expect(await refused(machine)).toEqual([]);
  });
});

describe('a completion with Command Retry Delay', () => {
  /** What a write takes whose first try fails with CRD `crd`. */
  async function timeOfRetry(profile: Profile, crd: number): Promise<number> {
    const machine = await bench(profile, { retryDelays: [5, 20, 70] });
    const status = INTERNAL | (crd << CRD_SHIFT);
    await machine.device(NVME_BDF).faults.set({ faults: [{ kind: 'status', command: 'write', status, nth: 1 }] });
    const data = pattern(4 * KIB, crd);
    const from = machine.nowNs;
    await machine.disk('nvme0n1').write(0, data);
    const tookNs = machine.nowNs - from;
    await machine.device(NVME_BDF).faults.clear();
    expect(firstDifference(await machine.disk('nvme0n1').read(0, data.length), data)).toBe(-1);
    expect(await leftBehind(machine)).toEqual([]);
    return tookNs;
  }

  it.each<[Profile, number, number]>([
    ['6.12', 0, 0],
    ['6.12', 1, 0.5],
    ['6.12', 2, 2],
    ['6.12', 3, 7],
    ['6.1', 1, 0.5],
    ['6.1', 3, 7],
    // Kernels before 5.0 do not know of it.
    ['4.13', 3, 0],
    ['4.10', 3, 0],
  ])('is sent again after the time that CRDT names (%s, CRD %i: %d s)', async (profile, crd, seconds) => {
    const tookNs = await timeOfRetry(profile, crd);
    expect(tookNs).toBeGreaterThanOrEqual(seconds * SECOND_NS);
    expect(tookNs).toBeLessThan(seconds * SECOND_NS + 20e6);
  });

  /** Advanced Command Retry Enable, as the controller has it. */
  async function acre(profile: Profile, retryDelays: number[]): Promise<number | undefined> {
    const machine = await bench(profile, { retryDelays });
    const data = new Uint8Array(512);
    await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, { opcode: GET_FEATURES, cdw10: HOST_BEHAVIOR, data });
    return data[0];
  }

  it('is turned on by the host where the controller has delays and the kernel knows of them', async () => {
    expect(await acre('6.12', [5])).toBe(1);
    expect(await acre('6.1', [5])).toBe(1);
    expect(await acre('6.12', [])).toBe(0);
    expect(await acre('4.13', [5])).toBe(0);
  });
});

describe('Keep Alive', () => {
  // A PCI controller has KATO 0 unless a user sets it: its host would notice by CSTS.
  it.each(PROFILES)('is never sent to a PCI controller (%s)', async (profile) => {
    const machine = await bench(profile);
    const from = mark(machine);
    await machine.run(HOUR_NS);
    const opcodes = events(machine, 'pci_nvme_admin_cmd', from).map(([, , opcode]) => opcode);
    expect(opcodes).not.toContain(KEEP_ALIVE);
    if (machine.sysfs.exists(`${CTRL}/kato`)) expect(machine.sysfs.read(`${CTRL}/kato`)).toBe('0\n');
    expect(await leftBehind(machine)).toEqual([]);
  });
});
