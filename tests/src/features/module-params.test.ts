import type { KernelProfile } from '@nvme-stack/kernel';
import type { Machine } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { codeOf, Faults, leftBehind, machineWith, SECOND_NS } from './bench.js';

const OLD = ['4.13', '4.10'] as const;
const NVME = '/sys/module/nvme/parameters';
const CORE = '/sys/module/nvme_core/parameters';

async function loaded(profile: KernelProfile = '6.12'): Promise<Machine> {
  const machine = await machineWith({}, { profile });
  await machine.modprobe('nvme');
  await machine.run(SECOND_NS);
  return machine;
}

/** Files of a module with what they hold. */
function shown(machine: Machine, path: string): Record<string, string> {
  return Object.fromEntries(
    machine.sysfs
      .list(path)
      .sort()
      .map((name) => [name, machine.sysfs.read(`${path}/${name}`).trimEnd()]),
  );
}

const MODERN = {
  io_queue_depth: '1024',
  max_host_mem_size_mb: '128',
  noacpi: 'N',
  poll_queues: '0',
  sgl_threshold: '32768',
  use_cmb_sqes: 'Y',
  use_threaded_interrupts: '0',
  write_queues: '0',
};
const MODERN_CORE = {
  admin_timeout: '60',
  apst_primary_latency_tol_us: '15000',
  apst_primary_timeout_ms: '100',
  apst_secondary_latency_tol_us: '100000',
  apst_secondary_timeout_ms: '2000',
  default_ps_max_latency_us: '100000',
  force_apst: 'N',
  io_timeout: '30',
  iopolicy: 'numa',
  max_retries: '5',
  multipath: 'Y',
  shutdown_timeout: '5',
};
const V4_10_CORE = { admin_timeout: '60', io_timeout: '30', max_retries: '5', shutdown_timeout: '5' };

