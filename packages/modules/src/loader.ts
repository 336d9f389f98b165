/**
 * Loading and unloading: insmod, modprobe, rmmod.
 * Kernel counterpart: load_module, do_init_module and delete_module in kernel/module/main.c.
 */

import type { DeviceCore, Kobject } from '@nvme-stack/device-core/ports';
import { type HasKernel, type Kernel, KernelError, traced, WaitQueue, waitEvent, wakeUpAll } from '@nvme-stack/kernel';
import type { Workqueues, WorkStruct } from '@nvme-stack/workqueue/ports';
import { MODULES_ERAS, type ModulesEra } from './eras.js';
import { LoadedModule, modSysfsSetup, modSysfsTeardown } from './loaded-module.js';
import { parseParams } from './params.js';
import type { ModuleDefinition } from './ports.js';

/** What a module loader is made of. */
export interface ModulesDeps {
  readonly kernel: Kernel;
  readonly deviceCore: DeviceCore;
  readonly workqueues: Workqueues;
}

/** One machine's modules. */
export class ModuleLoader implements HasKernel {
  readonly kernel: Kernel;
  readonly deviceCore: DeviceCore;
  readonly workqueues: Workqueues;
  readonly era: ModulesEra;
  /** /sys/module. @kernel kernel/params.c module_kset */
  readonly top: Kobject;
  /** By name, for modprobe. */
  readonly known = new Map<string, ModuleDefinition>();
  /** Loaded ones, and those on their way in or out, in order of loading. */
  readonly modules = new Map<string, LoadedModule>();
  /** Modules whose init code is to be dropped. @kernel kernel/module/main.c init_free_list */
  readonly initFreeList: LoadedModule[] = [];
  readonly initFreeWork: WorkStruct;
  /** Wakes when a module has come or gone. @kernel kernel/module/main.c module_wq */
  readonly moduleWq: WaitQueue;

  constructor(deps: ModulesDeps) {
    this.kernel = deps.kernel;
    this.deviceCore = deps.deviceCore;
    this.workqueues = deps.workqueues;
    this.era = MODULES_ERAS[deps.kernel.profile];
    this.top = deps.deviceCore.kobjectCreate('module', null);
    this.initFreeWork = deps.workqueues.initWork('do_free_init', this, doFreeInit);
    this.moduleWq = new WaitQueue(deps.kernel, 'a module on its way in or out');
  }
}

/** Everything is checked before anything is built. @kernel kernel/module/main.c load_module */
export async function loadModule(
  loader: ModuleLoader,
  definition: ModuleDefinition,
  given: Readonly<Record<string, unknown>>,
): Promise<void> {
  await settled(loader, definition.name);
  if (loader.modules.has(definition.name))
    throw new KernelError('EEXIST', `module ${definition.name} is loaded already`);
  const uses = definition.dependsOn.map((name) => requireLive(loader, definition.name, name));
  const params = parseParams(definition, given);
  const mod = new LoadedModule(loader.kernel, definition, params, uses);
  modSysfsSetup(loader.deviceCore, loader.top, mod);
  loader.modules.set(mod.name, mod);
  for (const used of uses) used.users.add(mod);
  if (loader.era.addUevent === 'before-init') announce(loader, mod);
  await doInitModule(loader, mod);
}

/** Waits while a module of this name is on its way in or out. @kernel kernel/module/main.c finished_loading */
async function settled(loader: ModuleLoader, name: string): Promise<void> {
  await waitEvent(loader.moduleWq, () => (loader.modules.get(name)?.state ?? 'live') === 'live');
}

function requireLive(loader: ModuleLoader, name: string, needed: string): LoadedModule {
  const mod = loader.modules.get(needed);
  if (mod === undefined || mod.state !== 'live')
    throw new KernelError('ENOENT', `module ${name} needs ${needed}, which is not loaded`);
  return mod;
}

function announce(loader: ModuleLoader, mod: LoadedModule): void {
  if (mod.kobj !== null) loader.deviceCore.kobjectUevent(mod.kobj, 'add');
}

