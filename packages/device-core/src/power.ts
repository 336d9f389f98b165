/**
 * Power: suspending and resuming every device, and the orderly stop at shutdown.
 * Kernel counterpart: drivers/base/power/main.c, device_shutdown in drivers/base/core.c.
 */
import { KernelError, traced, withMutex } from '@nvme-stack/kernel';
import { type DeviceImpl, getDevice, putDevice } from './device.js';
import type { SuspendState } from './ports.js';
import { type DeviceCoreState, log } from './state.js';
import { devPrefix } from './uevent.js';

/** Children before parents. A device that refuses wakes those already asleep, and its error is thrown. @kernel drivers/base/power/main.c dpm_suspend */
export const dpmSuspend = traced('dpm_suspend', async (core: DeviceCoreState, state: SuspendState): Promise<void> => {
  core.suspendState = state;
  for (const dev of [...core.devices].reverse()) {
    if (!dev.registered) continue;
    getDevice(dev);
    try {
      await withMutex(dev.lock, () => deviceSuspend(dev));
    } catch (error) {
      putDevice(dev);
      if (KernelError.is(error)) {
        log(core, 'err', `${devPrefix(dev)}: PM: failed to suspend: error ${error.errno}`);
        await dpmResume(core);
      }
      throw error;
    }
    core.suspended.push(dev);
  }
});

/** The bus speaks for its drivers; without one the driver itself. @kernel drivers/base/power/main.c device_suspend */
const deviceSuspend = traced('device_suspend', async (dev: DeviceImpl): Promise<void> => {
  if (dev.bus?.suspend !== undefined) await dev.bus.suspend(dev);
  else await dev.driver?.pm?.suspend?.(dev);
});

/** Parents before children; a device that fails is logged and the others go on. @kernel drivers/base/power/main.c dpm_resume */
export const dpmResume = traced('dpm_resume', async (core: DeviceCoreState): Promise<void> => {
  for (let dev = core.suspended.pop(); dev !== undefined; dev = core.suspended.pop()) {
    const sleeper = dev;
    try {
      if (sleeper.registered) await withMutex(sleeper.lock, () => deviceResume(sleeper));
    } catch (error) {
      if (!KernelError.is(error)) throw error;
      log(core, 'err', `${devPrefix(sleeper)}: PM: failed to resume: error ${error.errno}`);
    }
    putDevice(sleeper);
  }
  core.suspendState = null;
});

/** @kernel drivers/base/power/main.c device_resume */
const deviceResume = traced('device_resume', async (dev: DeviceImpl): Promise<void> => {
  if (dev.bus?.resume !== undefined) await dev.bus.resume(dev);
  else await dev.driver?.pm?.resume?.(dev);
});

/** The last registered first, so that children stop before their parents. @kernel drivers/base/core.c device_shutdown */
export const deviceShutdown = traced('device_shutdown', async (core: DeviceCoreState): Promise<void> => {
  for (const dev of [...core.devices].reverse()) {
    if (!dev.registered) continue;
    getDevice(dev);
    await withMutex(dev.lock, async () => {
      if (dev.bus?.shutdown !== undefined) await dev.bus.shutdown(dev);
      else await dev.driver?.shutdown?.(dev);
    });
    putDevice(dev);
  }
});
