import { createDeviceCore } from '@nvme-stack/device-core';
import { KernelError, type KernelOptions, type KernelProfile, sleepNs, traced } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import { createWorkqueues } from '@nvme-stack/workqueue';
import { describe, expect, it } from 'vitest';
import { createModules } from './index.js';
import type { ModuleDefinition, ModuleParams } from './ports.js';

function loader(options: Partial<KernelOptions> = {}) {
  const { kernel, door } = createTestKernel(options);
  const workqueues = createWorkqueues({ kernel });
  const deviceCore = createDeviceCore({ kernel, workqueues });
  const modules = createModules({ kernel, deviceCore, workqueues });
  kernel.live.baseline();
  const run = <T>(body: () => Promise<T>): Promise<T> => door.call('insmod', body);
  return { kernel, door, workqueues, deviceCore, modules, run, sysfs: deviceCore.sysfs };
}

/** A module that notes what is called. */
function moduleNamed(name: string, log: string[], more: Partial<ModuleDefinition> = {}): ModuleDefinition {
  return {
    name,
    dependsOn: [],
    params: [],
    info: { author: 'A. Uthor', license: 'GPL', version: '1.0' },
    initSymbol: `${name}_init`,
    init: async () => void log.push(`init ${name}`),
    exit: async () => void log.push(`exit ${name}`),
    ...more,
  };
}

const DEPTH = { name: 'io_queue_depth', type: 'int', defaultValue: 1024, mode: 0o644, description: 'depth' } as const;
const POLL = { name: 'use_poll', type: 'bool', defaultValue: false, mode: 0o444, description: 'poll' } as const;
const SECRET = { name: 'secret', type: 'charp', defaultValue: '', mode: 0, description: 'hidden' } as const;

