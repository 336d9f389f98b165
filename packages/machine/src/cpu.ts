/** The front door's CPUs: on, off, and which may be asked to do something. */
import { bitmapList, type Kernel, KernelError } from '@nvme-stack/kernel';
import type { JournalRecorder } from './journal.js';
import type { MachineCpu, Subsystems } from './ports.js';

/** A CPU by its number; throws EINVAL. What it does is written down through `call`. */
export function cpuOf({ kernel, deviceCore }: Subsystems, cpu: number, call: JournalRecorder['call']): MachineCpu {
  if (!(cpu >= 0 && cpu < kernel.nrCpus && cpu === Math.floor(cpu)))
    throw new KernelError('EINVAL', `cpu is ${cpu}; allowed: a whole number from 0 to ${kernel.nrCpus - 1}`);
  const path = `/sys/devices/system/cpu/cpu${cpu}/online`;
  const { cpus } = kernel;
  /** The boot CPU has no such file. */
  const write = async (text: string, otherwise: () => Promise<void>): Promise<void> =>
    deviceCore.sysfs.exists(path) ? await deviceCore.sysfs.write(path, text) : await otherwise();
  return {
    cpu,
    get isOnline() {
      return cpus.isOnline(cpu);
    },
    offline: () => call('cpu.offline', [cpu], () => write('0', () => cpus.cpuDown(cpu))),
    online: () => call('cpu.online', [cpu], () => write('1', () => cpus.cpuUp(cpu))),
  };
}

/** Why a task cannot start on a CPU, or null. */
export function refuseOffline({ cpus, nrCpus }: Kernel, name: string, cpu: number | undefined): KernelError | null {
  if (cpu === undefined || cpus.allOnline || cpus.isOnline(cpu) || !(cpu < nrCpus)) return null;
  return new KernelError('EINVAL', `${name}: cpu is ${cpu}; online are ${bitmapList(cpus.onlineCpus())}`);
}
