import { KernelError } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { callTree, createTestCore } from './fixtures/test-core.js';
import type { Cdev, DeviceClass, FileOperations, OpenFile } from './ports.js';

async function controllerNode(ops: FileOperations = {}) {
  const test = createTestCore();
  const { core } = test;
  const cls: DeviceClass = { name: 'nvme', devUevent: () => ({ NVME_TRTYPE: 'pcie' }) };
  let released = 0;
  const dev = await test.run(async () => {
    core.classRegister(cls);
    test.kernel.live.baseline();
    const major = core.allocChrdevRegion('nvme', 4);
    return core.deviceInitialize({
      name: 'nvme0',
      parent: null,
      container: null,
      class: cls,
      devt: { major, minor: 0 },
      release: () => released++,
    });
  });
  const cdev: Cdev = { ops, container: { the: 'controller' } };
  return { ...test, dev, cdev, released: () => released };
}

describe('a character device', () => {
  it('reaches its driver through its node', async () => {
    const seen: unknown[] = [];
    const ops: FileOperations = {
      open: async (file: OpenFile) => void seen.push(['open', file.privateData, file.writable]),
      release: async () => void seen.push('release'),
      unlockedIoctl: async (_, command, argument) => {
        if (command !== 0x41) throw new KernelError('ENOTTY', 'unknown');
        (argument as { result: number }).result = 7;
        return 3;
      },
    };
    const { core, run, dev, cdev } = await controllerNode(ops);
    const argument = { result: 0 };
    await run(async () => {
      await core.cdevDeviceAdd(cdev, dev);
      const file = await core.open('/dev/nvme0', { write: true });
      expect(await core.ioctl(file, 0x41, argument)).toBe(3);
      await expect(core.ioctl(file, 0x42, null)).rejects.toMatchObject({ code: 'ENOTTY' });
      await core.close(file);
      await expect(core.ioctl(file, 0x41, argument)).rejects.toMatchObject({ code: 'EBADF' });
      await expect(core.close(file)).rejects.toMatchObject({ code: 'EBADF' });
    });
    expect(argument.result).toBe(7);
    expect(seen).toEqual([['open', cdev.container, true], 'release']);
  });

  it('is announced beneath cdev_device_add', async () => {
    const { core, run, dev, cdev, kernel } = await controllerNode();
    await run(() => core.cdevDeviceAdd(cdev, dev));
    expect(callTree(kernel.trace.entries, 'cdev_device_add').slice(0, 3)).toEqual([
      'cdev_device_add',
      '  device_add',
      '    kobject_uevent_env',
    ]);
    expect(core.uevents.at(-1)?.env).toMatchObject({ DEVNAME: 'nvme0', NVME_TRTYPE: 'pcie' });
  });

  it('outlives its removal while a file is open, but cannot be opened again', async () => {
    const { core, run, dev, cdev, kernel, released } = await controllerNode();
    await run(async () => {
      await core.cdevDeviceAdd(cdev, dev);
      const file = await core.open('/dev/nvme0', { write: false });
      await core.cdevDeviceDel(cdev, dev);
      core.putDevice(dev);
      expect(released()).toBe(0);
      await expect(core.open('/dev/nvme0', { write: false })).rejects.toMatchObject({ code: 'ENOENT' });
      await core.close(file);
    });
    expect(released()).toBe(1);
    expect(kernel.live.leaks()).toEqual([]);
  });

  it('is not left behind when its driver refuses to open it, or when it cannot be added', async () => {
    const refuse: FileOperations = {
      open: async () => {
        throw new KernelError('EBUSY', 'in reset');
      },
    };
    const { core, run, dev, cdev, kernel, faults } = await controllerNode(refuse);
    faults.set('kobject_add:nvme0', -12);
    await run(async () => {
      await expect(core.cdevDeviceAdd(cdev, dev)).rejects.toMatchObject({ code: 'ENOMEM' });
      faults.clear();
      await core.cdevDeviceAdd(cdev, dev);
      await expect(core.open('/dev/nvme0', { write: false })).rejects.toMatchObject({ code: 'EBUSY' });
      await core.cdevDeviceDel(cdev, dev);
      core.putDevice(dev);
    });
    expect(kernel.live.leaks()).toEqual([]);
  });

  it('fails to open as Linux does', async () => {
    const { core, run, dev } = await controllerNode();
    const open = (path: string) => run(() => core.open(path, { write: false }));
    await run(() => core.deviceAdd(dev));
    await expect(open('/dev/nvme0')).rejects.toMatchObject({ code: 'ENXIO' });
    await expect(open('/dev/nvme1')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(open('/dev/nvme0/x')).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(open('/etc/passwd')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('opens for others as its mode says, and for an administrator always', async () => {
    const { core, run, dev, cdev } = await controllerNode();
    await run(() => core.cdevDeviceAdd(cdev, dev));
    const open = (read: boolean, write: boolean, sysAdmin: boolean) =>
      run(async () => {
        const file = await core.open('/dev/nvme0', { read, write, sysAdmin });
        await core.close(file);
        return [file.readable, file.writable, file.sysAdmin];
      });
    expect(core.statNode('/dev/nvme0')).toEqual({ kind: 'char', mode: 0o600, devt: dev.devt });
    await expect(open(true, false, false)).rejects.toMatchObject({ code: 'EACCES' });
    expect(await open(true, true, true)).toEqual([true, true, true]);
    core.chmodNode('/dev/nvme0', 0o604);
    expect(await open(true, false, false)).toEqual([true, false, false]);
    await expect(open(true, true, false)).rejects.toMatchObject({ code: 'EACCES' });
    expect(() => core.chmodNode('/dev/nvme0', 0o1000)).toThrow('allowed are 0 to 0o777');
    expect(() => core.chmodNode('/dev/nvme9', 0o600)).toThrow('ENOENT');
  });

  it('takes the next free major number, and shows it in /proc/devices', async () => {
    const { core, run, kernel } = await controllerNode();
    await run(async () => {
      const generic = core.allocChrdevRegion('nvme-generic', 1);
      expect(generic).toBe(253);
      expect(core.registerBlkdev('blkext')).toBe(259);
      expect(() => core.registerBlkdev('blkext')).toThrow('EBUSY');
      expect(() => core.allocChrdevRegion('none', 0)).toThrow('EINVAL');
    });
    expect(kernel.procfs.read('/proc/devices')).toBe(
      'Character devices:\n253 nvme-generic\n254 nvme\n\nBlock devices:\n259 blkext\n',
    );
    core.unregisterChrdevRegion(254);
    await run(async () => expect(core.allocChrdevRegion('again', 1)).toBe(254));
  });

  it('keeps block and character numbers apart', async () => {
    const { core, run } = await controllerNode();
    const block: DeviceClass = { name: 'block' };
    await run(async () => {
      core.classRegister(block);
      const disk = core.deviceInitialize({
        name: 'd',
        parent: null,
        container: null,
        class: block,
        devt: { major: 254, minor: 0 },
      });
      await core.deviceAdd(disk);
      core.addNode(disk, { unlockedIoctl: async () => 5 }, null);
      const file = await core.open('/dev/d', { write: false });
      expect(await core.ioctl(file, 1, null)).toBe(5);
      await core.close(file);
      core.removeNode(disk);
      await expect(core.open('/dev/d', { write: false })).rejects.toMatchObject({ code: 'ENXIO' });
    });
  });
});
