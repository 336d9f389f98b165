/**
 * What the module loader owns: modules, their parameters, insmod, modprobe and rmmod.
 * Types only. Counterparts: kernel/module/, include/linux/module.h, moduleparam.h.
 */
import type { Kernel } from '@nvme-stack/kernel';

/** A parameter under Linux's name. @kernel include/linux/moduleparam.h kernel_param */
export interface ModuleParam {
  readonly name: string;
  readonly type: 'bool' | 'int' | 'uint' | 'ulong' | 'charp';
  readonly defaultValue: number | boolean | string;
  /** Permission of /sys/module/<module>/parameters/<name>; 0 hides it. */
  readonly mode: number;
  readonly description: string;
  /** Refuses a value by throwing KernelError EINVAL; returns the value to store. */
  set?(value: number | boolean | string): number | boolean | string;
}

/** Parameter values by name, as a module's init function receives them; live: sysfs writes change them. */
export type ModuleParams = Readonly<Record<string, number | boolean | string>>;

/** A loadable module. @kernel include/linux/module.h module */
export interface ModuleDefinition {
  readonly name: string;
  /** Modules that `modprobe` loads first and that must be live. */
  readonly dependsOn: readonly string[];
  readonly params: readonly ModuleParam[];
  readonly info: {
    readonly author: string;
    readonly license: string;
    readonly version?: string;
    readonly description?: string;
  };
  /** Symbol of its init function, as the trace shows it (`nvme_init`). */
  readonly initSymbol: string;
  /** @kernel include/linux/module.h module_init */
  init(params: ModuleParams): Promise<void>;
  /** Symbol of its exit function (`nvme_exit`); absent: the trace does not show it. */
  readonly exitSymbol?: string;
  /** Absent: the module cannot be unloaded. @kernel include/linux/module.h module_exit */
  exit?(): Promise<void>;
  /** Its init waits for asynchronous probes before insmod returns (async_synchronize_full). Default true. */
  readonly asyncProbeRequested?: boolean;
}

/** The module loader of one machine. */
export interface Modules {
  readonly kernel: Kernel;
  /** Makes a module known to `modprobe`. */
  provide(definition: ModuleDefinition): void;
  /** Loads this module; EEXIST when loaded, ENOENT when a dependency is not live, EINVAL for a bad parameter (nothing half-built). Task context. @kernel kernel/module/main.c load_module, do_init_module */
  insmod(definition: ModuleDefinition, params?: Readonly<Record<string, unknown>>): Promise<void>;
  /** Loads a known module and what it depends on. */
  modprobe(name: string, params?: Readonly<Record<string, unknown>>): Promise<void>;
  /** EAGAIN (Linux's EWOULDBLOCK) while others depend on it; EBUSY without an exit or on its way in or out; ENOENT when not loaded. Task context. @kernel kernel/module/main.c delete_module */
  rmmod(name: string): Promise<void>;
  /** Loaded modules, newest first, as lsmod lists them. */
  list(): readonly { readonly name: string; readonly refcount: number; readonly usedBy: readonly string[] }[];
  modinfo(name: string): ModuleDefinition['info'] & { readonly params: readonly ModuleParam[] };
}
