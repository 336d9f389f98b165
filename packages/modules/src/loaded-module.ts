/**
 * A module in memory: its state, its parameters, who uses it, and its directory below /sys/module.
 * Kernel counterpart: struct module, kernel/module/sysfs.c.
 */

import type { Attribute, DeviceCore, Kobject } from '@nvme-stack/device-core/ports';
import type { HasKernel, Kernel } from '@nvme-stack/kernel';
import { type ParamValue, parseParam, showParam } from './params.js';
import type { ModuleDefinition, ModuleParam } from './ports.js';

/** @kernel include/linux/module.h module_state */
export type ModuleState = 'coming' | 'live' | 'going';

/** @kernel include/linux/module.h module */
export class LoadedModule implements HasKernel {
  readonly kernel: Kernel;
  readonly definition: ModuleDefinition;
  readonly params: Record<string, ParamValue>;
  state: ModuleState = 'coming';
  /** Its init function, until that is dropped. @kernel include/linux/module.h module.init */
  init: ModuleDefinition['init'] | null;
  /** Modules it depends on. @kernel include/linux/module.h module.target_list */
  readonly uses: readonly LoadedModule[];
  /** Modules that depend on it, in order of loading. @kernel include/linux/module.h module.source_list */
  readonly users = new Set<LoadedModule>();
  kobj: Kobject | null = null;
  holders: Kobject | null = null;

  constructor(
    kernel: Kernel,
    definition: ModuleDefinition,
    params: Record<string, ParamValue>,
    uses: readonly LoadedModule[],
  ) {
    this.kernel = kernel;
    this.definition = definition;
    this.init = (values) => definition.init(values);
    this.params = params;
    this.uses = uses;
  }

  get name(): string {
    return this.definition.name;
  }
}

/** Its directory, with `holders` links in those it uses. A failure leaves nothing. @kernel kernel/module/sysfs.c mod_sysfs_setup */
export function modSysfsSetup(core: DeviceCore, top: Kobject, mod: LoadedModule): void {
  const kobj = core.kobjectCreate(mod.name, top);
  mod.kobj = kobj;
  try {
    mod.holders = core.kobjectCreate('holders', kobj);
    for (const attribute of moduleAttributes(core, mod)) core.sysfsCreateFile(kobj, attribute);
    const params = mod.definition.params.filter((param) => param.mode !== 0);
    if (params.length > 0) {
      const attributes = params.map((param) => paramAttribute(mod, param));
      core.sysfsCreateGroup(kobj, { name: 'parameters', attributes });
    }
    for (const used of mod.uses) if (used.holders !== null) core.sysfsCreateLink(used.holders, mod.name, kobj);
  } catch (error) {
    modSysfsTeardown(core, mod);
    throw error;
  }
}

/** @kernel kernel/module/sysfs.c mod_sysfs_teardown */
export function modSysfsTeardown(core: DeviceCore, mod: LoadedModule): void {
  for (const used of mod.uses) if (used.holders !== null) core.sysfsRemoveLink(used.holders, mod.name);
  if (mod.holders !== null) core.kobjectDel(mod.holders);
  if (mod.kobj !== null) core.kobjectDel(mod.kobj);
  mod.holders = null;
  mod.kobj = null;
}

function moduleAttributes(core: DeviceCore, mod: LoadedModule): readonly Attribute[] {
  const { version } = mod.definition.info;
  const attributes: Attribute[] = [
    { name: 'initstate', mode: 0o444, show: () => `${mod.state}\n` },
    { name: 'refcnt', mode: 0o444, show: () => `${mod.users.size}\n` },
    {
      name: 'uevent',
      mode: 0o200,
      store: () => {
        if (mod.kobj !== null) core.kobjectUevent(mod.kobj, 'add', { SYNTH_UUID: '0' });
      },
    },
  ];
  if (version !== undefined) attributes.push({ name: 'version', mode: 0o444, show: () => `${version}\n` });
  return attributes;
}

/** @kernel kernel/params.c param_attr_show, param_attr_store */
function paramAttribute(mod: LoadedModule, param: ModuleParam): Attribute {
  return {
    name: param.name,
    mode: param.mode,
    show: () => showParam(mod.params[param.name] as ParamValue),
    store: (text) => {
      mod.params[param.name] = parseParam(mod.name, param, text);
    },
  };
}
