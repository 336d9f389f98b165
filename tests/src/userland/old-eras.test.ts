import { NVME_IOCTL_ADMIN_CMD, NVME_IOCTL_ADMIN64_CMD, NVME_IOCTL_IO64_CMD_VEC } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { stateOf } from '../controller-state.js';
import { codeOf, running } from '../features/bench.js';

describe.each(['4.13', '4.10'] as const)('userland on profile %s', (profile) => {
  it('has the nodes and ioctls of its time', async () => {
    const machine = await running({}, { profile });
    await machine.settle();
    expect(machine.subsystems.deviceCore.listNodes().filter((name) => /^n[gv]/.test(name))).toEqual([
      'nvme0',
      'nvme0n1',
    ]);
    const identify = () => ({ opcode: 6, cdw10: 1, data: new Uint8Array(4096) });
    expect(await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, identify())).toBe(0);
    expect(await codeOf(machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN64_CMD, identify()))).toBe('ENOTTY');
    expect(await codeOf(machine.ioctl('/dev/nvme0n1', NVME_IOCTL_IO64_CMD_VEC, { opcode: 2, nsid: 1 }))).toBe('ENOTTY');
  });

  it('has no trace events of nvme', async () => {
    const machine = await running({}, { profile, trace: 'full' });
    await machine.settle();
    await machine.disk('nvme0n1').read(0, 4096);
    const events = machine.trace.entries.filter(({ kind }) => kind !== 'function').map(({ symbol }) => symbol);
    expect(events).toContain('block_rq_issue');
    expect(events.filter((name) => name.startsWith('nvme_'))).toEqual([]);
  });

  it('shows neither hwmon nor subsystems', async () => {
    const machine = await running({}, { profile });
    await machine.settle();
    for (const path of ['/sys/class/nvme-subsystem', '/sys/class/nvme-generic', '/sys/class/hwmon/hwmon0'])
      expect([path, machine.sysfs.exists(path)]).toEqual([path, false]);
    expect(stateOf(machine)).toBe('live');
    expect(machine.sysfs.exists('/sys/class/nvme/nvme0/subsysnqn')).toBe(profile === '4.13');
  });
});
