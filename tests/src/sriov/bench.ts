/** What tests of virtual functions in a whole machine share: machines, numbers of functions, resources by ioctl. */
import { createMachine, type Machine, type MachineDescription, type MachineNvme } from '@nvme-stack/machine';
import { NVME_IOCTL_ADMIN_CMD } from '@nvme-stack/nvme-core/ports';
import { codeOf } from '../features/bench.js';

export { stateOf } from '../controller-state.js';

export const PF = '0000:00:03.0';
const DEVICES = '/sys/bus/pci/devices';

/** The function of number `vf`; 0 is the physical one. */
export const bdf = (vf: number): string => `0000:00:03.${vf}`;

/** A machine with one controller of one 4 MiB namespace that may have three virtual functions. */
export async function machineOf(nvme: Partial<MachineNvme> = {}, more: MachineDescription = {}): Promise<Machine> {
  const machine = await createMachine({
    cpus: 2,
    memoryMiB: 32,
    nvme: [{ sriovMaxVfs: 3, namespaces: [{ sizeMiB: 4 }], ...nvme }],
    ...more,
  });
  await withoutMultipath(machine);
  return machine;
}

/** Every function's controller has a disk of its own; with multipath they would all be paths of one. */
export async function withoutMultipath(machine: Machine): Promise<void> {
  const knows = ['6.12', '6.1'].includes(machine.description.profile);
  if (knows) await machine.modprobe('nvme_core', { multipath: false });
}

/** Virtual functions as QEMU's: what each has is to be said by Virtualization Management. */
export const BY_THE_HOST: Partial<MachineNvme> = {
  properties: { sriov_max_vfs: 2, sriov_vq_flexible: 6, sriov_vi_flexible: 4, max_ioqpairs: 8, msix_qsize: 7 },
};

/** Writes sriov_numvfs; the code of what was refused, or null. */
export const askNumVfs = (machine: Machine, count: number): Promise<string | null> =>
  codeOf(machine.sysfs.write(`${DEVICES}/${PF}/sriov_numvfs`, `${count}`));

/** The same, and waits until all have been probed. */
export async function numVfs(machine: Machine, count: number): Promise<string | null> {
  const code = await askNumVfs(machine, count);
  await machine.settle();
  return code;
}

export const autoprobe = (machine: Machine, on: boolean): Promise<void> =>
  machine.sysfs.write(`${DEVICES}/${PF}/sriov_drivers_autoprobe`, on ? '1' : '0');

/** Names of the controllers there are. */
export function controllers(machine: Machine): string[] {
  if (!machine.sysfs.exists('/sys/class/nvme')) return [];
  return machine.sysfs.list('/sys/class/nvme').filter((name) => /^nvme\d+$/.test(name));
}

/** The controller of a function, or null. */
export function controllerOf(machine: Machine, vf: number): string | null {
  const path = `${DEVICES}/${bdf(vf)}/nvme`;
  return machine.sysfs.exists(path) ? (machine.sysfs.list(path).find((name) => /^nvme\d+$/.test(name)) ?? null) : null;
}

export const ASSIGN = 8;
export const ONLINE = 9;
export const OFFLINE = 7;
export const VQ = 0;
export const VI = 1;

/** Virtualization Management, sent to the primary controller; its status, and what it gave. */
export async function manage(
  machine: Machine,
  action: number,
  controllerId: number,
  type = VQ,
  count = 0,
): Promise<{ readonly status: number; readonly given: number }> {
  const command = { opcode: 0x1c, cdw10: action | (type << 8) | (controllerId << 16), cdw11: count, result: 0 };
  const status = await machine.ioctl('/dev/nvme0', NVME_IOCTL_ADMIN_CMD, command);
  return { status, given: command.result };
}

/** Bytes that tell their place. */
export const bytesOf = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) * 13 + seed * 29) & 0xff);
