/**
 * A look at CSTS every second, so that a controller in trouble is reset before a command times out.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_watchdog_timer of 4.10; later kernels look when a command times out.
 */
import { delTimerSync, modTimer, timerSetup, traced } from '@nvme-stack/kernel';
import { NVME_CTRL_RESETTING } from '@nvme-stack/nvme-core/ports';
import { NVME_CSTS_CFS, NVME_CSTS_NSSRO, NVME_REG_CSTS } from '@nvme-stack/nvme-protocol';
import type { NvmeDev } from './dev.js';
import { nvmeTrySchedReset } from './disable.js';
import { nvmeBar } from './registers.js';

const PERIOD_NS = 1e9;

/** Timer softirq. @kernel drivers/nvme/host/pci.c nvme_watchdog_timer */
const nvmeWatchdogTimer = traced('nvme_watchdog_timer', (dev: NvmeDev): void => {
  if (dev.bar === null) return;
  const csts = nvmeBar(dev).readl(NVME_REG_CSTS) >>> 0;
  if (!nvmeShouldReset(dev, csts)) {
    armWatchdog(dev);
    return;
  }
  if (nvmeTrySchedReset(dev)) {
    dev.kernel.printk.print(
      'warn',
      `nvme ${dev.pdev.dev.name}: Failed status: 0x${csts.toString(16)}, reset controller.`,
    );
  }
});

/** @kernel drivers/nvme/host/pci.c nvme_should_reset */
function nvmeShouldReset(dev: NvmeDev, csts: number): boolean {
  if (dev.ctrl.state === NVME_CTRL_RESETTING || dev.pdev.errorState !== 'normal') return false;
  return (csts & NVME_CSTS_CFS) !== 0 || (dev.subsystem && (csts & NVME_CSTS_NSSRO) !== 0);
}

/** The nearest whole second, so that timers share a wake-up; down within its first quarter. @kernel kernel/time/timer.c round_jiffies */
function roundJiffies(timeNs: number): number {
  const inSecond = timeNs % PERIOD_NS;
  return inSecond < PERIOD_NS / 4 ? timeNs - inSecond : timeNs - inSecond + PERIOD_NS;
}

function armWatchdog(dev: NvmeDev): void {
  if (dev.watchdogTimer !== null) modTimer(dev.watchdogTimer, roundJiffies(dev.kernel.ex.now() + PERIOD_NS));
}

/** Starts it; stopped by `stopWatchdog`. Any context. */
export function startWatchdog(dev: NvmeDev): void {
  dev.watchdogTimer ??= timerSetup(dev.kernel, 'nvme_watchdog_timer', nvmeWatchdogTimer, dev);
  armWatchdog(dev);
}

/** No look is under way afterwards. Task context. */
export function stopWatchdog(dev: NvmeDev): void {
  if (dev.watchdogTimer !== null) delTimerSync(dev.watchdogTimer);
}
