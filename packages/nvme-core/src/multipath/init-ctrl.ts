/**
 * What multipath does as a controller is made, identified, stopped and freed.
 * Kernel counterpart: drivers/nvme/host/multipath.c nvme_mpath_init_ctrl, nvme_mpath_init_identify, nvme_mpath_stop,
 * nvme_mpath_uninit.
 */
import { delTimerSync, Errno, KernelError, traced } from '@nvme-stack/kernel';
import type { Ctrl } from '../ctrl.js';
import { ctrlLog } from '../log.js';
import { throwErrno } from '../status-map.js';
import type { IdCtrl } from '../subsystem.js';
import {
  ANA_GROUP_BYTES,
  ANA_HEADER_BYTES,
  ANA_NSID_BYTES,
  AnaState,
  isAnaWanted,
  nvmeCtrlUseAna,
  nvmeReadAnaLog,
} from './ana.js';

const SECTOR_SIZE = 512;

/** Lock, timer and work of a new controller. @kernel drivers/nvme/host/multipath.c nvme_mpath_init_ctrl */
export const nvmeMpathInitCtrl = traced('nvme_mpath_init_ctrl', (ctrl: Ctrl): void => {
  ctrl.ana = new AnaState(ctrl);
});

/** Reads how well the controller reaches its namespaces, where it says so. Throws EINVAL, ENOMEM, EIO. Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_init_identify */
export const nvmeMpathInitIdentify = traced(
  'nvme_mpath_init_identify',
  async (ctrl: Ctrl, id: IdCtrl): Promise<void> => {
    if (!isAnaWanted(ctrl)) return;
    ctrl.nrActive = 0;
    if (id.mnan === 0 || id.mnan > id.nn) {
      ctrlLog(ctrl, 'err', `Invalid MNAN value ${id.mnan}`);
      throw new KernelError('EINVAL', `${ctrl.name}: MNAN ${id.mnan}`);
    }
    const { ana } = ctrl;
    ana.transitionSeconds = id.anatt;
    ana.groups = id.nanagrpid;
    ana.largestGroup = id.anagrpmax;
    const logBytes = ANA_HEADER_BYTES + id.nanagrpid * ANA_GROUP_BYTES + id.mnan * ANA_NSID_BYTES;
    const largest = ctrl.maxHwSectors * SECTOR_SIZE;
    if (logBytes > largest) {
      ctrlLog(ctrl, 'err', `ANA log page size (${logBytes}) larger than MDTS (${largest}).`);
      ctrlLog(ctrl, 'err', 'disabling ANA support.');
      nvmeMpathUninit(ctrl);
      return;
    }
    if (logBytes > ana.logBytes) {
      await nvmeMpathStop(ctrl);
      nvmeMpathUninit(ctrl);
    }
    ana.logBytes = logBytes;
    const status = await nvmeReadAnaLog(ctrl);
    if (status === 0) return;
    nvmeMpathUninit(ctrl);
    throwErrno(Math.min(status, -Errno.EIO), `${ctrl.name}: ANA log`);
  },
);

/** Neither timer nor work runs afterwards. Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_stop */
export const nvmeMpathStop = traced('nvme_mpath_stop', async (ctrl: Ctrl): Promise<void> => {
  if (!nvmeCtrlUseAna(ctrl)) return;
  delTimerSync(ctrl.ana.timer);
  await ctrl.core.workqueues.cancelWorkSync(ctrl.ana.work);
});

/** @kernel drivers/nvme/host/multipath.c nvme_mpath_uninit */
export const nvmeMpathUninit = traced('nvme_mpath_uninit', (ctrl: Ctrl): void => {
  ctrl.ana.log = null;
  ctrl.ana.logBytes = 0;
});
