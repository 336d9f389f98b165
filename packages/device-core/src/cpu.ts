/**
 * The CPUs below /sys/devices/system/cpu: which there are, which are on, and the files that switch them.
 * Kernel counterpart: drivers/base/cpu.c, and device_online, device_offline in drivers/base/core.c.
 */
import { bitmapList, KernelError, traced } from '@nvme-stack/kernel';
import { type KobjectImpl, kobjectCreateAndAdd } from './kobject.js';
import type { Attribute } from './ports.js';
import type { DeviceCoreState } from './state.js';
import { createFile } from './sysfs.js';
import { kobjectUeventEnv } from './uevent.js';

const BOOT_CPU = 0;

/** Makes the files; called once, while the core is built. @kernel drivers/base/cpu.c cpu_dev_init */
export function cpuDevInit(core: DeviceCoreState): void {
  const { cpus, nrCpus } = core.kernel;
  const all = Array.from({ length: nrCpus }, (_, cpu) => cpu);
  const dir = kobjectCreateAndAdd(core, 'cpu', kobjectCreateAndAdd(core, 'system', core.top.devices));
  const list = (name: string, which: () => readonly number[]): void =>
    createFile(dir, { name, mode: 0o444, show: () => `${bitmapList(which())}\n` });
  list('online', () => cpus.onlineCpus());
  list('offline', () => all.filter((cpu) => !cpus.isOnline(cpu)));
  list('possible', () => all);
  list('present', () => all);
  for (const cpu of all) {
    const kobj = kobjectCreateAndAdd(core, `cpu${cpu}`, dir);
    // The boot CPU is not hot-pluggable on x86: it has no such file. @kernel arch/x86/kernel/setup.c arch_cpu_is_hotpluggable
    if (cpu !== BOOT_CPU) createFile(kobj, onlineFile(kobj, cpu));
  }
}

/** @kernel drivers/base/core.c online_show, online_store */
function onlineFile(kobj: KobjectImpl, cpu: number): Attribute {
  return {
    name: 'online',
    mode: 0o644,
    show: () => (kobj.kernel.cpus.isOnline(cpu) ? '1\n' : '0\n'),
    store: (text) => {
      if (/^(1|y|t|on)/i.test(text)) return deviceOnline(kobj, cpu);
      if (/^(0|n|f|of)/i.test(text)) return deviceOffline(kobj, cpu);
      throw new KernelError('EINVAL', `${kobj.path}/online is ${JSON.stringify(text)}; allowed: 0, 1`);
    },
  };
}

/** What is on already stays so, and nobody hears of it. @kernel drivers/base/core.c device_online */
const deviceOnline = traced('device_online', async (kobj: KobjectImpl, cpu: number): Promise<void> => {
  if (kobj.kernel.cpus.isOnline(cpu)) return;
  await kobj.kernel.cpus.cpuUp(cpu);
  kobjectUeventEnv(kobj, 'online');
});

/** @kernel drivers/base/core.c device_offline */
const deviceOffline = traced('device_offline', async (kobj: KobjectImpl, cpu: number): Promise<void> => {
  if (!kobj.kernel.cpus.isOnline(cpu)) return;
  await kobj.kernel.cpus.cpuDown(cpu);
  kobjectUeventEnv(kobj, 'offline');
});
