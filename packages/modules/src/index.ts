/**
 * The module loader: insmod, modprobe and rmmod, module parameters, /sys/module and /proc/modules.
 *
 * @packageDocumentation
 */
import { KernelError } from '@nvme-stack/kernel';
import type { LoadedModule } from './loaded-module.js';
import { deleteModule, loadModule, ModuleLoader, type ModulesDeps, modprobe } from './loader.js';
import type { Modules } from './ports.js';

export type { ModulesDeps } from './loader.js';
export * from './ports.js';

function newestFirst(loader: ModuleLoader): LoadedModule[] {
  return [...loader.modules.values()].reverse();
}

/** Sizes are not modelled and read 0; addresses read 0, as every user but root sees them. @kernel kernel/module/procfs.c m_show */
function showModules(loader: ModuleLoader): string {
  const states = { coming: 'Loading', live: 'Live', going: 'Unloading' } as const;
  return newestFirst(loader)
    .map(({ name, users, state }) => {
      const usedBy = users.size === 0 ? '-' : [...users].map((user) => `${user.name},`).join('');
      return `${name} 0 ${users.size} ${usedBy} ${states[state]} 0x0000000000000000\n`;
    })
    .join('');
}

/** Builds the module loader of one machine. */
export function createModules(deps: ModulesDeps): Modules {
  const loader = new ModuleLoader(deps);
  deps.kernel.procfs.register('/proc/modules', () => showModules(loader));
  return {
    kernel: deps.kernel,
    provide: (definition) => {
      loader.known.set(definition.name, definition);
    },
    insmod: (definition, params = {}) => loadModule(loader, definition, params),
    modprobe: (name, params = {}) => modprobe(loader, name, params),
    rmmod: (name) => deleteModule(loader, name),
    list: () =>
      newestFirst(loader).map(({ name, users }) => ({
        name,
        refcount: users.size,
        usedBy: [...users].map((user) => user.name),
      })),
    modinfo: (name) => {
      const definition = loader.modules.get(name)?.definition ?? loader.known.get(name);
      if (definition === undefined) throw new KernelError('ENOENT', `module '${name}' is not known`);
      return { ...definition.info, params: definition.params };
    },
  };
}
