/**
 * Character devices of namespaces, `/dev/ngXnY`: of a namespace, or of the head over several paths.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_cdev_add, nvme_cdev_del.
 */
import type { Cdev, Device } from '@nvme-stack/device-core/ports';
import { type HasKernel, type Kernel, traced } from '@nvme-stack/kernel';
import type { CoreState } from './core.js';

/** What a character device is made of. */
export interface CdevInit extends HasKernel {
  readonly kernel: Kernel;
  readonly core: CoreState;
  readonly cdev: Cdev;
  readonly name: string;
  readonly parent: Device;
}

/** Makes it visible. Throws what the device core does. Task context. @kernel drivers/nvme/host/core.c nvme_cdev_add */
export const nvmeCdevAdd = traced('nvme_cdev_add', async ({ core, cdev, name, parent }: CdevInit): Promise<Device> => {
  const minor = core.genericMinors.alloc();
  const dev = core.deviceCore.deviceInitialize({
    name,
    parent,
    container: cdev.container,
    class: core.genericClass,
    noSysfsParentDir: true,
    devt: { major: core.genericMajor, minor },
    release: () => core.genericMinors.free(minor),
  });
  try {
    await core.deviceCore.cdevDeviceAdd(cdev, dev);
  } catch (error) {
    core.deviceCore.putDevice(dev);
    throw error;
  }
  return dev;
});

/** Takes it away again; nothing happens without one. Task context. @kernel drivers/nvme/host/core.c nvme_cdev_del */
export async function nvmeCdevDel(
  { deviceCore }: CoreState,
  holder: { cdev: Cdev | null; cdevDevice: Device | null },
): Promise<void> {
  const { cdev, cdevDevice } = holder;
  if (cdev === null || cdevDevice === null) return;
  await deviceCore.cdevDeviceDel(cdev, cdevDevice);
  deviceCore.putDevice(cdevDevice);
  holder.cdev = holder.cdevDevice = null;
}
