/**
 * Probes that must wait for something another driver brings: they go on a list, and every successful binding tries
 * the list again from a work item.
 * Kernel counterpart: deferred_probe_work_func and its lists in drivers/base/dd.c.
 */
import { traced, waitEvent } from '@nvme-stack/kernel';
import { type DeviceImpl, getDevice, putDevice } from './device.js';
import { busProbeDevice } from './device-attach.js';
import type { DeviceCoreState } from './state.js';

/** @kernel drivers/base/dd.c driver_deferred_probe_add */
export function deferredProbeAdd(dev: DeviceImpl): void {
  dev.core.deferredPending.add(dev);
}

/** @kernel drivers/base/dd.c driver_deferred_probe_del */
export function deferredProbeDel(dev: DeviceImpl): void {
  dev.core.deferredPending.delete(dev);
  dev.core.deferredActive.delete(dev);
}

/** @kernel drivers/base/dd.c driver_deferred_probe_trigger */
export const deferredProbeTrigger = traced('driver_deferred_probe_trigger', (core: DeviceCoreState): void => {
  core.deferredTriggerCount++;
  for (const dev of core.deferredPending) core.deferredActive.add(dev);
  core.deferredPending.clear();
  core.workqueues.queueWork(core.workqueues.systemUnboundWq, core.deferredWork);
});

/** @kernel drivers/base/dd.c deferred_probe_work_func */
export const deferredProbeWorkFunc = traced(
  'deferred_probe_work_func',
  async (core: DeviceCoreState): Promise<void> => {
    for (const dev of core.deferredActive) {
      core.deferredActive.delete(dev);
      getDevice(dev);
      await busProbeDevice(dev);
      putDevice(dev);
    }
  },
);

/** Waits for the deferred list's work, for probes under way and for asynchronous ones. @kernel drivers/base/dd.c wait_for_device_probe */
export async function waitForDeviceProbe(core: DeviceCoreState): Promise<void> {
  await core.workqueues.flushWork(core.deferredWork);
  await waitEvent(core.probeWaitqueue, () => core.probeCount === 0);
  await core.workqueues.asyncSynchronizeFull();
}