describe('insmod', () => {
  // @acceptance 1
  it('runs exactly one init function, beneath do_one_initcall, and waits for asynchronous probes', async () => {
    const log: string[] = [];
    const { kernel, modules, run, workqueues, deviceCore } = loader();
    const probe = traced('my_probe', async (_: typeof deviceCore) => {
      await sleepNs(kernel, 5000);
      log.push('probed');
    });
    const definition = moduleNamed('nvme', log, {
      init: async () => {
        log.push('init nvme');
        workqueues.asyncScheduleNode(probe, deviceCore, 0);
      },
    });
    await run(() => modules.insmod(definition));
    expect(log).toEqual(['init nvme', 'probed']);
    const tree = kernel.trace.entries
      .filter((entry) => entry.kind === 'function' && entry.task === 'insmod')
      .map((entry) => '  '.repeat(entry.depth) + entry.symbol);
    expect(tree).toEqual([
      'do_init_module',
      '  do_one_initcall',
      '    nvme_init',
      '      async_schedule_node',
      '        async_schedule_node_domain',
      '          __async_schedule_node_domain',
      '  kobject_uevent_env',
      '  async_synchronize_full',
      '    async_synchronize_cookie_domain',
      '  queue_work_on',
    ]);
  });

  // @acceptance 2
  it.each(['4.10', '4.13', '6.1', '6.12'] as const)(
    'runs the init function once, and rmmod its exit function once (%s)',
    async (profile) => {
      const log: string[] = [];
      const { kernel, modules, run } = loader({ profile });
      const definition = moduleNamed('nvme', log, { exitSymbol: 'nvme_exit' });
      await run(() => modules.insmod(definition));
      expect(log).toEqual(['init nvme']);
      await run(() => modules.rmmod('nvme'));
      expect(log).toEqual(['init nvme', 'exit nvme']);
      const symbols = kernel.trace.entries.flatMap(({ symbol }) => (/^nvme_(init|exit)$/.test(symbol) ? [symbol] : []));
      expect(symbols).toEqual(['nvme_init', 'nvme_exit']);
    },
  );

  // @acceptance 3
  it.each(['4.10', '4.13', '6.1', '6.12'] as const)(
    'keeps what MODULE_AUTHOR, MODULE_LICENSE and MODULE_VERSION say for modinfo (%s)',
    async (profile) => {
      const { modules, run, sysfs } = loader({ profile });
      const info = { author: 'A. Uthor', license: 'GPL', version: '1.0', description: 'a driver' };
      modules.provide(moduleNamed('nvme', [], { info, params: [DEPTH] }));
      expect(modules.modinfo('nvme')).toMatchObject({ ...info, params: [DEPTH] });
      await run(() => modules.modprobe('nvme'));
      expect(sysfs.read('/sys/module/nvme/version')).toBe('1.0\n');
      expect(() => modules.modinfo('other')).toThrow('ENOENT');
    },
  );

  it.each([
    ['6.12', undefined, true],
    ['6.12', false, false],
    ['4.13', undefined, false],
    ['4.13', true, true],
  ] as const)(
    'on %s with asyncProbeRequested %s waits: %s',
    async (profile: KernelProfile, asyncProbeRequested, waits) => {
      const log: string[] = [];
      const { kernel, modules, run, workqueues } = loader({ profile });
      const slow = async (): Promise<void> => {
        await sleepNs(kernel, 5000);
        log.push('probed');
      };
      const init = async (): Promise<void> => workqueues.asyncScheduleNode(slow, null, 0);
      await run(() => modules.insmod(moduleNamed('m', log, { init, asyncProbeRequested })));
      expect(log).toEqual(waits ? ['probed'] : []);
      await run(() => modules.rmmod('m'));
      expect(log).toEqual(waits ? ['probed', 'exit m'] : ['exit m', 'probed']);
    },
  );

  // @acceptance 1
  it('unloads a module whose init fails, and passes its error on', async () => {
    const { kernel, modules, run, sysfs, deviceCore } = loader();
    const init = async (): Promise<void> => {
      throw new KernelError('ENOMEM', 'no queue');
    };
    const events = deviceCore.uevents.length;
    await expect(run(() => modules.insmod(moduleNamed('bad', [], { init })))).rejects.toMatchObject({ code: 'ENOMEM' });
    expect(modules.list()).toEqual([]);
    expect(sysfs.list('/sys/module')).toEqual([]);
    expect(kernel.live.leaks()).toEqual([]);
    expect(deviceCore.uevents).toHaveLength(events);
    await run(() => modules.insmod(moduleNamed('bad', [])));
  });

  it('refuses a module that is loaded, one whose dependency is not, and bad parameters, before anything is built', async () => {
    const log: string[] = [];
    const { kernel, modules, run, sysfs } = loader();
    await run(() => modules.insmod(moduleNamed('a', log, { params: [DEPTH] })));
    kernel.live.baseline();
    const again = run(() => modules.insmod(moduleNamed('a', log)));
    await expect(again).rejects.toMatchObject({ code: 'EEXIST' });
    const orphan = run(() => modules.insmod(moduleNamed('b', log, { dependsOn: ['core'] })));
    await expect(orphan).rejects.toMatchObject({ code: 'ENOENT' });
    for (const params of [{ io_queue_depth: 'x' }, { unknown: 1 }]) {
      const bad = run(() => modules.insmod(moduleNamed('b', log, { params: [DEPTH] }), params));
      await expect(bad).rejects.toMatchObject({ code: 'EINVAL' });
    }
    expect(log).toEqual(['init a']);
    expect(sysfs.list('/sys/module')).toEqual(['a']);
    expect(kernel.live.leaks()).toEqual([]);
  });

  it('lets one of two at once in', async () => {
    const { kernel, door, modules } = loader();
    const log: string[] = [];
    const init = async (): Promise<void> => {
      await sleepNs(kernel, 1000);
      log.push('init');
    };
    const load = () =>
      door
        .call('insmod', () => modules.insmod(moduleNamed('m', [], { init })))
        .then(
          () => 'loaded',
          (error: KernelError) => error.code,
        );
    expect(await Promise.all([load(), load()])).toEqual(['loaded', 'EEXIST']);
    expect(log).toEqual(['init']);
  });

  it('lets the second in when the first fails', async () => {
    const { kernel, door, modules } = loader();
    const init = async (): Promise<void> => {
      await sleepNs(kernel, 1000);
      throw new KernelError('EIO', 'no device');
    };
    const first = door.call('first', () => modules.insmod(moduleNamed('m', [], { init })));
    const second = door.call('second', () => modules.insmod(moduleNamed('m', [])));
    await expect(first).rejects.toMatchObject({ code: 'EIO' });
    await second;
    expect(modules.list()).toHaveLength(1);
  });

  it.each([
    ['6.12', ['init', 'add']],
    ['4.13', ['add', 'init']],
  ] as const)('tells user space on %s in the order %s', async (profile, order) => {
    const { modules, run, deviceCore } = loader({ profile });
    const seen: string[] = [];
    deviceCore.subscribeUevents(({ action, devpath }) => {
      if (devpath === '/module/m') seen.push(action);
    });
    await run(() => modules.insmod(moduleNamed('m', [], { init: async () => void seen.push('init') })));
    expect(seen).toEqual(order);
    await run(() => modules.rmmod('m'));
    expect(seen.at(-1)).toBe('remove');
  });
});

