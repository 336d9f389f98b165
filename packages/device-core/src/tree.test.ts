import { sleepNs } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestCore } from './fixtures/test-core.js';
import type { Attribute, DeviceClass } from './ports.js';
import { addTestDevice, TestBus, testDriver } from './testing.js';

/** The devices of a machine with one controller, as Linux names and nests them. */
async function nvmeTree() {
  const test = createTestCore();
  const { core } = test;
  const pci = new TestBus('pci');
  const nvme: DeviceClass = { name: 'nvme', devUevent: () => ({ NVME_TRTYPE: 'pcie' }) };
  const generic: DeviceClass = { name: 'nvme-generic' };
  const block: DeviceClass = { name: 'block' };
  const made = await test.run(async () => {
    core.busRegister(pci);
    for (const cls of [nvme, generic, block]) core.classRegister(cls);
    test.kernel.live.baseline();
    const root = core.deviceInitialize({ name: 'pci0000:00', parent: null, container: null });
    await core.deviceAdd(root);
    const fn = await addTestDevice(core, pci, '0000:00:04.0', 'nvme', {
      parent: root,
      numaNode: 1,
      uevent: () => ({ PCI_SLOT_NAME: '0000:00:04.0' }),
    });
    const add = async (name: string, parent: typeof fn, cls: DeviceClass, major: number, type?: string) => {
      const dev = core.deviceInitialize({ name, parent, container: null, class: cls, devt: { major, minor: 0 }, type });
      await core.deviceAdd(dev);
      return dev;
    };
    const ctrl = await add('nvme0', fn, nvme, 246);
    const disk = await add('nvme0n1', ctrl, block, 259, 'disk');
    const ng = await add('ng0n1', ctrl, generic, 245);
    return { root, fn, ctrl, disk, ng };
  });
  return { ...test, ...made, pci };
}