/** An error of its init unloads the module. @kernel kernel/module/main.c do_init_module */
const doInitModule = traced('do_init_module', async (loader: ModuleLoader, mod: LoadedModule): Promise<void> => {
  try {
    await doOneInitcall(mod);
  } catch (error) {
    mod.state = 'going';
    freeModule(loader, mod);
    throw error;
  }
  mod.state = 'live';
  wakeUpAll(loader.moduleWq);
  if (loader.era.addUevent === 'after-init') announce(loader, mod);
  if (waitsForProbes(loader, mod)) await loader.workqueues.asyncSynchronizeFull();
  // Its init code will not run again; a worker drops it, as somebody may still be looking at it.
  loader.initFreeList.push(mod);
  loader.workqueues.scheduleWork(loader.initFreeWork);
});

/** Drops the init code of modules that are up. @kernel kernel/module/main.c do_free_init */
const doFreeInit = traced('do_free_init', (loader: ModuleLoader): void => {
  for (const mod of loader.initFreeList.splice(0)) mod.init = null;
});

function waitsForProbes(loader: ModuleLoader, mod: LoadedModule): boolean {
  const { asyncProbeRequested } = mod.definition;
  return loader.era.synchronize === 'if-requested' ? asyncProbeRequested === true : asyncProbeRequested !== false;
}

/** @kernel init/main.c do_one_initcall */
const doOneInitcall = traced('do_one_initcall', (mod: LoadedModule): Promise<void> => {
  const { init } = mod;
  if (init === null) mod.kernel.ex.bug(`the init code of ${mod.name} is gone`);
  const call = traced(mod.definition.initSymbol, (self: LoadedModule) => init(self.params));
  return call(mod);
});

/** @kernel kernel/module/main.c free_module */
function freeModule(loader: ModuleLoader, mod: LoadedModule): void {
  modSysfsTeardown(loader.deviceCore, mod);
  for (const used of mod.uses) used.users.delete(mod);
  loader.modules.delete(mod.name);
  wakeUpAll(loader.moduleWq);
}

/** Loads what it depends on first; a module that is loaded is left alone. @kernel kernel/module/kmod.c request_module */
export async function modprobe(
  loader: ModuleLoader,
  name: string,
  given: Readonly<Record<string, unknown>>,
  path: readonly string[] = [],
): Promise<void> {
  const definition = loader.known.get(name);
  if (definition === undefined) {
    throw new KernelError(
      'ENOENT',
      `module '${name}' is not known; known are ${[...loader.known.keys()].join(', ') || 'none'}`,
    );
  }
  if (path.includes(name))
    throw new KernelError('EINVAL', `modules depend on each other: ${[...path, name].join(' → ')}`);
  await settled(loader, name);
  if (loader.modules.has(name)) return;
  parseParams(definition, given);
  for (const needed of definition.dependsOn) await modprobe(loader, needed, {}, [...path, name]);
  await loadModule(loader, definition, given);
}

function callExit(mod: LoadedModule, exit: () => Promise<void>): Promise<void> {
  const { exitSymbol } = mod.definition;
  const call = (self: LoadedModule): Promise<void> => exit.call(self.definition);
  return exitSymbol === undefined ? call(mod) : traced(exitSymbol, call)(mod);
}

/** @kernel kernel/module/main.c delete_module */
export async function deleteModule(loader: ModuleLoader, name: string): Promise<void> {
  const mod = loader.modules.get(name);
  if (mod === undefined) throw new KernelError('ENOENT', `module ${name} is not loaded`);
  if (mod.users.size > 0) {
    throw new KernelError(
      'EAGAIN',
      `module ${name} is in use by ${[...mod.users].map((user) => user.name).join(', ')}`,
    );
  }
  if (mod.state !== 'live') throw new KernelError('EBUSY', `module ${name} is ${mod.state}`);
  const { exit } = mod.definition;
  if (exit === undefined) throw new KernelError('EBUSY', `module ${name} has no exit function and stays`);
  mod.state = 'going';
  try {
    await callExit(mod, exit);
    await loader.workqueues.asyncSynchronizeFull();
  } finally {
    freeModule(loader, mod);
  }
}