describe('parameters', () => {
  it.each([
    ['6.12', MODERN, { ...MODERN_CORE, disable_pi_offsets: 'N' }],
    ['6.1', MODERN, MODERN_CORE],
    [
      '4.13',
      { max_host_mem_size_mb: '128', use_cmb_sqes: 'Y' },
      { ...V4_10_CORE, default_ps_max_latency_us: '100000', force_apst: 'N', streams: 'N' },
    ],
    ['4.10', { use_cmb_sqes: 'Y' }, V4_10_CORE],
  ] as const)('of both modules on %s are those of that kernel', async (profile, nvme, core) => {
    const machine = await loaded(profile);
    expect(shown(machine, NVME)).toEqual(nvme);
    expect(shown(machine, CORE)).toEqual(core);
  });

  it.each([
    ['6.12', 'queue-depth'],
    ['6.1', 'round-robin'],
  ] as const)('iopolicy takes the names of policies on %s, and multipath is settled', async (profile, last) => {
    const machine = await loaded(profile);
    const file = `${CORE}/iopolicy`;
    await machine.sysfs.write(file, `${last} or so\n`);
    expect(machine.sysfs.read(file)).toBe(`${last}\n`);
    expect(await codeOf(machine.sysfs.write(file, 'fastest'))).toBe('EINVAL');
    if (profile === '6.1') expect(await codeOf(machine.sysfs.write(file, 'queue-depth'))).toBe('EINVAL');
    expect(machine.sysfs.read(file)).toBe(`${last}\n`);
    expect(await codeOf(machine.sysfs.write(`${CORE}/multipath`, 'N'))).not.toBe(null);
  });

  it.each([
    ['io_queue_depth', ['1', '4096', '-1', 'many'], ['2', '4095']],
    ['write_queues', ['5', '-1', 'x'], ['0', '4']],
    ['poll_queues', ['5', '-1'], ['0', '4']],
    ['sgl_threshold', ['-1', 'x'], ['0', '4294967295']],
  ])('%s can be set while the module is loaded, within limits', async (name, refused, taken) => {
    const machine = await loaded();
    for (const text of refused) expect(await codeOf(machine.sysfs.write(`${NVME}/${name}`, text))).toBe('EINVAL');
    for (const text of taken) {
      await machine.sysfs.write(`${NVME}/${name}`, text);
      expect(machine.sysfs.read(`${NVME}/${name}`)).toBe(`${text}\n`);
    }
  });

  it.each(['use_threaded_interrupts', 'use_cmb_sqes', 'max_host_mem_size_mb', 'noacpi'])(
    '%s is for loading only',
    async (name) => {
      const machine = await loaded();
      expect(await codeOf(machine.sysfs.write(`${NVME}/${name}`, '0'))).toBe('EACCES');
    },
  );

  it('that are wrong keep the module out, with nothing half-built', async () => {
    const machine = await machineWith();
    for (const params of [{ io_queue_depth: 1 }, { poll_queues: 5 }, { write_queues: -1 }, { no_such: 1 }])
      expect(await codeOf(machine.modprobe('nvme', params))).toBe('EINVAL');
    expect(machine.sysfs.exists('/sys/module/nvme')).toBe(false);
    await machine.modprobe('nvme', { io_queue_depth: 2, poll_queues: 4, write_queues: 4 });
    expect(machine.queues('nvme0').length).toBe(1 + 4 + 4 + 4);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it.each(['max_retries', 'shutdown_timeout'])('%s of nvme_core holds a byte', async (name) => {
    const machine = await loaded();
    expect(await codeOf(machine.sysfs.write(`${CORE}/${name}`, '256'))).toBe('ERANGE');
    await machine.sysfs.write(`${CORE}/${name}`, '255');
    expect(machine.sysfs.read(`${CORE}/${name}`)).toBe('255\n');
  });

  it.each(OLD)('nvme_char_major is the major number of /dev/nvme0 on %s, and not to be seen', async (profile) => {
    const machine = await machineWith({}, { profile });
    await machine.modprobe('nvme_core', { nvme_char_major: 240 });
    await machine.modprobe('nvme');
    await machine.run(SECOND_NS);
    expect(machine.subsystems.deviceCore.statNode('/dev/nvme0').devt.major).toBe(240);
    expect(machine.procfs.read('/proc/devices')).toMatch(/^240 nvme$/m);
    expect(machine.sysfs.exists(`${CORE}/nvme_char_major`)).toBe(false);
    expect(await leftBehind(machine)).toEqual([]);
    expect(machine.procfs.read('/proc/devices')).not.toMatch(/^240 /m);
    expect(await codeOf(machine.modprobe('nvme_core', { nvme_char_major: 512 }))).toBe('EINVAL');
    expect(machine.sysfs.exists('/sys/module/nvme_core')).toBe(false);
  });

  it.each(['6.12', '6.1'] as const)('nvme_char_major is unknown to %s', async (profile) => {
    const machine = await machineWith({}, { profile });
    expect(await codeOf(machine.modprobe('nvme_core', { nvme_char_major: 240 }))).toBe('EINVAL');
  });

  it('write_queues and poll_queues take effect with the next reset', async () => {
    const machine = await machineWith();
    await machine.modprobe('nvme', { write_queues: 2, poll_queues: 2 });
    expect(machine.queues('nvme0').filter(({ polled }) => polled).length).toBe(2);
    await machine.sysfs.write(`${NVME}/poll_queues`, '1');
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    expect(machine.queues('nvme0').filter(({ polled }) => polled).length).toBe(1);
    expect(await leftBehind(machine)).toEqual([]);
  });

  it('max_retries says how often a failed command is sent again', async () => {
    const NAMESPACE_NOT_READY = 0x82;
    const READ = 2;
    const tries = async (max: number): Promise<number> => {
      const faults = new Faults();
      const machine = await machineWith({}, {}, { faultPlans: [faults] });
      await machine.modprobe('nvme_core', { max_retries: max });
      await machine.modprobe('nvme');
      let count = 0;
      faults.onCommand = (sqid, _cid, opcode) => {
        if (sqid === 0 || opcode !== READ) return null;
        count++;
        return { kind: 'status', status: NAMESPACE_NOT_READY };
      };
      expect(await codeOf(machine.disk('nvme0n1').read(0, 4096))).not.toBe(null);
      return count;
    };
    expect(await tries(0)).toBe(1);
    expect(await tries(3)).toBe(4);
  });
});
