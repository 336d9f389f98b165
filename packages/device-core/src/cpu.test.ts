import { createTestKernel } from '@nvme-stack/kernel/testing';
import { createWorkqueues } from '@nvme-stack/workqueue';
import { describe, expect, it } from 'vitest';
import { createDeviceCore } from './index.js';

const DIR = '/sys/devices/system/cpu';

function setUp(nrCpus = 4) {
  const { kernel, door } = createTestKernel({ nrCpus });
  const core = createDeviceCore({ kernel, workqueues: createWorkqueues({ kernel }) });
  const write = (path: string, text: string) => door.call('test', () => core.sysfs.write(`${DIR}/${path}`, text));
  return { kernel, core, write, read: (path: string) => core.sysfs.read(`${DIR}/${path}`) };
}

describe('the files of the CPUs', () => {
  it('say which there are and which are on', async () => {
    const { core, read, write } = setUp();
    const lists = () => ['possible', 'present', 'online', 'offline'].map(read);
    expect(lists()).toEqual(['0-3\n', '0-3\n', '0-3\n', '\n']);
    await write('cpu2/online', '0\n');
    expect([lists(), read('cpu2/online')]).toEqual([['0-3\n', '0-3\n', '0-1,3\n', '2\n'], '0\n']);
    expect(core.sysfs.stat(`${DIR}/cpu2/online`)).toEqual({ kind: 'file', mode: 0o644 });
    expect(core.sysfs.list(DIR)).toEqual(['cpu0', 'cpu1', 'cpu2', 'cpu3', 'offline', 'online', 'possible', 'present']);
  });

  it('switch them, and tell user space of a change and of nothing else', async () => {
    const { core, kernel, write } = setUp();
    for (const text of ['0', 'off', 'n', '1\n', 'Y', 'on']) await write('cpu1/online', text);
    expect(core.uevents.map(({ action, devpath, env }) => [action, devpath, env.SUBSYSTEM])).toEqual([
      ['offline', '/devices/system/cpu/cpu1', 'cpu'],
      ['online', '/devices/system/cpu/cpu1', 'cpu'],
    ]);
    const functions = kernel.trace.entries.filter(({ kind }) => kind === 'function');
    expect(functions.slice(0, 3).map(({ depth, symbol }) => `${depth} ${symbol}`)).toEqual([
      '0 device_offline',
      '1 cpu_down',
      '1 kobject_uevent_env',
    ]);
  });

  it('refuse what is not a switch, the boot CPU, and what a subsystem refuses', async () => {
    const { core, kernel, read, write } = setUp();
    await expect(write('cpu1/online', '2')).rejects.toThrow('"2"; allowed: 0, 1: EINVAL');
    await expect(write('cpu0/online', '0')).rejects.toThrow('ENOENT');
    await expect(write('online', '1')).rejects.toThrow('EACCES');
    const step = kernel.cpus.register({
      name: 'refuses',
      teardown: () => {
        throw new Error('no');
      },
    });
    await expect(write('cpu1/online', '0')).rejects.toThrow('no');
    expect([read('cpu1/online'), core.uevents]).toEqual(['1\n', []]);
    step();
    await write('cpu1/online', '0');
    expect(read('cpu1/online')).toBe('0\n');
  });
});