describe('sysfs', () => {
  it('has the directories and links Linux 6.1 shows for a controller', async () => {
    const { core } = await nvmeTree();
    const { sysfs } = core;
    const links = [
      '/sys/class/nvme/nvme0/device',
      '/sys/class/nvme-generic/ng0n1',
      '/sys/devices/pci0000:00/0000:00:04.0/nvme/nvme0/ng0n1/subsystem',
      '/sys/devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1/device',
      '/sys/bus/pci/devices/0000:00:04.0',
      '/sys/dev/char/246:0',
      '/sys/dev/block/259:0',
    ];
    expect(links.map((link) => sysfs.readlink(link))).toEqual([
      '../../../0000:00:04.0',
      '../../devices/pci0000:00/0000:00:04.0/nvme/nvme0/ng0n1',
      '../../../../../../class/nvme-generic',
      '../../nvme0',
      '../../../devices/pci0000:00/0000:00:04.0',
      '../../devices/pci0000:00/0000:00:04.0/nvme/nvme0',
      '../../devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1',
    ]);
    expect(sysfs.read('/sys/class/nvme/nvme0/dev')).toBe('246:0\n');
    expect(sysfs.read('/sys/class/nvme/nvme0/uevent')).toBe('MAJOR=246\nMINOR=0\nDEVNAME=nvme0\nNVME_TRTYPE=pcie\n');
    expect(sysfs.read('/sys/class/block/nvme0n1/uevent')).toBe('MAJOR=259\nMINOR=0\nDEVNAME=nvme0n1\nDEVTYPE=disk\n');
    expect(sysfs.read('/sys/bus/pci/devices/0000:00:04.0/power/runtime_status')).toBe('active\n');
    expect(core.listNodes()).toEqual(['ng0n1', 'nvme0', 'nvme0n1']);
  });

  it('tells user space of each device with its numbers and a rising SEQNUM', async () => {
    const { core, ctrl } = await nvmeTree();
    const event = core.uevents.find(({ devpath }) => devpath.endsWith('/nvme0'));
    expect(event).toMatchObject({ action: 'add', devpath: '/devices/pci0000:00/0000:00:04.0/nvme/nvme0' });
    expect(Object.entries(event?.env ?? {}).map(([key, value]) => `${key}=${value}`)).toEqual([
      'ACTION=add',
      'DEVPATH=/devices/pci0000:00/0000:00:04.0/nvme/nvme0',
      'SUBSYSTEM=nvme',
      'MAJOR=246',
      'MINOR=0',
      'DEVNAME=nvme0',
      'NVME_TRTYPE=pcie',
      `SEQNUM=${core.uevents.indexOf(event as never) + 1}`,
    ]);
    expect(core.uevents.map(({ env }) => Number(env.SEQNUM))).toEqual(core.uevents.map((_, i) => i + 1));
    expect(ctrl.numaNode).toBe(1);
  });

  it('keeps nothing of devices that have gone, not even the directory of their class', async () => {
    const { core, run, root, fn, ctrl, disk, ng, kernel } = await nvmeTree();
    expect(core.deviceChildren(root)).toEqual([fn, ctrl, disk, ng]);
    await run(async () => {
      for (const dev of [ng, disk, ctrl]) {
        await core.deviceDel(dev);
        core.putDevice(dev);
      }
    });
    expect(core.sysfs.list(fn.kobj.path)).toEqual(['power', 'subsystem', 'uevent']);
    expect(core.sysfs.list('/sys/class/nvme')).toEqual([]);
    expect(core.sysfs.list('/sys/dev/char')).toEqual([]);
    await run(async () => {
      for (const dev of [fn, root]) {
        await core.deviceDel(dev);
        core.putDevice(dev);
      }
    });
    expect(core.uevents.filter(({ action }) => action === 'remove')).toHaveLength(4);
    expect(kernel.live.leaks()).toEqual([]);
  });

  it('refuses a path or an access as the file system does', async () => {
    const { core, run } = await nvmeTree();
    const code = (step: () => unknown): unknown => {
      try {
        return step();
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    const { sysfs } = core;
    expect(code(() => sysfs.read('/sys/class/nvme/nvme1'))).toBe('ENOENT');
    expect(code(() => sysfs.read('/proc/version'))).toBe('ENOENT');
    expect(code(() => sysfs.read('/sys/class/nvme'))).toBe('EISDIR');
    expect(code(() => sysfs.read('/sys/class/nvme/nvme0/dev/x'))).toBe('ENOTDIR');
    expect(code(() => sysfs.read('/sys/bus/pci/drivers_probe'))).toBe('EACCES');
    expect(code(() => sysfs.readlink('/sys/class/nvme'))).toBe('EINVAL');
    expect(code(() => sysfs.list('/sys/class/nvme/nvme0/dev'))).toBe('ENOTDIR');
    const write = (path: string) => run(() => sysfs.write(path, 'x'));
    await expect(write('/sys/class/nvme/nvme0/dev')).rejects.toMatchObject({ code: 'EACCES' });
    await expect(write('/sys/class/nvme')).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(write('/sys/class/nvme/nvme0/power/control')).rejects.toMatchObject({ code: 'EINVAL' });
  });

  it('sends a synthetic event for what is written to a uevent file', async () => {
    const { core, run, dmesg } = await nvmeTree();
    const uuid = '01234567-89ab-cdef-0123-456789abcdef';
    await run(() => core.sysfs.write('/sys/class/nvme/nvme0/uevent', `change ${uuid} A=1\n`));
    expect(core.uevents.at(-1)).toMatchObject({ action: 'change', env: { SYNTH_UUID: uuid, SYNTH_ARG_A: '1' } });
    const bad = run(() => core.sysfs.write('/sys/class/nvme/nvme0/uevent', 'explode'));
    await expect(bad).rejects.toMatchObject({ code: 'EINVAL' });
    expect(dmesg()).toEqual(['nvme nvme0: uevent: failed to send synthetic uevent: -22']);
  });

  it('makes a group completely or not at all', async () => {
    const { core, run, ctrl } = await nvmeTree();
    const file = (name: string): Attribute => ({ name, mode: 0o444, show: () => `${name}\n` });
    const [a, b, hidden] = [file('a'), file('b'), file('hidden')];
    await run(async () => {
      core.sysfsCreateFile(ctrl.kobj, b);
      expect(() => core.sysfsCreateGroup(ctrl.kobj, { attributes: [a, b] })).toThrow('EEXIST');
      expect(core.sysfs.exists('/sys/class/nvme/nvme0/a')).toBe(false);
      core.sysfsCreateGroup(ctrl.kobj, {
        name: 'g',
        attributes: [a, hidden],
        isVisible: (attribute) => attribute !== hidden,
      });
    });
    expect(core.sysfs.list('/sys/class/nvme/nvme0/g')).toEqual(['a']);
    await run(async () => core.sysfsRemoveGroup(ctrl.kobj, { name: 'g', attributes: [a, hidden] }));
    expect(core.sysfs.exists('/sys/class/nvme/nvme0/g')).toBe(false);
  });

  it.each([
    'kobject_add:x',
    'sysfs_create_link:x/subsystem',
    'sysfs_create_file:x/uevent',
    'sysfs_create_group:x/power',
    'sysfs_create_link:char/9:9',
  ])('a device that fails at %s leaves nothing behind', async (point) => {
    const { core, run, fn, kernel, faults } = await nvmeTree();
    const cls: DeviceClass = { name: 'x-class' };
    const before = await run(async () => {
      core.classRegister(cls);
      kernel.live.baseline();
      return core.sysfs.list(fn.kobj.path);
    });
    faults.set(point, -12);
    await run(async () => {
      const dev = core.deviceInitialize({
        name: 'x',
        parent: fn,
        container: null,
        class: cls,
        devt: { major: 9, minor: 9 },
      });
      await expect(core.deviceAdd(dev)).rejects.toMatchObject({ code: 'ENOMEM' });
      core.putDevice(dev);
    });
    expect(core.sysfs.list(fn.kobj.path)).toEqual(before);
    expect(core.sysfs.list('/sys/class/x-class')).toEqual([]);
    expect(core.sysfs.list('/sys/dev/char')).toEqual(['245:0', '246:0']);
    expect(core.listNodes()).not.toContain('x');
    expect(kernel.live.leaks()).toEqual([]);
  });

  it('says in the log which name was taken', async () => {
    const { core, run, fn, pci, dmesg } = await nvmeTree();
    await run(async () => {
      const twin = core.deviceInitialize({ name: fn.name, parent: fn.parent, container: null, bus: pci });
      await expect(core.deviceAdd(twin)).rejects.toMatchObject({ code: 'EEXIST' });
      core.putDevice(twin);
    });
    expect(dmesg()[0]).toBe("sysfs: cannot create duplicate filename '/devices/pci0000:00/0000:00:04.0'");
    expect(core.sysfs.exists(fn.kobj.path)).toBe(true);
    expect(core.busDevices(pci)).toEqual([fn]);
  });

  it('waits for a store under way before the device is gone, but not for its own', async () => {
    const { core, run, door, fn, ctrl, disk, ng } = await nvmeTree();
    const order: string[] = [];
    let open: () => void = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const slow: Attribute = {
      name: 'slow',
      mode: 0o200,
      store: async () => {
        await core.kernel.ex.hostWait(gate);
        order.push('stored');
      },
    };
    const removeSelf: Attribute = { name: 'remove', mode: 0o200, store: () => core.deviceDel(fn) };
    await run(async () => {
      core.sysfsCreateFile(ctrl.kobj, slow);
      core.sysfsCreateFile(fn.kobj, removeSelf);
      for (const dev of [disk, ng]) await core.deviceDel(dev);
    });
    const storing = door.call('echo', () => core.sysfs.write('/sys/class/nvme/nvme0/slow', '1'));
    const deleting = door.call('delete', async () => {
      await core.deviceDel(ctrl);
      order.push('deleted');
    });
    open();
    await Promise.all([storing, deleting]);
    expect(order).toEqual(['stored', 'deleted']);
    await run(() => core.sysfs.write(`${fn.kobj.path}/remove`, '1'));
    expect(fn.registered).toBe(false);
  });

  it('links a driver and its module when the module has a directory', async () => {
    const { core, run, pci } = await nvmeTree();
    await run(async () => {
      const top = core.kobjectCreate('module', null);
      const mod = core.kobjectCreate('nvme', top);
      const drv = testDriver(pci, 'nvme');
      await core.driverRegister(drv);
      expect(core.sysfs.readlink('/sys/module/nvme/drivers/pci:nvme')).toBe('../../../bus/pci/drivers/nvme');
      expect(core.sysfs.readlink('/sys/bus/pci/drivers/nvme/module')).toBe('../../../../module/nvme');
      await core.driverUnregister(drv);
      expect(core.sysfs.list('/sys/module/nvme/drivers')).toEqual([]);
      core.kobjectDel(mod);
    });
    expect(core.sysfs.list('/sys/module')).toEqual([]);
  });
});

describe('a file that asks its device', () => {
  it('is shown as it was by read, and as it is by cat', async () => {
    const { core, run, kernel } = createTestCore();
    let shown = 1;
    const kobj = core.kobjectCreate('thing', null);
    core.sysfsCreateFile(kobj, {
      name: 'value',
      mode: 0o444,
      show: () => `${shown}\n`,
      fetch: async () => {
        await sleepNs({ kernel }, 1000);
        shown++;
      },
    });
    expect(core.sysfs.read('/sys/thing/value')).toBe('1\n');
    expect(await run(() => core.sysfs.cat('/sys/thing/value'))).toBe('2\n');
    expect(core.sysfs.read('/sys/thing/value')).toBe('2\n');
    await expect(run(() => core.sysfs.cat('/sys/thing'))).rejects.toMatchObject({ code: 'EISDIR' });
  });
});

describe('a device that is not complete yet', () => {
  it('is not spoken of', async () => {
    const { core, run } = createTestCore();
    const cls: DeviceClass = { name: 'shy' };
    await run(async () => {
      core.classRegister(cls);
      const dev = core.deviceInitialize({ name: 'quiet0', parent: null, container: null, class: cls });
      dev.ueventSuppress = true;
      await core.deviceAdd(dev);
      expect(core.uevents.some(({ devpath }) => devpath.endsWith('/quiet0'))).toBe(false);
      dev.ueventSuppress = false;
      core.deviceUevent(dev, 'add');
      expect(core.uevents.at(-1)).toMatchObject({ action: 'add', env: { SUBSYSTEM: 'shy' } });
    });
  });
});