describe('parameters of a loaded module', () => {
  async function loaded() {
    const world = loader();
    let params: ModuleParams = {};
    const definition = moduleNamed('nvme', [], {
      params: [DEPTH, POLL, SECRET],
      init: async (given) => {
        params = given;
      },
    });
    await world.run(() => world.modules.insmod(definition, { use_poll: 'Y' }));
    return { ...world, params: () => params };
  }

  it('reach init and sysfs, and hidden ones only init', async () => {
    const { sysfs, params } = await loaded();
    expect(params()).toEqual({ io_queue_depth: 1024, use_poll: true, secret: '' });
    expect(sysfs.list('/sys/module/nvme/parameters')).toEqual(['io_queue_depth', 'use_poll']);
    expect(sysfs.read('/sys/module/nvme/parameters/io_queue_depth')).toBe('1024\n');
    expect(sysfs.read('/sys/module/nvme/parameters/use_poll')).toBe('Y\n');
  });

  it('change for the module when they are written, if they may', async () => {
    const { sysfs, params, run } = await loaded();
    const write = (name: string, text: string) => run(() => sysfs.write(`/sys/module/nvme/parameters/${name}`, text));
    await write('io_queue_depth', '64\n');
    expect(params().io_queue_depth).toBe(64);
    await expect(write('io_queue_depth', 'lots')).rejects.toMatchObject({ code: 'EINVAL' });
    await expect(write('use_poll', 'N')).rejects.toMatchObject({ code: 'EACCES' });
    expect(params()).toMatchObject({ io_queue_depth: 64, use_poll: true });
  });
});

describe('modprobe and rmmod', () => {
  function chain() {
    const world = loader();
    const log: string[] = [];
    const definitions = [
      moduleNamed('nvme_core', log),
      moduleNamed('nvme', log, { dependsOn: ['nvme_core'], params: [DEPTH] }),
    ];
    for (const definition of definitions) world.modules.provide(definition);
    return { ...world, log };
  }

  it('load and unload in the order of dependency', async () => {
    const { modules, run, log, sysfs, kernel } = chain();
    await run(() => modules.modprobe('nvme', { io_queue_depth: 32 }));
    await run(() => modules.modprobe('nvme'));
    expect(log).toEqual(['init nvme_core', 'init nvme']);
    expect(modules.list()).toEqual([
      { name: 'nvme', refcount: 0, usedBy: [] },
      { name: 'nvme_core', refcount: 1, usedBy: ['nvme'] },
    ]);
    expect(sysfs.readlink('/sys/module/nvme_core/holders/nvme')).toBe('../../nvme');
    expect(sysfs.read('/sys/module/nvme_core/refcnt')).toBe('1\n');
    expect(sysfs.read('/sys/module/nvme/initstate')).toBe('live\n');
    expect(sysfs.read('/sys/module/nvme/version')).toBe('1.0\n');
    expect(kernel.procfs.read('/proc/modules')).toBe(
      'nvme 0 0 - Live 0x0000000000000000\nnvme_core 0 1 nvme, Live 0x0000000000000000\n',
    );
    await expect(run(() => modules.rmmod('nvme_core'))).rejects.toMatchObject({ code: 'EAGAIN' });
    await run(() => modules.rmmod('nvme'));
    await run(() => modules.rmmod('nvme_core'));
    expect(log.slice(2)).toEqual(['exit nvme', 'exit nvme_core']);
    expect(kernel.live.leaks()).toEqual([]);
  });

  it('check parameters before a dependency is loaded', async () => {
    const { modules, run, log } = chain();
    await expect(run(() => modules.modprobe('nvme', { io_queue_depth: 'x' }))).rejects.toMatchObject({
      code: 'EINVAL',
    });
    expect(log).toEqual([]);
  });

  it('refuse what is not known, not loaded, on its way, or without an exit', async () => {
    const { modules, run, kernel, door } = chain();
    await expect(run(() => modules.modprobe('nvmf'))).rejects.toThrow(/'nvmf' is not known; known are nvme_core, nvme/);
    await expect(run(() => modules.rmmod('nvme'))).rejects.toMatchObject({ code: 'ENOENT' });
    await run(() => modules.insmod(moduleNamed('stays', [], { exit: undefined })));
    await expect(run(() => modules.rmmod('stays'))).rejects.toMatchObject({ code: 'EBUSY' });
    const loading = door.call('a', () =>
      modules.insmod(moduleNamed('slow', [], { init: () => sleepNs(kernel, 1000) })),
    );
    await expect(door.call('b', () => modules.rmmod('slow'))).rejects.toMatchObject({ code: 'EBUSY' });
    await loading;
  });

  it('refuse modules that depend on each other', async () => {
    const { modules, run } = chain();
    modules.provide(moduleNamed('x', [], { dependsOn: ['y'] }));
    modules.provide(moduleNamed('y', [], { dependsOn: ['x'] }));
    await expect(run(() => modules.modprobe('x'))).rejects.toThrow('x → y → x');
  });

  it('show what a module says of itself', () => {
    const { modules } = chain();
    expect(modules.modinfo('nvme')).toMatchObject({
      license: 'GPL',
      author: 'A. Uthor',
      version: '1.0',
      params: [DEPTH],
    });
    expect(() => modules.modinfo('nvmf')).toThrow('ENOENT');
  });
});
