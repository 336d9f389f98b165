/**
 * Features the driver sets on every start: time stamp, host behaviour, number of queues, asynchronous events.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_configure_timestamp, nvme_configure_host_options,
 * nvme_set_queue_count, nvme_enable_aen. [NVMe] 5.1.25.
 */
import { traced } from '@nvme-stack/kernel';
import {
  NumberOfQueues,
  NVME_AEN_CFG_ANA_CHANGE,
  NVME_AEN_CFG_DISC_CHANGE,
  NVME_AEN_CFG_FW_ACT,
  NVME_AEN_CFG_NS_ATTR,
  NVME_CTRL_ATTR_ELBAS,
  NVME_CTRL_ONCS_TIMESTAMP,
  NVME_ENABLE_ACRE,
  NVME_ENABLE_LBAFEE,
  NVME_FEAT_ASYNC_EVENT,
  NVME_FEAT_HOST_BEHAVIOR,
  NVME_FEAT_NUM_QUEUES,
  NVME_FEAT_TIMESTAMP,
  NvmeFeatHostBehavior,
} from '@nvme-stack/nvme-protocol';
import { nvmeWq } from './core.js';
import type { Ctrl } from './ctrl.js';
import { ctrlLog, ctrlWarnOnce, functionOf, hex } from './log.js';
import { throwErrno } from './status-map.js';
import { setFeatures } from './sync-command.js';

const NS_PER_MS = 1e6;
const TIMESTAMP_BYTES = 8;
const AEN_SUPPORTED =
  (NVME_AEN_CFG_NS_ATTR | NVME_AEN_CFG_FW_ACT | NVME_AEN_CFG_ANA_CHANGE | NVME_AEN_CFG_DISC_CHANGE) >>> 0;

/** Milliseconds since 1970, little-endian. @kernel drivers/nvme/host/core.c nvme_configure_timestamp */
export async function nvmeConfigureTimestamp(ctrl: Ctrl): Promise<void> {
  if ((ctrl.oncs & NVME_CTRL_ONCS_TIMESTAMP) === 0) return;
  const { bootTimeMs, ex } = ctrl.kernel;
  let left = bootTimeMs + Math.floor(ex.now() / NS_PER_MS);
  const bytes = new Uint8Array(TIMESTAMP_BYTES);
  for (let i = 0; i < TIMESTAMP_BYTES; i++) {
    bytes[i] = left % 256;
    left = Math.floor(left / 256);
  }
  const { status } = await setFeatures(ctrl, NVME_FEAT_TIMESTAMP, 0, bytes);
  if (status !== 0) ctrlWarnOnce(ctrl, 'timestamp', `could not set timestamp (${status})`);
}

/** Retry delays and extended LBA formats, where the controller has them. @kernel drivers/nvme/host/core.c nvme_configure_host_options */
export async function nvmeConfigureHostOptions(ctrl: Ctrl): Promise<void> {
  const acre = ctrl.crdt[0] !== 0 ? NVME_ENABLE_ACRE : 0;
  const lbafee = ctrl.ctratt & NVME_CTRL_ATTR_ELBAS ? NVME_ENABLE_LBAFEE : 0;
  if (acre === 0 && lbafee === 0) return;
  await setFeatures(ctrl, NVME_FEAT_HOST_BEHAVIOR, 0, NvmeFeatHostBehavior.encode({ acre, lbafee }));
}

/** Asks for `count` I/O queues of each kind; returns how many there may be, 0 when refused. Throws a negative errno. @kernel drivers/nvme/host/core.c nvme_set_queue_count */
export const nvmeSetQueueCount = traced('nvme_set_queue_count', async (ctrl: Ctrl, count: number): Promise<number> => {
  const asked = NumberOfQueues.NSQ.put(count - 1) | NumberOfQueues.NCQ.put(count - 1);
  const { status, result } = await setFeatures(ctrl, NVME_FEAT_NUM_QUEUES, asked >>> 0, null);
  if (status < 0) throwErrno(status, `${ctrl.name}: Number of Queues`);
  if (status > 0) {
    const named = ctrl.core.era.linesOfFunction.includes('queue-count') ? functionOf(ctrl) : ctrl;
    ctrlLog(named, 'err', `Could not set queue count (${status})`);
    return 0;
  }
  const granted = Math.min(NumberOfQueues.NSQ.get(result), NumberOfQueues.NCQ.get(result)) + 1;
  return Math.min(count, granted);
});

/** Turns on the events both sides know, and asks for the first. @kernel drivers/nvme/host/core.c nvme_enable_aen */
export async function nvmeEnableAen(ctrl: Ctrl): Promise<void> {
  const wanted = (ctrl.oaes & AEN_SUPPORTED) >>> 0;
  if (wanted === 0) return;
  const { status } = await setFeatures(ctrl, NVME_FEAT_ASYNC_EVENT, wanted, null);
  if (status !== 0) ctrlLog(ctrl, 'warn', `Failed to configure AEN (cfg ${hex(wanted)})`);
  ctrl.core.workqueues.queueWork(nvmeWq(ctrl.core), ctrl.asyncEventWork);
}

/** Asks for the first event; which events there are is left to the controller's defaults. Any context. @kernel drivers/nvme/host/core.c nvme_queue_async_events */
export const nvmeQueueAsyncEvents = traced('nvme_queue_async_events', (ctrl: Ctrl): void => {
  ctrl.core.workqueues.queueWork(nvmeWq(ctrl.core), ctrl.asyncEventWork);
});
